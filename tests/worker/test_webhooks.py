"""RunPod reports the end of a job to a signed address, so that a result nobody polls is not lost."""

from __future__ import annotations

import time

import pytest

from tests.worker.worker_harness import Cloud, Gateway

TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}


@pytest.fixture
def gateway(gateways: dict[str, Gateway]) -> Gateway:
    return gateways["runpod"]


def reported(cloud: Cloud, before: int, seconds: float = 10.0) -> dict[str, object]:
    """The webhook's request, once it was answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for request in cloud.requests("worker", before):
            if "/v1/webhooks/" in request["path"]:
                return request
        time.sleep(0.02)
    raise AssertionError("no webhook arrived")


def test_a_result_that_nobody_polls_is_stored(cloud: Cloud, gateway: Gateway) -> None:
    before, stored = cloud.last_request(), set(cloud.stored_keys())
    generation = gateway.post(TXT2IMG).json()
    assert reported(cloud, before)["status"] == 200
    new = {key for key in cloud.stored_keys() if key.startswith("generations/")} - stored
    assert len(new) == 1
    asked = cloud.last_request()
    end = gateway.poll(generation["id"]).json()
    assert (end["status"], {asset["key"] for asset in end["assets"]}) == ("succeeded", new)
    assert cloud.requests("runpod_jobs", asked) == []


def test_a_failure_that_nobody_polls_is_kept_too(cloud: Cloud, gateway: Gateway) -> None:
    before = cloud.last_request()
    cloud.fault("runpod_jobs", "out_of_memory", times=1)
    generation = gateway.post(TXT2IMG).json()
    reported(cloud, before)
    assert gateway.poll(generation["id"]).json()["error"]["kind"] == "OUT_OF_MEMORY"


def test_a_report_of_another_job_changes_nothing(cloud: Cloud, gateway: Gateway) -> None:
    """The address is good for its own generation only, and the provider is asked, not believed."""
    before = cloud.last_request()
    generation = gateway.post(TXT2IMG, idempotency_key=f"dummy-{time.time_ns()}").json()
    path = str(reported(cloud, before)["path"])
    end = gateway.finish(generation)
    answer = gateway.request("POST", path, token=None, json={"id": "another-job", "status": "FAILED"})
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert gateway.poll(generation["id"]).json() == end


@pytest.mark.parametrize("body", [[], {}, {"id": 7}, {"id": ""}, "x"])
def test_a_report_without_a_job_is_refused(cloud: Cloud, gateway: Gateway, body: object) -> None:
    before = cloud.last_request()
    gateway.finish(gateway.post(TXT2IMG).json())
    path = str(reported(cloud, before)["path"])
    assert gateway.request("POST", path, token=None, json=body).status_code == 400


@pytest.mark.parametrize(
    "path", ["/v1/webhooks/runpod/x", "/v1/webhooks/scenario/x", f"/v1/webhooks/runpod/{'A' * 60}.{'A' * 43}"]
)
def test_a_forged_address_is_refused(gateway: Gateway, path: str) -> None:
    answer = gateway.request("POST", path, token=None, json={"id": "job"})
    assert answer.status_code == 404
