"""The real Worker on workerd before emulated vendors: each vendor fault with the outcome and the words it must get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.supervisor import running
from provider_client.clock import SystemClock
from provider_client.http import open_client
from provider_client.models import Operation
from provider_client.verification import Outcome, Report, Target, default_plan, verify
from tests.worker.worker_harness import TOKEN, Cloud, Gateway

SPEED = 50.0
ALL = tuple(Operation)
IMAGES = (Operation.TXT2IMG,)
CUT_OUTS = (Operation.REMOVE_BACKGROUND, Operation.PIPELINE)


@pytest.fixture(scope="module")
def emulated() -> Iterator[Cloud]:
    with running(speed=SPEED) as emulator, open_client() as http:
        yield Cloud(emulator, http)


@pytest.fixture(scope="module")
def deployed(emulated: Cloud) -> dict[str, Gateway]:
    return {provider: emulated.deploy(provider) for provider in ("scenario", "comfyui", "runpod")}


@pytest.fixture(autouse=True)
def _healed(emulated: Cloud) -> Iterator[None]:
    yield
    emulated.clear_faults()


def verified(
    gateway: Gateway, provider: str, operations: tuple[Operation, ...], assets: int = 4, wall_speed: float = 1.0
) -> Report:
    """A run with smaller pictures than usual: the machine that runs the tests is small too."""
    plan = default_plan(stage="live", provider=provider, assets=assets, operations=operations)
    small = tuple(asset.model_copy(update={"width": 256, "height": 256}) for asset in plan.assets)
    target = Target(base_url=gateway.url, provider=provider, version_id=gateway.version_id, token=TOKEN)
    return verify(
        target,
        plan.model_copy(update={"assets": small}),
        http=gateway.http,
        clock=SystemClock(SPEED),
        wall=SystemClock(wall_speed),
        progress=lambda event: None,
    )


@pytest.mark.parametrize("provider", ["scenario", "comfyui", "runpod"])
def test_every_healthy_provider_is_successful_over_all_operations(
    deployed: dict[str, Gateway], provider: str
) -> None:
    report = verified(deployed[provider], provider, ALL, assets=8)
    assert report.verdict.outcome is Outcome.SUCCESSFUL, report.verdict
    assert report.passed == 8


FAULTS: list[tuple[str, dict[str, Any], tuple[Operation, ...], str]] = [
    ("model_not_found", {}, IMAGES, "MODEL_NOT_FOUND"),
    ("out_of_memory", {}, IMAGES, "OUT_OF_MEMORY"),
    ("no_image", {}, IMAGES, "EMPTY_RESULT"),
    ("blank", {}, IMAGES, "not blank"),
    ("noise", {}, IMAGES, "not noise"),
    ("wrong_size", {}, IMAGES, "size 128 x 128, expected 256 x 256"),
    ("wrong_picture", {}, IMAGES, "same picture as"),
    ("wrong_picture", {}, (Operation.IMG2IMG,), "related to input"),
    ("wrong_picture", {}, (Operation.REMOVE_BACKGROUND,), "related to input"),
    ("opaque", {}, CUT_OUTS, "the alpha channel is there but opaque"),
    ("wrong_format", {}, IMAGES, "format image/jpeg, expected image/png"),
    ("truncated_image", {}, IMAGES, "EMPTY_RESULT"),
    ("slow", {"seconds": 100}, IMAGES, "time"),
    ("down", {}, IMAGES, "UNAVAILABLE"),
]


@pytest.mark.parametrize(
    ("kind", "parameters", "operations", "words"),
    [pytest.param(*fault, id=f"{fault[0]}-{fault[2][0]}") for fault in FAULTS],
)
def test_a_lasting_fault_of_comfyui_is_failed_and_named(
    emulated: Cloud,
    deployed: dict[str, Gateway],
    kind: str,
    parameters: dict[str, Any],
    operations: tuple[Operation, ...],
    words: str,
) -> None:
    emulated.fault("comfyui", kind, times=None, **parameters)
    report = verified(deployed["comfyui"], "comfyui", operations)
    assert report.verdict.outcome is Outcome.FAILED, report.verdict
    problems = "\n".join(problem.sentence for asset in report.assets for problem in asset.problems)
    assert words in problems
    assert report.verdict.mitigation
    assert report.total <= 4


RUNPOD_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("model_not_found", {}, "MODEL_NOT_FOUND"),
    ("out_of_memory", {}, "OUT_OF_MEMORY"),
    ("no_image", {}, "EMPTY_RESULT"),
    ("blank", {}, "not blank"),
    ("noise", {}, "not noise"),
    ("wrong_size", {}, "size 128 x 128, expected 256 x 256"),
    ("timed_out", {}, "TIMEOUT"),
    ("crash", {}, "UNAVAILABLE"),
    ("slow", {"seconds": 100}, "time"),
    ("rate_limited", {"retry_after": 5}, "RATE_LIMITED"),
    ("unauthorized", {}, "AUTH"),
    ("down", {}, "UNAVAILABLE"),
]


@pytest.mark.parametrize(
    ("kind", "parameters", "words"), [pytest.param(*fault, id=fault[0]) for fault in RUNPOD_FAULTS]
)
def test_a_lasting_fault_of_runpod_is_failed_and_named(
    emulated: Cloud, deployed: dict[str, Gateway], kind: str, parameters: dict[str, Any], words: str
) -> None:
    emulated.fault("runpod_jobs", kind, times=None, **parameters)
    report = verified(deployed["runpod"], "runpod", IMAGES)
    assert report.verdict.outcome is Outcome.FAILED, report.verdict
    problems = "\n".join(problem.sentence for asset in report.assets for problem in asset.problems)
    assert words in problems
    assert report.verdict.mitigation


@pytest.mark.parametrize(
    ("service", "provider", "kind", "words"),
    [
        ("scenario", "scenario", "unauthorized", "AUTH"),
        ("r2", "comfyui", "down", "STORAGE"),
    ],
)
def test_what_stands_behind_the_gateway_fails_the_provider_and_not_the_verifier(
    emulated: Cloud, deployed: dict[str, Gateway], service: str, provider: str, kind: str, words: str
) -> None:
    emulated.fault(service, kind, times=None)
    report = verified(deployed[provider], provider, IMAGES, wall_speed=SPEED)
    assert report.verdict.outcome is Outcome.FAILED, report.verdict
    assert words in report.verdict.sentence or "storage" in report.verdict.sentence


def test_one_passing_fault_in_ten_is_inconclusive(emulated: Cloud, deployed: dict[str, Gateway]) -> None:
    emulated.fault("comfyui", "no_image", times=1)
    report = verified(deployed["comfyui"], "comfyui", IMAGES, assets=10)
    assert report.verdict.outcome is Outcome.INCONCLUSIVE, report.verdict
    assert report.verdict.more_samples == 36


def test_another_provider_under_the_same_address_is_failed_before_it_is_paid(
    emulated: Cloud, deployed: dict[str, Gateway]
) -> None:
    before = emulated.last_request()
    report = verified(deployed["scenario"], "comfyui", IMAGES, wall_speed=SPEED)
    assert report.verdict.sentence.startswith("health.provider scenario, expected comfyui")
    assert not emulated.requests("scenario", since=before)
