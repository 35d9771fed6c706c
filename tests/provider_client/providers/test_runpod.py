"""What is peculiar to RunPod: its job states, its limits, and that a lost submit is never repeated."""

from __future__ import annotations

import base64
import threading

import httpx
import pytest

from provider_client.errors import Cancelled
from provider_client.failures import FailureKind, ProviderError
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers.runpod import health_of
from tests.provider_client.providers.scripted_vendor import Vendor, answer, body_of, picture, picture_base64

KNIGHT = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight of glass", width=64, height=64, seed=7)
QUEUED = answer({"id": "job-u1", "status": "IN_QUEUE"})
RUNNING = answer({"id": "job-u1", "status": "IN_PROGRESS"})
CANCELLED = answer({"id": "job-u1", "status": "CANCELLED"})


def completed(**output: object) -> httpx.Response:
    return answer(
        {"id": "job-u1", "status": "COMPLETED", "delayTime": 4000, "executionTime": 6500, "output": output}
    )


IMAGES = [{"filename": "a.png", "type": "base64", "data": picture_base64()}]


def test_a_job_is_followed_to_its_picture_with_timings_and_cost() -> None:
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [QUEUED, RUNNING, completed(images=IMAGES)]})
    image = vendor.connect("runpod").generate(KNIGHT)
    assert (image.width, image.height, image.content_type) == (64, 64, "image/png")
    assert (image.timings.queue_ms, image.timings.run_ms) == (4000, 6500)
    assert image.cost is not None
    assert (image.cost.quantity, image.cost.unit) == (6.5, "GPU seconds")
    assert image.attempts == 4


def test_the_job_carries_the_filled_graph_and_limits_of_its_own() -> None:
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [completed(images=IMAGES)]})
    vendor.connect("runpod").generate(KNIGHT, deadline_seconds=300)
    sent = body_of(vendor.sent("POST /run")[0])
    assert sent["policy"] == {"executionTimeout": 300_000, "ttl": 360_000}
    graph = sent["input"]["workflow"]
    assert graph["6"]["inputs"]["text"] == "a knight of glass"
    assert graph["3"]["inputs"]["seed"] == 7
    assert vendor.requests[0].headers["authorization"] == "Bearer fake-runpod-key"


def test_an_input_image_goes_along_and_is_named_in_the_graph() -> None:
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [completed(images=IMAGES)]})
    request = GenerationRequest(operation=Operation.REMOVE_BACKGROUND, image=InputImage(base64=picture_base64()))
    vendor.connect("runpod").generate(request)
    sent = body_of(vendor.sent("POST /run")[0])["input"]
    assert sent["images"][0]["name"] == sent["workflow"]["10"]["inputs"]["image"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "FAILED", "error": "Job processing failed", "output": {"details": ["CUDA out of memory."]}},
         FailureKind.OUT_OF_MEMORY),
        ({"status": "FAILED", "error": '{"error_type": "<class \'KeyError\'>", "error_message": "boom"}'},
         FailureKind.UNKNOWN),
        ({"status": "TIMED_OUT"}, FailureKind.TIMEOUT),
        ({"status": "COMPLETED", "output": {"status": "success_no_images", "images": []}}, FailureKind.EMPTY_RESULT),
        ({"status": "COMPLETED"}, FailureKind.EMPTY_RESULT),
        ({"status": "COMPLETED", "output": {"images": IMAGES, "errors": ["b.png: no"]}}, FailureKind.EMPTY_RESULT),
        ({"status": "COMPLETED", "output": {"images": [{"type": "base64", "data": "bm8gaW1hZ2U="}]}},
         FailureKind.EMPTY_RESULT),
        ({"status": "FAILED", "error": "ComfyUI server (127.0.0.1:8188) not reachable after multiple retries."},
         FailureKind.COLD_START),
    ],
)  # fmt: skip
def test_each_bad_ending_has_its_kind(body: dict[str, object], kind: FailureKind) -> None:
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [answer(body)], "POST /cancel": [CANCELLED]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("runpod").generate(KNIGHT)
    assert raised.value.failure.kind is kind


def test_a_job_that_finds_no_worker_is_cancelled_and_called_a_cold_start() -> None:
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [QUEUED], "POST /cancel": [CANCELLED]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("runpod").generate(KNIGHT, deadline_seconds=30)
    assert raised.value.failure.kind is FailureKind.COLD_START
    assert raised.value.failure.retryable
    assert len(vendor.sent("POST /cancel/job-u1")) == 1


def test_stopping_cancels_the_job() -> None:
    stopped = threading.Event()

    def look(_: httpx.Request, __: Vendor) -> httpx.Response:
        stopped.set()
        return RUNNING

    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [look], "POST /cancel": [CANCELLED]})
    with pytest.raises(Cancelled):
        vendor.connect("runpod").generate(KNIGHT, cancelled=stopped)
    assert len(vendor.sent("POST /cancel/job-u1")) == 1


def test_a_submit_whose_answer_got_lost_is_not_sent_again() -> None:
    vendor = Vendor({"POST /run": [httpx.ReadTimeout("lost")]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("runpod").generate(KNIGHT)
    assert raised.value.failure.kind is FailureKind.TIMEOUT
    assert len(vendor.requests) == 1


def test_a_refused_submit_is_sent_again_when_retry_after_says() -> None:
    refused = answer({"error": "slow down"}, 429, **{"retry-after": "5"})
    vendor = Vendor({"POST /run": [refused, QUEUED], "GET /status": [completed(images=IMAGES)]})
    image = vendor.connect("runpod").generate(KNIGHT)
    assert vendor.clock.now() >= 5
    assert image.attempts == 3


def test_a_connection_that_never_came_about_may_be_tried_again() -> None:
    vendor = Vendor(
        {"POST /run": [httpx.ConnectError("refused"), QUEUED], "GET /status": [completed(images=IMAGES)]}
    )
    assert vendor.connect("runpod").generate(KNIGHT).attempts == 3


def test_an_image_that_exceeds_the_body_limit_is_refused_before_anything_is_sent() -> None:
    vendor = Vendor({})
    huge = base64.b64encode(picture() + bytes(8_000_000)).decode("ascii")
    with pytest.raises(ProviderError) as raised:
        vendor.connect("runpod").generate(
            GenerationRequest(operation=Operation.REMOVE_BACKGROUND, image=InputImage(base64=huge))
        )
    assert "10 MB" in raised.value.failure.message
    assert vendor.requests == []


def test_the_prompt_and_the_key_stay_out_of_every_message() -> None:
    echo = answer({"status": "FAILED", "error": "bad prompt 'a knight of glass' for fake-runpod-key"})
    vendor = Vendor({"POST /run": [QUEUED], "GET /status": [echo], "POST /cancel": [CANCELLED]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("runpod").generate(KNIGHT)
    assert "glass" not in str(raised.value)
    assert "fake-runpod-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("workers", "healthy"),
    [
        ({}, True),
        ({"idle": 0, "running": 0}, True),
        ({"running": 1, "unhealthy": 1}, True),
        ({"unhealthy": 2}, False),
        ({"throttled": 1}, False),
        ({"initializing": 1}, True),
    ],
)
def test_no_workers_is_healthy_and_only_bad_ones_is_not(workers: dict[str, int], healthy: bool) -> None:
    assert health_of({"jobs": {"inQueue": 0}, "workers": workers}).healthy is healthy
