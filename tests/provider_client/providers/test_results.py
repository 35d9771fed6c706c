"""A finished job's picture, however the vendor hands it over; and when it cannot be had, that this is why."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from provider_client.failures import Failure, FailureKind, ProviderError
from provider_client.models import GenerationRequest, Operation
from tests.provider_client.providers.scripted_vendor import (
    Answer,
    Vendor,
    answer,
    body_of,
    picture,
    picture_base64,
)

KNIGHT = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight of glass", width=64, height=64, seed=7)
STORED = "https://bucket.localhost/a.png?X-Amz-Signature=fake"
PNG = httpx.Response(200, content=picture(), headers={"content-type": "image/png"})
IMAGE = {"filename": "a.png", "subfolder": "switchback", "type": "output"}
SUCCESS = {"status_str": "success", "completed": True, "messages": []}


def runpod(output: object, stored: Answer = PNG) -> Vendor:
    queued, done = {"id": "job-u1", "status": "IN_QUEUE"}, {"status": "COMPLETED", "output": output}
    return Vendor({"POST /run": [answer(queued)], "GET /status": [answer(done)], "GET /a.png": [stored]})


def comfyui(entry: dict[str, Any], view: Answer = PNG, **more: list[Answer]) -> Vendor:
    def accept(request: httpx.Request, _: Vendor) -> httpx.Response:
        return answer({"prompt_id": body_of(request)["prompt_id"], "node_errors": {}})

    def history(request: httpx.Request, _: Vendor) -> httpx.Response:
        return answer({request.url.path.rpartition("/")[2]: entry})

    routes = {"POST /prompt": [accept], "GET /history": [history], "GET /view": [view], "POST /": [answer({})]}
    return Vendor({**routes, "GET /queue": [answer({"queue_running": [], "queue_pending": []})], **more})


def scenario(stored: Answer) -> Vendor:
    job = {"jobId": "job_1", "status": "queued"}
    done = {**job, "status": "success", "metadata": {"assetIds": ["asset_1"]}}
    link = answer({"asset": {"url": "https://cdn.localhost/file?Signature=fake"}})
    return Vendor({"POST /generate": [answer({"job": job})], "GET /jobs": [answer({"job": done})],
                   "GET /assets": [link], "GET /file": [stored]})  # fmt: skip


def failure_of(vendor: Vendor, provider: str) -> Failure:
    with pytest.raises(ProviderError) as raised:
        vendor.connect(provider).generate(KNIGHT)
    return raised.value.failure


@pytest.mark.parametrize(
    "output",
    [
        {"images": [{"filename": "a.png", "type": "base64", "data": picture_base64()}]},
        {"images": [{"type": "base64", "data": f"data:image/png;base64,{picture_base64()}"}]},
        {"images": [{"type": "base64", "data": base64.encodebytes(picture()).decode()}]},
        {"images": [{"filename": "a.png", "type": "s3_url", "data": STORED}]},
        {"status": "success", "message": picture_base64()},  # worker-comfyui before 5.0
        {"status": "success", "message": STORED},
    ],
)
def test_every_form_in_which_runpod_hands_over_a_picture(output: object) -> None:
    assert runpod(output).connect("runpod").generate(KNIGHT).content == picture()


@pytest.mark.parametrize(
    "output", [[picture_base64()], "done", {"images": [picture_base64()]}, {"status": "success"}]
)
def test_runpods_output_without_a_picture_is_an_empty_result(output: object) -> None:
    assert failure_of(runpod(output), "runpod").kind is FailureKind.EMPTY_RESULT


@pytest.mark.parametrize("status", [None, {}, {"status_str": "success", "completed": True, "messages": None}])
def test_a_history_without_status_still_has_its_picture(status: object) -> None:
    entry = {"outputs": {"9": {"images": [IMAGE]}}, "status": status}
    assert comfyui(entry).connect("comfyui").generate(KNIGHT).content == picture()


@pytest.mark.parametrize(
    "outputs",
    [
        {}, None, {"9": None}, {"9": {"images": None}}, {"9": {"gifs": [IMAGE]}}, {"9": {"text": ["a knight"]}},
        {"9": {"images": [{**IMAGE, "type": "temp"}]}}, {"12": {"images": [IMAGE]}},
    ],
)  # fmt: skip
def test_a_run_that_saved_no_picture_is_an_empty_result(outputs: object) -> None:
    failure = failure_of(comfyui({"outputs": outputs, "status": SUCCESS}), "comfyui")
    assert failure.kind is FailureKind.EMPTY_RESULT


FINISHED = {"outputs": {"9": {"images": [IMAGE]}}, "status": SUCCESS}
S3_IMAGES = {"images": [{"type": "s3_url", "data": STORED}]}
MOVED = httpx.Response(302, headers={"location": STORED})
EXPIRED = httpx.Response(
    403, text="<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)
GONE = {
    "RunPod's bucket refuses": ("runpod", runpod(S3_IMAGES, EXPIRED)),
    "RunPod's bucket lost it": ("runpod", runpod(S3_IMAGES, httpx.Response(404))),
    "RunPod names no address": ("runpod", runpod({"images": [{"type": "s3_url", "data": "s3://bucket/a.png"}]})),
    "ComfyUI deleted it": ("comfyui", comfyui(FINISHED, httpx.Response(404))),
    "Comfy Cloud's storage refuses": ("comfyui", comfyui(FINISHED, MOVED, **{"GET /a.png": [EXPIRED]})),
    "Scenario's link expired": ("scenario", scenario(EXPIRED)),
}


@pytest.mark.parametrize("case", GONE)
def test_a_picture_that_cannot_be_fetched_is_no_matter_of_credentials(case: str) -> None:
    provider, vendor = GONE[case]
    failure = failure_of(vendor, provider)
    assert failure.kind is FailureKind.EMPTY_RESULT
    assert "cannot be fetched" in failure.mitigation


def test_a_servers_own_refusal_of_a_picture_is_a_matter_of_credentials() -> None:
    assert failure_of(comfyui(FINISHED, httpx.Response(401)), "comfyui").kind is FailureKind.AUTH


@pytest.mark.parametrize("provider", ["runpod", "scenario"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "EXPLODED"}, FailureKind.UNKNOWN),
        ({"status": "failed", "error": "boom"}, FailureKind.UNKNOWN),
        ({}, FailureKind.UNAVAILABLE),
    ],
)
def test_an_ending_in_an_unknown_word_is_not_waited_for(
    provider: str, body: dict[str, Any], kind: FailureKind
) -> None:
    created = {"id": "job_1", "status": "queued"}
    vendor = Vendor({"POST /run": [answer(created)], "POST /generate": [answer({"job": created})],
                     "GET /status": [answer(body)], "GET /jobs": [answer({"job": body})],
                     "POST /": [answer({})]})  # fmt: skip
    assert failure_of(vendor, provider).kind is kind
    assert vendor.clock.now() < 1


@pytest.mark.parametrize("text", ["", "404 page not found", '{"error": "not found"}'])
def test_a_job_that_runpod_forgot_is_no_matter_of_credentials(text: str) -> None:
    """Results are kept for 30 minutes; the /run before has proved the endpoint and the key."""
    vendor = Vendor({"POST /run": [answer({"id": "job_1"})], "GET /status": [httpx.Response(404, text=text)],
                     "POST /": [answer({})]})  # fmt: skip
    failure = failure_of(vendor, "runpod")
    assert failure.kind is FailureKind.TIMEOUT
    assert "no longer knows" in failure.message
