"""What is peculiar to ComfyUI: ids of our own, two ways to be lost, and headers for what stands in front of it."""

from __future__ import annotations

import re

import httpx
import pytest

from provider_client.failures import FailureKind, ProviderError
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers.comfyui import auth_headers
from tests.provider_client.providers.scripted_vendor import Vendor, answer, body_of, picture, picture_base64

KNIGHT = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight of glass", width=64, height=64, seed=7)
EMPTY = answer({})
IDLE = answer({"queue_running": [], "queue_pending": []})
OK = httpx.Response(200)
PNG = httpx.Response(200, content=picture(), headers={"content-type": "image/png"})


def history(request: httpx.Request, _: Vendor) -> httpx.Response:
    """A finished entry under whatever id is asked for."""
    job = request.url.path.rpartition("/")[2]
    images = [{"filename": "a_00001_.png", "subfolder": "switchback", "type": "output"}]
    messages = [["execution_start", {"timestamp": 1000}], ["execution_success", {"timestamp": 3500}]]
    return answer(
        {
            job: {
                "prompt": [0, job, {}, {"create_time": 400}, ["9"]],
                "outputs": {"9": {"images": images}},
                "status": {"status_str": "success", "completed": True, "messages": messages},
            }
        }
    )


def prompt_id(vendor: Vendor) -> str:
    return str(body_of(vendor.sent("POST /prompt")[-1])["prompt_id"])


def queue(_: httpx.Request, vendor: Vendor) -> httpx.Response:
    """The last prompt is running."""
    return answer({"queue_running": [[0, prompt_id(vendor), {}, {}, ["9"]]], "queue_pending": []})


def accept(request: httpx.Request, _: Vendor) -> httpx.Response:
    return answer({"prompt_id": body_of(request)["prompt_id"], "number": 0, "node_errors": {}})


def test_a_prompt_is_followed_to_its_picture() -> None:
    vendor = Vendor(
        {"POST /prompt": [accept], "GET /history": [EMPTY, history], "GET /queue": [queue], "GET /view": [PNG]}
    )
    image = vendor.connect("comfyui").generate(KNIGHT)
    assert image.content == picture()
    assert (image.timings.queue_ms, image.timings.run_ms) == (600, 2500)
    assert image.provider_job == prompt_id(vendor)
    assert dict(vendor.sent("GET /view")[0].url.params) == {
        "filename": "a_00001_.png", "subfolder": "switchback", "type": "output",
    }  # fmt: skip


def test_the_prompt_id_is_a_lower_case_uuid_of_our_own() -> None:
    vendor = Vendor({"POST /prompt": [accept], "GET /history": [history], "GET /view": [PNG]})
    vendor.connect("comfyui").generate(KNIGHT)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", prompt_id(vendor))


def test_a_repeated_request_asks_for_another_file_so_that_no_cached_one_comes_back() -> None:
    vendor = Vendor({"POST /prompt": [accept], "GET /history": [history], "GET /view": [PNG]})
    provider = vendor.connect("comfyui")
    provider.generate(KNIGHT)
    provider.generate(KNIGHT)
    first, second = (
        body_of(sent)["prompt"]["9"]["inputs"]["filename_prefix"] for sent in vendor.sent("POST /prompt")
    )
    assert first != second


def test_a_lost_submit_that_arrived_is_followed_and_not_repeated() -> None:
    vendor = Vendor(
        {
            "POST /prompt": [httpx.ReadTimeout("lost")],
            "GET /queue": [queue],
            "GET /history": [history],
            "GET /view": [PNG],
        }
    )
    vendor.connect("comfyui").generate(KNIGHT)
    assert len(vendor.sent("POST /prompt")) == 1


def test_a_lost_submit_that_never_arrived_is_sent_again_under_the_same_id() -> None:
    vendor = Vendor(
        {
            "POST /prompt": [httpx.ReadError("reset"), accept],
            "GET /history": [EMPTY, EMPTY, EMPTY, history],
            "GET /queue": [IDLE],
            "GET /view": [PNG],
        }
    )
    vendor.connect("comfyui").generate(KNIGHT)
    ids = [body_of(sent)["prompt_id"] for sent in vendor.sent("POST /prompt")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_node_errors_in_a_200_are_a_failure_and_the_rest_of_the_graph_is_cancelled() -> None:
    errors = {"10": {"errors": [{"type": "custom_validation_failed", "message": "Custom validation failed",
              "details": "image - Invalid image file: x.png", "extra_info": {"input_name": "image"}}]}}  # fmt: skip
    vendor = Vendor(
        {
            "POST /prompt": [answer({"prompt_id": "x", "number": 1, "node_errors": errors})],
            "POST /queue": [OK],
            "POST /interrupt": [OK],
        }
    )
    with pytest.raises(ProviderError) as raised:
        vendor.connect("comfyui").generate(KNIGHT)
    assert raised.value.failure.kind is FailureKind.BAD_REQUEST
    assert len(vendor.sent("POST /queue")) == 1


def test_a_prompt_in_no_queue_and_no_history_was_lost_by_a_restart() -> None:
    vendor = Vendor(
        {"POST /prompt": [accept], "GET /history": [EMPTY], "GET /queue": [IDLE], "POST /": [OK]},
    )
    with pytest.raises(ProviderError) as raised:
        vendor.connect("comfyui").generate(KNIGHT)
    assert raised.value.failure.kind is FailureKind.UNAVAILABLE


def test_giving_up_interrupts_this_prompt_alone() -> None:
    vendor = Vendor({"POST /prompt": [accept], "GET /history": [EMPTY], "GET /queue": [queue], "POST /": [OK]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("comfyui").generate(KNIGHT, deadline_seconds=10)
    assert raised.value.failure.kind is FailureKind.TIMEOUT
    assert body_of(vendor.sent("POST /interrupt")[0]) == {"prompt_id": prompt_id(vendor)}
    assert body_of(vendor.sent("POST /queue")[0]) == {"delete": [prompt_id(vendor)]}


def test_the_name_that_the_upload_answers_is_the_one_in_the_graph() -> None:
    uploaded = answer({"name": "x (1).png", "subfolder": "in", "type": "input"})
    vendor = Vendor(
        {"POST /upload": [uploaded], "POST /prompt": [accept], "GET /history": [history], "GET /view": [PNG]}
    )
    request = GenerationRequest(operation=Operation.REMOVE_BACKGROUND, image=InputImage(base64=picture_base64()))
    vendor.connect("comfyui").generate(request)
    graph = body_of(vendor.sent("POST /prompt")[0])["prompt"]
    assert graph["10"]["inputs"]["image"] == "in/x (1).png"


def test_a_redirect_to_storage_is_followed_without_the_key() -> None:
    moved = httpx.Response(302, headers={"location": "http://storage.localhost/signed?sig=x"})
    vendor = Vendor(
        {"POST /prompt": [accept], "GET /history": [history], "GET /view": [moved], "GET /signed": [PNG]}
    )
    vendor.connect("comfyui", COMFYUI_API_KEY="fake-key").generate(KNIGHT)
    assert "authorization" in vendor.sent("GET /view")[0].headers
    assert "authorization" not in vendor.sent("GET /signed")[0].headers


def test_a_login_page_is_a_matter_of_credentials() -> None:
    page = httpx.Response(200, html="<html><title>Please log in</title></html>")
    with pytest.raises(ProviderError) as raised:
        Vendor({"GET /prompt": [page]}).connect("comfyui").health()
    assert raised.value.failure.kind is FailureKind.AUTH


@pytest.mark.parametrize(
    "endpoint", ["http://comfyui.localhost", "http://comfyui.localhost/", "http://comfyui.localhost/api/"]
)
def test_the_address_may_end_with_api_or_not(endpoint: str) -> None:
    vendor = Vendor({"GET /prompt": [answer({"exec_info": {"queue_remaining": 2}})]})
    assert vendor.connect("comfyui", COMFYUI_ENDPOINT=endpoint).health().figures == {"queue": 2.0}
    assert "//" not in vendor.requests[0].url.path


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        (None, {}),
        ("abc", {"Authorization": "Bearer abc", "X-API-Key": "abc"}),
        ("X-Gate: abc", {"X-Gate": "abc"}),
    ],
)
def test_the_key_goes_into_the_header_that_the_place_expects(key: str | None, headers: dict[str, str]) -> None:
    assert auth_headers(key) == headers


CLOUD = {"COMFYUI_ENDPOINT": "https://cloud.comfy.org/api", "COMFYUI_API_KEY": "fake-key"}
RENAMED = answer({"prompt_id": "their-own-id", "number": 1, "node_errors": {}})
MOVED = httpx.Response(302, headers={"location": "http://storage.localhost/signed?sig=x"})


def test_comfy_cloud_is_asked_by_its_own_routes_under_the_id_that_it_gives() -> None:
    outputs = {"9": {"images": [{"filename": "hash.png", "subfolder": "", "type": "output"}]}}
    vendor = Vendor(
        {
            "POST /api/prompt": [RENAMED],
            "GET /api/job/their-own-id/status": [answer({"status": "in_progress"}), answer({"status": "success"})],
            "GET /api/history_v2/their-own-id": [answer({"their-own-id": {"outputs": outputs}})],
            "GET /api/view": [MOVED],
            "GET /signed": [PNG],
        }
    )
    image = vendor.connect("comfyui", **CLOUD).generate(KNIGHT)
    assert image.provider_job == "their-own-id"
    assert vendor.requests[0].headers["x-api-key"] == "fake-key"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("lost", FailureKind.UNAVAILABLE),
        ("cancelled", FailureKind.UNKNOWN),
        ("error", FailureKind.OUT_OF_MEMORY),
        ("waiting", FailureKind.TIMEOUT),
    ],
)
def test_comfy_cloud_ends_in_its_own_words(status: str, kind: FailureKind) -> None:
    details = {"status": "failed", "execution_error": {"exception_type": "OOMError", "exception_message": "full"}}
    vendor = Vendor(
        {
            "POST /api/prompt": [RENAMED],
            "GET /api/job/": [answer({"status": status})],
            "GET /api/jobs/": [answer(details)],
            "POST /": [OK],
        }
    )
    with pytest.raises(ProviderError) as raised:
        vendor.connect("comfyui", **CLOUD).generate(KNIGHT, deadline_seconds=5)
    assert raised.value.failure.kind is kind
