"""Whatever gets lost, a generation is paid for once."""

from __future__ import annotations

import hashlib
import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.worker.test_jobs import submits
from tests.worker.worker_harness import Cloud, Gateway

TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}
SERVICES = {"scenario": "scenario", "comfyui": "comfyui", "runpod": "runpod_jobs"}
SUBMIT_PATH = {"scenario": "/generate/", "comfyui": "/prompt$", "runpod": "/run$"}
prompts = (f"A knight number {number}" for number in itertools.count())


def test_a_key_stands_for_one_job(cloud: Cloud, gateway: Gateway) -> None:
    before, key = cloud.last_request(), uuid4().hex
    first = gateway.post(TXT2IMG, idempotency_key=key)
    again = gateway.post(TXT2IMG, idempotency_key=key)
    assert first.json()["id"] == again.json()["id"]
    end = gateway.finish(first.json())
    late = gateway.post(TXT2IMG, idempotency_key=key)
    assert (late.status_code, late.json()) == (200, end)
    assert submits(cloud, SERVICES[gateway.provider], before) == 1


def test_equal_requests_at_the_same_time_are_paid_once(cloud: Cloud, gateway: Gateway) -> None:
    before, key = cloud.last_request(), uuid4().hex
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: gateway.post(TXT2IMG, idempotency_key=key), range(10)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert gateway.finish(answers[0].json())["status"] == "succeeded"
    assert submits(cloud, SERVICES[gateway.provider], before) == 1


def test_a_bucket_that_takes_one_write_a_second_holds_up_no_chain(
    cloud: Cloud, gateways: dict[str, Gateway]
) -> None:
    """R2 does so for each object: the note of a paid job comes right after the claim to submit it."""
    gateway, before, stored = gateways["scenario"], cloud.last_request(), set(cloud.stored_keys())
    generation = gateway.post({"operation": "pipeline", "prompt": next(prompts), "width": 64, "height": 64}).json()
    cloud.fault("scenario", "latency", seconds=2, method="POST", path="/generate/")
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(gateway.finish, generation)
        while not any(key.startswith("_jobs/") for key in set(cloud.stored_keys()) - stored):
            time.sleep(0.02)  # until the second stage is claimed
        cloud.fault("r2", "rate_limited", times=1, method="PUT")
    assert end.result()["status"] == "succeeded"
    assert submits(cloud, "scenario", before) == 2


def test_a_key_keeps_its_provider_over_a_switch(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    before, key = cloud.last_request(), uuid4().hex
    first = gateways["comfyui"].post(TXT2IMG, idempotency_key=key).json()
    again = gateways["scenario"].post(TXT2IMG, idempotency_key=key).json()
    assert (again["id"], again["provider"]) == (first["id"], "comfyui")
    gateways["scenario"].finish(again)
    assert submits(cloud, "scenario", before) == 0


def test_a_key_is_good_for_one_request_only(gateways: dict[str, Gateway]) -> None:
    gateway, key = gateways["comfyui"], uuid4().hex
    first = gateway.post(TXT2IMG, idempotency_key=key)
    other = gateway.post({**TXT2IMG, "prompt": "A dragon"}, idempotency_key=key)
    assert (other.status_code, other.json()["kind"]) == (422, "BAD_REQUEST")
    gateway.finish(first.json())


def test_a_key_whose_record_expired_makes_a_new_asset(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    """The bucket forgets records after a week and may keep assets for ever: the old one is not the new one."""
    gateway, key = gateways["comfyui"], uuid4().hex
    (old,) = gateway.finish(gateway.post(TXT2IMG, idempotency_key=key).json())["assets"]
    for name in cloud.stored_keys():
        if name.startswith("_jobs/"):
            cloud.store(name, None)
    (new,) = gateway.finish(gateway.post({**TXT2IMG, "prompt": "A dragon"}, idempotency_key=key).json())["assets"]
    assert new["key"] != old["key"]
    assert hashlib.sha256(gateway.http.get(new["url"]).content).hexdigest() == new["sha256"] != old["sha256"]


@pytest.mark.parametrize("key", ["", "with blank", "x" * 256])
def test_keys_have_a_form(gateways: dict[str, Gateway], key: str) -> None:
    assert gateways["comfyui"].post(TXT2IMG, idempotency_key=key).status_code == 400


@pytest.mark.parametrize("with_key", [True, False])
def test_a_submit_whose_answer_was_lost_is_found_and_not_repeated(
    cloud: Cloud, gateway: Gateway, with_key: bool
) -> None:
    """The provider took the job and the connection broke: it is looked for, or its webhook tells."""
    before = cloud.last_request()
    service = SERVICES[gateway.provider]
    cloud.fault(service, "truncated", times=1, method="POST", path=SUBMIT_PATH[gateway.provider])
    headers = {"idempotency_key": uuid4().hex} if with_key else {}
    answer = gateway.post({**TXT2IMG, "prompt": next(prompts)}, **headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert gateway.finish(answer.json())["status"] == "succeeded"
    assert submits(cloud, service, before) == 1


def test_a_submit_that_broke_is_not_sent_twice_at_once(cloud: Cloud, gateway: Gateway) -> None:
    """Not by us, nor by workerd, which repeats GETs of its own accord."""
    before, service = cloud.last_request(), SERVICES[gateway.provider]
    cloud.fault(service, "reset", times=1, method="POST", path=SUBMIT_PATH[gateway.provider])
    answer = gateway.post({**TXT2IMG, "prompt": next(prompts)})
    assert answer.json()["status"] == "queued"
    paths = [request["path"] for request in cloud.requests(service, before) if request["method"] == "POST"]
    assert len([path for path in paths if re.search(SUBMIT_PATH[gateway.provider], path)]) == 1
    gateway.request("DELETE", f"/v1/generations/{answer.json()['id']}")


def test_a_lost_submit_is_cancelled_where_it_can_be_found(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway = gateways["comfyui"]
    cloud.fault("comfyui", "slow", seconds=3600, times=1)
    cloud.fault("comfyui", "truncated", times=1, method="POST", path="/prompt$")
    generation = gateway.post({**TXT2IMG, "prompt": next(prompts)}).json()
    before = cloud.last_request()
    assert gateway.request("DELETE", f"/v1/generations/{generation['id']}").json()["status"] == "canceled"
    assert any(
        "interrupt" in request["path"] or (request["path"].endswith("/queue") and request["method"] == "POST")
        for request in cloud.requests("comfyui", before)
    )


def test_a_rate_limit_keeps_the_job_in_the_queue_until_a_poll_may_submit_it(
    cloud: Cloud, gateway: Gateway
) -> None:
    """The provider's 429 fails nobody: after Retry-After one poll submits, once, whoever polls."""
    before = cloud.last_request()
    service = SERVICES[gateway.provider]
    cloud.fault(service, "rate_limited", retry_after=1, times=1, method="POST", path=SUBMIT_PATH[gateway.provider])
    answer = gateway.post({**TXT2IMG, "prompt": next(prompts)}, idempotency_key=uuid4().hex)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert int(answer.headers["Retry-After"]) >= 1
    assert gateway.poll(answer.json()["id"]).json()["status"] == "queued"
    assert submits(cloud, service, before) == 0
    with ThreadPoolExecutor(10) as pool:
        ends = list(pool.map(lambda _: gateway.finish(answer.json()), range(10)))
    assert {end["status"] for end in ends} == {"succeeded"}
    assert submits(cloud, service, before) == 1


def test_a_wait_without_end_is_told_as_one_that_makes_sense(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    """No queued job waits longer than a quarter of an hour, whatever a provider's Retry-After says."""
    gateway = gateways["comfyui"]
    cloud.fault("comfyui", "rate_limited", retry_after=1e24, times=2)
    refused = gateway.post({**TXT2IMG, "prompt": next(prompts)})
    assert 900 <= int(refused.headers["Retry-After"]) <= 1200
    gateway.request("DELETE", f"/v1/generations/{refused.json()['id']}")
    cloud.fault("scenario", "rate_limited", retry_after=1e24, times=1, method="GET", path="/jobs/")
    asked = gateways["scenario"].poll(gateways["scenario"].post(TXT2IMG).json()["id"])
    assert (asked.status_code, asked.headers["Retry-After"]) == (503, "900")


def test_a_queued_job_keeps_its_input_image(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway = gateways["comfyui"]
    (source,) = gateway.generate(**TXT2IMG)["assets"]
    cloud.fault("comfyui", "rate_limited", retry_after=1, times=1, method="POST", path="/prompt$")
    answer = gateway.post({"operation": "remove_background", "image": {"key": source["key"]}})
    assert answer.json()["status"] == "queued"
    assert gateway.finish(answer.json())["status"] == "succeeded"


def test_a_queued_job_can_be_cancelled_before_it_costs(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway, before = gateways["comfyui"], cloud.last_request()
    cloud.fault("comfyui", "rate_limited", retry_after=60, times=1, method="POST", path="/prompt$")
    generation = gateway.post(TXT2IMG).json()
    assert gateway.request("DELETE", f"/v1/generations/{generation['id']}").json()["status"] == "canceled"
    assert submits(cloud, "comfyui", before) == 0
    assert kept_requests(cloud) == []


def test_requests_are_not_kept_longer_than_needed(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway = gateways["comfyui"]
    cloud.fault("comfyui", "rate_limited", retry_after=1, times=1, method="POST", path="/prompt$")
    generation = gateway.post({**TXT2IMG, "prompt": next(prompts)}).json()
    assert len(kept_requests(cloud)) == 1
    gateway.finish(generation)
    assert kept_requests(cloud) == []


def kept_requests(cloud: Cloud) -> list[str]:
    return [key for key in cloud.stored_keys() if key.startswith("_queue/")]


def test_only_a_full_queue_refuses(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    """Then with 429 and Retry-After, and the key is free for another try."""
    gateway, key, before = gateways["comfyui"], uuid4().hex, cloud.last_request()
    waiting = [f"_queue/{number}.json" for number in range(200)]
    for name in waiting:
        cloud.store(name, b"{}")
    cloud.fault("comfyui", "rate_limited", retry_after=1, times=1, method="POST", path="/prompt$")
    refused = gateway.post({**TXT2IMG, "prompt": next(prompts)}, idempotency_key=key)
    for name in waiting:
        cloud.store(name, None)
    assert (refused.status_code, refused.json()["kind"]) == (429, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) > 0
    assert submits(cloud, "comfyui", before) == 0
    assert gateway.post({**TXT2IMG, "prompt": "another"}, idempotency_key=key).status_code == 202
