"""What is peculiar to Scenario: two request shapes, jobs in a chain, and its own words for failing."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime

import httpx
import pytest
from PIL import Image

from provider_client.failures import FailureKind, ProviderError
from provider_client.models import GenerationRequest, InputImage, Operation
from tests.provider_client.providers.scripted_vendor import Vendor, answer, body_of, picture, picture_base64

KNIGHT = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight of glass", width=64, height=64, seed=7)
LEGACY = '{"requestShape": "legacy"}'


def job(status: str, name: str = "job_1", **fields: object) -> dict[str, object]:
    return {"jobId": name, "status": status, "createdAt": "2026-11-23T06:00:00Z", **fields}


def created(name: str = "job_1") -> httpx.Response:
    return answer({"job": job("queued", name), "creativeUnitsCost": 5})


def succeeded(asset: str = "asset_1") -> httpx.Response:
    history = [
        {"status": "queued", "date": "2026-11-23T06:00:00Z"},
        {"status": "in-progress", "date": "2026-11-23T06:00:02Z"},
        {"status": "success", "date": "2026-11-23T06:00:09Z"},
    ]
    return answer({"job": job("success", statusHistory=history, metadata={"assetIds": [asset]})})


def stored(_: httpx.Request, __: Vendor) -> httpx.Response:
    return answer({"asset": {"url": "http://cdn.localhost/file?Signature=x"}})


PNG = httpx.Response(200, content=picture(), headers={"content-type": "image/png"})
ASSETS = {"GET /assets/": [stored], "GET /file": [PNG]}


def test_the_current_shape_asks_one_route_per_model() -> None:
    vendor = Vendor({"POST /generate/custom/": [created()], "GET /jobs/": [succeeded()], **ASSETS})
    image = vendor.connect("scenario").generate(KNIGHT)
    request = vendor.requests[0]
    assert request.url.path == "/v1/generate/custom/model_bfl-flux-2-dev"
    assert body_of(request) == {"prompt": "a knight of glass", "width": 64, "height": 64, "seed": 7}
    assert (
        request.headers["authorization"]
        == "Basic " + base64.b64encode(b"fake-scenario-key:fake-scenario-secret").decode()
    )
    assert (image.timings.queue_ms, image.timings.run_ms) == (2000, 7000)
    assert image.cost is not None
    assert (image.cost.quantity, image.cost.unit) == (5, "creative units")


def test_the_older_shape_asks_one_route_per_operation() -> None:
    vendor = Vendor({"POST /generate/txt2img": [created()], "GET /jobs/": [succeeded()], **ASSETS})
    vendor.connect("scenario", SCENARIO=LEGACY).generate(KNIGHT)
    assert body_of(vendor.requests[0]) == {
        "modelId": "flux.1-dev", "prompt": "a knight of glass", "numSamples": 1, "width": 64, "height": 64, "seed": 7,
    }  # fmt: skip


@pytest.mark.parametrize("shape", ["custom", "legacy"])
def test_an_input_image_is_uploaded_first_and_named_by_its_asset(shape: str) -> None:
    vendor = Vendor(
        {
            "POST /assets": [answer({"asset": {"id": "asset_in"}})],
            "POST /generate": [created()],
            "GET /jobs/": [succeeded()],
            **ASSETS,
        }
    )
    request = GenerationRequest(
        operation=Operation.IMG2IMG, prompt="knight", image=InputImage(base64=picture_base64()), strength=0.3
    )
    vendor.connect("scenario", SCENARIO=f'{{"requestShape": "{shape}"}}').generate(request)
    body = body_of(vendor.sent("POST /generate")[0])
    assert (body["image"], body["strength"]) == ("asset_in", 0.3)


def test_an_input_that_scenario_does_not_take_in_one_piece_is_refused_before_anything_is_sent() -> None:
    huge = base64.b64encode(picture() + bytes(6_000_000)).decode("ascii")
    vendor = Vendor({})
    with pytest.raises(ProviderError, match="6 MB"):
        vendor.connect("scenario").generate(
            GenerationRequest(operation=Operation.REMOVE_BACKGROUND, image=InputImage(base64=huge))
        )
    assert vendor.requests == []


def test_the_pipeline_chains_two_jobs_and_scales_here() -> None:
    vendor = Vendor(
        {
            "POST /generate/custom/model_bfl": [created("job_1")],
            "POST /generate/custom/model_photoroom": [created("job_2")],
            "GET /jobs/job_1": [succeeded("asset_1")],
            "GET /jobs/job_2": [succeeded("asset_2")],
            "GET /assets/asset_2": [stored],
            "GET /file": [httpx.Response(200, content=picture(1024, 1024, "#ff000080", "RGBA"))],
        }
    )
    image = vendor.connect("scenario").generate(
        GenerationRequest(operation=Operation.PIPELINE, prompt="knight", width=128, height=96)
    )
    assert (image.width, image.height) == (128, 96)
    assert Image.open(io.BytesIO(image.content)).getpixel((5, 5)) == (255, 0, 0, 128)
    assert body_of(vendor.sent("POST /generate/custom/model_photoroom")[0]) == {"image": "asset_1"}
    assert image.cost is not None
    assert image.cost.quantity == 10


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (
            job("failure", metadata={"error": "Model model_x not found", "hint": "train it"}),
            FailureKind.MODEL_NOT_FOUND,
        ),
        (job("failure", metadata={"error": "boom"}), FailureKind.UNKNOWN),
        (job("canceled"), FailureKind.UNKNOWN),
        (job("success", metadata={"assetIds": []}), FailureKind.EMPTY_RESULT),
    ],
)
def test_each_bad_ending_has_its_kind(ending: dict[str, object], kind: FailureKind) -> None:
    vendor = Vendor(
        {"POST /generate": [created()], "GET /jobs/": [answer({"job": ending})], "POST /jobs": [answer({})]}
    )
    with pytest.raises(ProviderError) as raised:
        vendor.connect("scenario").generate(KNIGHT)
    assert raised.value.failure.kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": "nope"}, FailureKind.AUTH),
        (403, {"message": "your plan does not include this model"}, FailureKind.QUOTA),
        (403, {"message": "this project does not belong to this key"}, FailureKind.AUTH),
        (402, {}, FailureKind.QUOTA),
        (404, {"error": {"message": "modelId model_x does not exist"}}, FailureKind.MODEL_NOT_FOUND),
        (400, {"error": '"modelId" must be a string'}, FailureKind.BAD_REQUEST),
        (500, {}, FailureKind.UNAVAILABLE),
    ],
)
def test_each_refusal_has_its_kind(status: int, body: object, kind: FailureKind) -> None:
    with pytest.raises(ProviderError) as raised:
        Vendor({"POST /generate": [answer(body, status)]}).connect("scenario").generate(KNIGHT)
    assert raised.value.failure.kind is kind


def test_too_many_jobs_at_a_time_is_a_rate_limit_after_some_patience() -> None:
    refusal = answer({"details": {"actionName": "parallel-custom-jobs", "actionLimit": 2}}, 429)
    vendor = Vendor({"POST /generate": [refusal]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("scenario").generate(KNIGHT)
    assert raised.value.failure.kind is FailureKind.RATE_LIMITED
    assert raised.value.attempts == 4


def test_a_lost_submit_is_found_again_in_the_list_of_jobs() -> None:
    now = datetime.now(UTC).isoformat()
    mine = job("queued", "job_7", metadata={"input": {"prompt": "a knight of glass", "seed": 7}}) | {
        "createdAt": now
    }
    other = job("queued", "job_8", metadata={"input": {"prompt": "a dragon", "seed": 7}}) | {"createdAt": now}
    vendor = Vendor(
        {
            "POST /generate": [httpx.ReadTimeout("lost")],
            "GET /jobs/job_7": [succeeded()],
            "GET /jobs": [answer({"jobs": [other, mine]})],
            **ASSETS,
        }
    )
    assert vendor.connect("scenario").generate(KNIGHT).provider_job == "job_7"
    assert len(vendor.sent("POST /generate")) == 1


def test_a_lost_submit_that_cannot_be_told_is_not_sent_again() -> None:
    vendor = Vendor({"POST /generate": [httpx.ReadTimeout("lost")], "GET /jobs": [answer({"jobs": []})]})
    with pytest.raises(ProviderError) as raised:
        vendor.connect("scenario").generate(KNIGHT)
    assert raised.value.failure.kind is FailureKind.TIMEOUT
    assert len(vendor.sent("POST /generate")) == 1


def test_waiting_for_a_warming_model_is_a_cold_start_and_the_job_is_cancelled() -> None:
    vendor = Vendor(
        {
            "POST /generate": [created()],
            "GET /jobs/": [answer({"job": job("warming-up")})],
            "POST /jobs/job_1/action": [answer({})],
        }
    )
    with pytest.raises(ProviderError) as raised:
        vendor.connect("scenario").generate(KNIGHT, deadline_seconds=20)
    assert raised.value.failure.kind is FailureKind.COLD_START
    assert body_of(vendor.sent("POST /jobs/job_1/action")[0]) == {"action": "cancel"}


def test_the_signed_link_is_fetched_without_our_credentials() -> None:
    vendor = Vendor({"POST /generate/custom/": [created()], "GET /jobs/": [succeeded()], **ASSETS})
    vendor.connect("scenario").generate(KNIGHT)
    assert "authorization" not in vendor.sent("GET /file")[0].headers
    assert vendor.sent("GET /file")[0].url.params["Signature"] == "x"
