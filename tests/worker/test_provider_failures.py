"""Each way in which a provider can fail, as a caller of the gateway sees it."""

from __future__ import annotations

import pytest

from tests.worker.worker_harness import Cloud, Gateway

TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}
SERVICES = {"scenario": "scenario", "comfyui": "comfyui", "runpod": "runpod_jobs"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("model_not_found", "MODEL_NOT_FOUND"),
        ("out_of_memory", "OUT_OF_MEMORY"),
        ("no_image", "EMPTY_RESULT"),
        ("truncated_image", "EMPTY_RESULT"),
    ],
)
def test_a_failed_job_says_what_it_is_and_what_helps(
    cloud: Cloud, gateway: Gateway, kind: str, expected: str
) -> None:
    cloud.fault(SERVICES[gateway.provider], kind, times=1)
    generation = gateway.generate(**TXT2IMG)
    assert generation["status"] == "failed"
    error = generation["error"]
    assert error["kind"] == expected, error
    assert error["mitigation"]
    assert generation["assets"] == []
    assert gateway.poll(generation["id"]).json()["error"] == error


@pytest.mark.parametrize("provider", ["comfyui", "runpod"])
def test_a_partial_result_is_no_result(cloud: Cloud, gateways: dict[str, Gateway], provider: str) -> None:
    """ComfyUI: 200 with node errors. worker-comfyui: errors beside the images."""
    cloud.fault(SERVICES[provider], "partial", times=1)
    generation = gateways[provider].generate(**TXT2IMG)
    assert generation["status"] == "failed"
    assert generation["error"]["kind"] in {"EMPTY_RESULT", "BAD_REQUEST"}


def test_a_rejected_credential_fails_the_job_and_is_not_shown(cloud: Cloud) -> None:
    secret = "invalid-dummy-runpod-key"
    gateway = cloud.deploy("runpod", RUNPOD_API_KEY=secret)
    generation = gateway.generate(**TXT2IMG)
    assert generation["error"]["kind"] == "AUTH"
    assert generation["error"]["retryable"] is False
    check = gateway.request("GET", "/health?deep=1").json()["checks"]["provider"]
    assert (check["ok"], check["kind"]) == (False, "AUTH")
    assert secret not in str(generation) + str(check)


def test_an_address_that_is_a_secret_is_not_shown(cloud: Cloud) -> None:
    cloud.fault("comfyui", "down", times=None)
    gateway = cloud.deploy("comfyui")
    answers = [gateway.request("GET", "/health?deep=1"), gateway.post(TXT2IMG)]
    answers.append(gateway.poll(answers[1].json()["id"]))
    assert answers[2].status_code == 503
    assert cloud.environment["COMFYUI_ENDPOINT"].removeprefix("http://") not in "".join(a.text for a in answers)


def test_deep_health_asks_the_provider_and_wakes_no_gpu(cloud: Cloud, gateway: Gateway) -> None:
    service = SERVICES[gateway.provider]
    before = cloud.last_request()
    assert gateway.request("GET", "/health").json()["status"] == "ok"
    assert cloud.requests(service, before) == []
    healthy = gateway.request("GET", "/health?deep=1").json()
    assert (healthy["status"], healthy["checks"]["provider"]["ok"]) == ("ok", True)
    assert {request["method"] for request in cloud.requests(service, before)} == {"GET"}
    cloud.fault(service, "down", times=None)
    broken = gateway.request("GET", "/health?deep=1").json()
    assert (broken["status"], broken["checks"]["provider"]["kind"]) == ("degraded", "UNAVAILABLE")
    assert gateway.request("GET", "/health?deep=1", token=None).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"kind": "reset"}, 503, "UNAVAILABLE"),
        ({"kind": "html", "status": 502}, 503, "UNAVAILABLE"),
        ({"kind": "html", "status": 200}, 503, "UNAVAILABLE"),
        ({"kind": "truncated"}, 503, "UNAVAILABLE"),
        ({"kind": "rate_limited", "retry_after": 7}, 503, "RATE_LIMITED"),
        ({"kind": "status", "status": 504}, 504, "TIMEOUT"),
    ],
)
def test_a_provider_that_cannot_be_asked_does_not_fail_the_job(
    cloud: Cloud, gateway: Gateway, fault: dict[str, object], status: int, kind: str
) -> None:
    """The poll says why and when to ask again; the job goes on and its result is found later."""
    generation = gateway.post(TXT2IMG).json()
    cloud.fault(SERVICES[gateway.provider], times=None, method="GET", **fault)  # workerd itself repeats a lost GET
    answer = gateway.poll(generation["id"])
    assert (answer.status_code, answer.json()["kind"]) == (status, kind), answer.text
    assert int(answer.headers["Retry-After"]) == fault.get("retry_after", 2)
    cloud.clear_faults()
    assert gateway.finish(generation)["status"] == "succeeded"


def test_a_provider_that_is_down_is_said_at_the_first_poll(cloud: Cloud, gateway: Gateway) -> None:
    cloud.fault(SERVICES[gateway.provider], "down", times=None)
    generation = gateway.post(TXT2IMG).json()
    assert generation["status"] == "queued"
    answer = gateway.poll(generation["id"])
    assert (answer.status_code, answer.json()["kind"]) == (503, "UNAVAILABLE")


def test_a_bucket_that_refuses_is_not_the_providers_fault(cloud: Cloud, gateway: Gateway) -> None:
    """Nothing is lost: once the bucket answers again the result is stored."""
    generation = gateway.post(TXT2IMG).json()
    cloud.fault("r2", "status", status=503, times=1)
    answer = gateway.poll(generation["id"])
    assert (answer.status_code, answer.json()["kind"]) == (503, "STORAGE")
    assert gateway.finish(generation)["status"] == "succeeded"


def test_without_its_bucket_a_gateway_pays_for_nothing(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway, before = gateways["comfyui"], cloud.last_request()
    cloud.fault("r2", "status", status=503, times=None)
    answer = gateway.post(TXT2IMG, idempotency_key="dummy-key-without-bucket")
    assert (answer.status_code, answer.json()["kind"]) == (503, "STORAGE")
    assert cloud.requests("comfyui", before) == []
    assert gateway.request("GET", "/health").json()["status"] == "degraded"


def test_a_job_that_the_server_lost_fails(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    gateway = gateways["comfyui"]
    cloud.fault("comfyui", "slow", seconds=3600, times=1)
    generation = gateway.post(TXT2IMG).json()
    queue = f"{cloud.environment['COMFYUI_ENDPOINT']}/queue"
    cloud.http.post(queue.replace("/queue", "/interrupt"), json={})
    ended = gateway.finish(generation)
    assert (ended["status"], ended["error"]["retryable"]) == ("canceled", True)
