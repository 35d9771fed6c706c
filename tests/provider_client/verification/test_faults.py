"""Each fault that every asset has: its outcome, the check that finds it, and what helps."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from PIL import Image

from provider_client.models import Operation
from provider_client.verification import Outcome, VerificationPlan
from tests.provider_client.verification.gateway_spoils import (
    Spoil,
    change,
    error,
    jpeg,
    opaque,
    picture,
    random_pixels,
    stored_differs,
    tail_lost,
    truncated,
    unrelated,
)

TOKEN = "dummy-gateway-token-planted-to-be-searched-for"

AN_HOUR_OLD = {"date": "Mon, 23 Nov 2026 10:00:00 GMT", "last-modified": "Mon, 23 Nov 2026 09:00:00 GMT"}

FAULTS: list[tuple[str, Spoil, Outcome, str]] = [
    ("model_not_found", error("MODEL_NOT_FOUND"), Outcome.FAILED, "generates"),
    ("out_of_memory", error("OUT_OF_MEMORY"), Outcome.FAILED, "generates"),
    ("completed_without_image", change(content=b""), Outcome.FAILED, "generates"),
    ("blank", picture(Image.new("RGB", (64, 64), "white")), Outcome.FAILED, "not blank"),
    ("noise", random_pixels, Outcome.FAILED, "not noise"),
    ("wrong_size", picture(Image.linear_gradient("L").resize((32, 64)).convert("RGB")), Outcome.FAILED, "size"),
    ("truncated", truncated, Outcome.FAILED, "decodes"),
    ("tail_lost", tail_lost, Outcome.FAILED, "decodes"),
    ("wrong_content_type", change(stored_content_type="application/octet-stream"), Outcome.FAILED, "content type"),
    (
        "stated_type_is_not_the_format",
        change(content_type="image/webp", stored_content_type="image/webp"),
        Outcome.FAILED,
        "format",
    ),
    ("stored_object_differs", stored_differs, Outcome.FAILED, "bytes"),
    ("url_gone_later", change(gone_after=1), Outcome.FAILED, "url stays"),
    ("url_never_resolves", change(gone_after=0), Outcome.FAILED, "url"),
    ("another_provider", change(provider="scenario"), Outcome.FAILED, "made by"),
    ("100_s_too_slow", change(seconds=140.0), Outcome.FAILED, "time"),
    ("never_ready", change(seconds=1e9), Outcome.FAILED, "generates"),
    ("stored_long_before_it_was_asked_for", change(stored_headers=AN_HOUR_OLD), Outcome.FAILED, "fresh"),
    ("jpeg_where_comfyui_writes_png", jpeg, Outcome.FAILED, "format"),
    ("stated_size_wrong", change(stated_size=(1, 1)), Outcome.FAILED, "stated size"),
]


@pytest.mark.parametrize(("spoil", "outcome", "check"), [pytest.param(*f[1:], id=f[0]) for f in FAULTS])
def test_a_fault_in_every_asset_is_failed_and_named(
    bench: Any, spoil: Spoil, outcome: Outcome, check: str
) -> None:
    bench.gateway.spoil = spoil
    report = bench.verify()
    assert report.verdict.outcome is outcome, report.verdict
    problems = {problem.check for asset in report.assets for problem in asset.problems}
    assert check in problems, problems
    assert all(
        TOKEN not in asset.reproduce and "$SWITCHBACK_GATEWAY_TOKEN" in asset.reproduce for asset in report.assets
    )


@pytest.mark.parametrize("operation", [Operation.REMOVE_BACKGROUND, Operation.PIPELINE])
def test_an_opaque_alpha_channel_is_no_transparency(bench: Any, operation: Operation) -> None:
    bench.gateway.spoil = opaque
    report = bench.verify(bench.plan(2, (operation,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "opaque" in report.verdict.sentence


def test_img2img_that_ignores_its_input_is_failed(bench: Any) -> None:
    bench.gateway.spoil = unrelated
    report = bench.verify(bench.plan(2, (Operation.IMG2IMG,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "related to input" in report.verdict.sentence


def test_img2img_that_returns_its_input_is_failed(bench: Any) -> None:
    def unchanged(served: Any) -> None:
        served.content = base64.b64decode(served.request["image"]["base64"])

    bench.gateway.spoil = unchanged
    report = bench.verify(bench.plan(2, (Operation.IMG2IMG,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "changed from input" in report.verdict.sentence


def test_an_unchanged_input_is_what_strength_0_asks_for(bench: Any) -> None:
    def unchanged(served: Any) -> None:
        served.content = base64.b64decode(served.request["image"]["base64"])

    bench.gateway.spoil = unchanged
    assert bench.verify(with_strength(bench, 0)).verdict.outcome is Outcome.SUCCESSFUL


def test_strength_1_asks_for_a_picture_that_ignores_its_input(bench: Any) -> None:
    bench.gateway.spoil = unrelated
    assert bench.verify(with_strength(bench, 1)).verdict.outcome is Outcome.SUCCESSFUL


def with_strength(bench: Any, strength: float) -> VerificationPlan:
    plan: VerificationPlan = bench.plan(2, (Operation.IMG2IMG,))
    assets = tuple(asset.model_copy(update={"strength": strength}) for asset in plan.assets)
    return plan.model_copy(update={"assets": assets})


def test_the_same_request_twice_may_get_the_same_picture(bench: Any) -> None:
    knight = bench.plan(1).assets[0].model_copy(update={"seed": 5})
    twice = (knight, knight.model_copy(update={"name": "again"}))
    assert bench.verify(bench.plan(1).model_copy(update={"assets": twice})).verdict.outcome is Outcome.SUCCESSFUL


def test_the_shapes_of_a_small_sprite_are_no_noise(bench: Any) -> None:
    """16 x 16 with NEAREST, as the pipeline makes it: no larger than the blocks that tell shapes from noise."""
    dots = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    for x, y in itertools.product(range(2, 14), range(2, 14)):
        dots.putpixel((x, y), (200, 30, 30, 255) if (x + y) % 2 else (240, 240, 200, 255))

    def sprite(served: Any) -> None:
        dots.putpixel((8, 8), (0, 60 * served.number, 0, 255))
        picture(dots)(served)

    bench.gateway.spoil = sprite
    plan = bench.plan(2, (Operation.PIPELINE,))
    small = tuple(asset.model_copy(update={"width": 16, "height": 16}) for asset in plan.assets)
    assert bench.verify(plan.model_copy(update={"assets": small})).verdict.outcome is Outcome.SUCCESSFUL


def test_the_same_bytes_for_other_seeds_are_an_old_picture_from_a_cache(bench: Any) -> None:
    bench.gateway.spoil = picture(Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
    report = bench.verify()
    assert report.verdict.outcome is Outcome.FAILED
    assert "cache" in report.verdict.sentence
    assert report.total == 3, "the first of the twins counts as well, so that three are enough"
