"""Plans are data: they travel as JSON, come from YAML, and say what they cost."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provider_client.errors import ConfigError
from provider_client.models import Operation, Timings
from provider_client.verification.budget import allowance_for, budgets_for, give_up_after, judged_seconds
from provider_client.verification.plan import VerificationPlan, default_plan, game_assets, load_plan
from provider_client.verification.spending import Ledger, Price, cost_of, price_of

USUAL = default_plan(stage="live", provider="runpod", assets=4, operations=tuple(Operation))


@pytest.mark.parametrize("provider", ["scenario", "comfyui", "runpod"])
def test_a_plan_survives_the_way_through_pulumi(provider: str) -> None:
    plan = default_plan(stage="candidate", provider=provider, assets=12, operations=tuple(Operation))
    wire = json.loads(json.dumps(plan.model_dump(mode="json")), parse_int=float)
    assert VerificationPlan.model_validate(wire) == plan


def test_the_default_assets_are_ten_or_more_of_different_types_over_all_operations() -> None:
    assert len(game_assets()) >= 10
    assert len({asset.type for asset in game_assets()}) >= 6
    assert {asset.operation for asset in game_assets()} == set(Operation)


def test_operations_take_turns() -> None:
    plan = default_plan(stage="live", provider="runpod", assets=6, operations=tuple(Operation))
    assert Counter(asset.operation for asset in plan.assets) == {
        Operation.TXT2IMG: 2,
        Operation.IMG2IMG: 2,
        Operation.REMOVE_BACKGROUND: 1,
        Operation.PIPELINE: 1,
    }


def test_more_assets_than_prompts_are_named_apart() -> None:
    plan = default_plan(stage="live", provider="runpod", assets=30, operations=(Operation.TXT2IMG,))
    assert len({asset.name for asset in plan.assets}) == 30


def test_a_smoke_plan_has_one_asset_per_operation() -> None:
    plan = default_plan(stage="smoke", provider="runpod", assets=12, operations=tuple(Operation))
    assert [asset.operation for asset in plan.assets] == list(Operation)


@pytest.mark.parametrize(
    ("provider", "seconds"),
    [("scenario", (30, 40, 10, 90)), ("comfyui", (40, 45, 20, 120)), ("runpod", (40, 45, 20, 120))],
)
def test_default_budgets_are_the_upper_ends_of_the_plans_p95(provider: str, seconds: tuple[float, ...]) -> None:
    assert tuple(budgets_for(provider)[operation] for operation in Operation) == seconds


def test_one_budget_can_be_changed_alone() -> None:
    assert budgets_for("runpod", {"txt2img": 12})[Operation.TXT2IMG] == 12
    assert budgets_for("runpod", {"txt2img": 12})[Operation.PIPELINE] == 120


@pytest.mark.parametrize(
    ("provider", "cold", "new"), [("scenario", 5, 5), ("comfyui", 30, 30), ("runpod", 120, 600)]
)
def test_allowances_of_the_first_request(provider: str, cold: float, new: float) -> None:
    assert allowance_for(provider, new_release=False) == cold
    assert allowance_for(provider, new_release=True) == new


def test_nobody_waits_less_than_three_minutes_before_giving_up() -> None:
    assert give_up_after(40, 0) == 180
    assert give_up_after(120, 120) == 360


def test_a_fast_clock_does_not_cut_the_waiting_short() -> None:
    """At 200 seconds in a second three minutes are over before a busy machine has painted the picture."""
    assert give_up_after(40, 0, speed=200) / 200 > 3


def test_the_estimate_is_an_upper_bound_and_unknown_without_a_price() -> None:
    plan = default_plan(stage="live", provider="runpod", assets=2, operations=(Operation.TXT2IMG,))
    assert plan.estimate_usd == pytest.approx((2 * 40 + 120) * 0.00053)
    assert (
        default_plan(stage="live", provider="scenario", assets=2, operations=(Operation.TXT2IMG,)).estimate_usd
        is None
    )
    assert "about $0.11" in plan.describe()


def test_prices() -> None:
    assert price_of("comfyui").of(10) == 0
    assert price_of("scenario", scenario_usd_per_image=0.04).of(10) == 0.04
    assert price_of("runpod", gpu_types=["NVIDIA GeForce RTX 4090"]).of(10) == pytest.approx(0.0031)
    assert price_of("runpod", gpu_types=["NVIDIA L40", "NVIDIA H200"], gpu_count=2).of(10) == pytest.approx(0.031)
    assert price_of("runpod", gpu_types=["NVIDIA GeForce RTX 5090"]).of(10) is None, (
        "the price table has no such row"
    )
    assert cost_of(Price(per_second_usd=1.0), Timings(run_ms=2500), 99) == 2.5
    assert cost_of(Price(per_second_usd=1.0), Timings(), 9) == 9
    assert cost_of(Price(), Timings(), 9) is None


def test_a_plan_file_fills_in_defaults(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "max_spend_usd: 0.5\nbudgets: {txt2img: 12}\n"
        "assets:\n  - {name: orc, operation: txt2img, prompt: An orc, width: 512, height: 512, seed: 7}\n"
    )
    plan = load_plan(path, defaults=USUAL)
    assert (plan.assets[0].name, plan.assets[0].seed, plan.max_spend_usd) == ("orc", 7, 0.5)
    assert (plan.budget(Operation.TXT2IMG), plan.budget(Operation.PIPELINE)) == (12, 120)
    assert plan.first_request_allowance_seconds == 120


def test_what_the_stack_caps_and_prices_holds_for_a_plan_file_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("assets: [{name: orc, operation: txt2img, prompt: An orc}]")
    stack = USUAL.model_copy(update={"max_spend_usd": 2.0, "max_spend_usd_per_day": 5.0, "price": Price()})
    plan = load_plan(path, defaults=stack)
    assert (plan.max_spend_usd, plan.max_spend_usd_per_day, plan.price) == (2, 5, Price())


BAD_PLANS = {
    "": "lists no assets",
    "assets: []": "lists no assets",
    "assets: [": "is not YAML",
    "assets: [{name: orc, operation: paint, prompt: x}]": "assets.0.operation",
    "assets: [{name: orc, operation: txt2img}]": "needs a prompt",
    "assets: [{name: orc, operation: img2img, prompt: x}]": "needs a source picture",
    "assets: [{name: orc, operation: txt2img, prompt: x, width: 5}]": "assets.0.width",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nspeling: 1": "speling",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nbudgets: {paint: 3}": "budgets",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nbudgets: 3": "budgets",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nin_flight: 65": "in_flight",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nbudgets: {txt2img: -5}": "budgets.txt2img",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nbudgets: {txt2img: .nan}": "budgets.txt2img",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nmax_spend_usd: .inf": "max_spend_usd",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nformats: []": "formats",
    "assets: [{name: orc, operation: txt2img, prompt: x}]\nprovider: scenario": "is for scenario",
    "assets: [{name: orc, operation: txt2img, prompt: x, width: 1001}]": "multiple of 8",
    "assets: [{name: orc, operation: txt2img, prompt: x, seed: 4294967296}]": "assets.0.seed",
    "assets: [{name: orc, operation: txt2img, prompt: x, source: coin}]": "takes no source",
    "assets: [{name: orc, operation: txt2img, prompt: x, strength: 0.5}]": "takes no strength",
    "assets: [{name: orc, operation: pipeline, prompt: x, transparent: [0.9, 0.1]}]": "least share",
    "assets: [{name: orc, operation: txt2img, prompt: x}, {name: orc, operation: txt2img, prompt: y}]": "two assets",
    "assets: [{name: \udcff}]": "is not UTF-8",
}


@pytest.mark.parametrize(("text", "complaint"), BAD_PLANS.items())
def test_a_wrong_plan_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=complaint):
        load_plan(path, defaults=USUAL)


def test_a_missing_plan_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_plan(tmp_path / "nowhere.yaml", defaults=USUAL)


def test_the_ledger_adds_up_per_day_and_survives_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "spending.json"
    Ledger(path).add(0.25, "2026-11-23")
    Ledger(path).add(0.5, "2026-11-23")
    Ledger(path).add(1, "2026-11-24")
    assert Ledger(path).spent_today("2026-11-23") == 0.75
    path.write_text('{"2026-11-23": NaN, "2026-11-24": -5}')
    assert (Ledger(path).spent_today("2026-11-23"), Ledger(path).spent_today("2026-11-24")) == (0, 0)
    path.write_text("not json")
    assert Ledger(path).spent_today("2026-11-23") == 0


def test_the_ledger_loses_nothing_when_two_runs_write_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Ledger(tmp_path / "spending.json").add(0.01, "2026-11-23"), range(80)))
    assert Ledger(tmp_path / "spending.json").spent_today("2026-11-23") == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("observed", "speed", "reported", "judged"),
    [
        (60.0, 1.0, 12.0, 60.0),  # the real clock: what was observed
        (20.0, 20.0, 12.0, 12.4),  # 20 times as fast: 0.4 s of real overhead counts once
        (20.0, 20.0, None, 20.0),  # nothing is reported, so nothing is explained
        (240.0, 20.0, 12.0, 183.0),  # a provider that is slow in what it does not report is seen all the same
    ],
)
def test_a_fast_clock_does_not_multiply_our_own_overhead(
    observed: float, speed: float, reported: float | None, judged: float
) -> None:
    timings = Timings(run_ms=None if reported is None else reported * 1000)
    assert judged_seconds(observed, timings, speed=speed) == pytest.approx(judged)
