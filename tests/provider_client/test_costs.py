"""The cost model against the price table of the RunPod reference page, section 5.1, and by hand."""

from __future__ import annotations

import math

import pytest

from provider_client.config.keys import RunPod
from provider_client.costs import (
    Endpoint,
    Range,
    Usage,
    break_even_images,
    limit_warnings,
    money,
    plan_correction,
    preview_sentence,
    runpod_cost,
    saving,
    scenario_cost,
)
from provider_client.gpu_catalog import Price, live_catalog, packaged_catalog

CATALOG = packaged_catalog()


def endpoint(gpu: str = "NVIDIA L40", **changes: object) -> Endpoint:
    return Endpoint.declared(RunPod.model_validate({"workersMin": 1, "gpuTypes": (gpu,), **changes}))


@pytest.mark.parametrize(
    ("gpu", "per_day", "cold_low", "cold_high"),
    [
        ("NVIDIA RTX A4000", 13.82, 0.005, 0.019),
        ("NVIDIA L4", 16.42, 0.006, 0.023),
        ("NVIDIA GeForce RTX 4090", 26.78, 0.009, 0.037),
        ("NVIDIA A40", 29.38, 0.010, 0.041),
        ("NVIDIA L40", 45.79, 0.016, 0.064),
        ("NVIDIA A100 80GB PCIe", 65.66, 0.023, 0.091),
        ("NVIDIA B200", 207.36, 0.072, 0.288),
    ],
)
def test_the_figures_are_those_of_the_price_table(
    gpu: str, per_day: float, cold_low: float, cold_high: float
) -> None:
    """One worker always on, and one cold start of 30 to 120 s, per pool."""
    cost = runpod_cost(endpoint(gpu), CATALOG.price([gpu]), Usage())
    assert cost.live_workers_per_day == per_day
    assert cost.cold_start is not None
    assert cost.cold_start.low == pytest.approx(cold_low, abs=0.0005)
    assert cost.cold_start.high == pytest.approx(cold_high, abs=0.0005)


@pytest.mark.parametrize(("seconds", "usd"), [(60, 0.032), (300, 0.159)])
def test_idle_time_is_billed_after_each_burst(seconds: int, usd: float) -> None:
    """60 s of an L40 cost $0.032, 300 s $0.159; ten bursts a day ten times that."""
    cost = runpod_cost(
        endpoint(idleTimeoutSeconds=seconds), CATALOG.price(["NVIDIA L40"]), Usage(bursts_per_day=10)
    )
    assert cost.idle_per_burst == pytest.approx(usd, abs=0.0005)
    assert cost.idle_per_day == pytest.approx(10 * (cost.idle_per_burst or 0))


def test_workers_kept_while_runpod_is_neither_live_nor_candidate_are_a_figure_of_their_own() -> None:
    """standbyWorkersMin 2 costs twice the day of one worker, whatever workersMin says."""
    cost = runpod_cost(endpoint(standbyWorkersMin=2), CATALOG.price(["NVIDIA L40"]), Usage())
    assert (cost.live_workers_per_day, cost.standby_workers_per_day) == (45.79, 91.58)


def test_a_day_without_always_on_workers_is_work_cold_starts_and_idle_time() -> None:
    """100 images of 10 s in 4 bursts, 30 s idle each, on an L40."""
    usage = Usage(images_per_day=100, bursts_per_day=4, seconds_per_image=Range(10, 10))
    cost = runpod_cost(endpoint(workersMin=0), Price(0.00053, "test"), usage)
    assert cost.per_day is not None
    assert cost.per_day.low == pytest.approx(0.00053 * (1000 + 4 * (30 + 30)))
    assert cost.per_day.high == pytest.approx(0.00053 * (1000 + 4 * (120 + 30)))


def test_always_on_workers_are_not_paid_twice_for_the_work_they_do() -> None:
    """What fits into the always-on worker's day costs nothing more in the best case."""
    usage = Usage(images_per_day=100, seconds_per_image=Range(10, 10))
    cost = runpod_cost(endpoint(), Price(0.00053, "test"), usage)
    assert cost.per_day is not None
    assert cost.per_day.low == pytest.approx(45.79)
    assert cost.per_day.high == pytest.approx(45.79 + 0.53)


def test_unknown_bursts_widen_the_day_from_one_burst_to_one_per_image() -> None:
    """Without --bursts-per-day nothing is guessed: the range holds both ends."""
    usage = Usage(images_per_day=100, seconds_per_image=Range(10, 10))
    cost = runpod_cost(endpoint(workersMin=0), Price(0.001, "test"), usage)
    assert cost.per_day is not None
    assert cost.per_day.low == pytest.approx(0.001 * (1000 + 60))
    assert cost.per_day.high == pytest.approx(0.001 * (1000 + 100 * 150))


def test_nothing_is_guessed_where_the_catalog_has_no_price() -> None:
    """The table has no row for the 5090's pool."""
    gpu = "NVIDIA GeForce RTX 5090"
    cost = runpod_cost(endpoint(gpu), CATALOG.price([gpu]), Usage(images_per_day=10))
    assert (cost.live_workers_per_day, cost.per_image, cost.per_day) == (None, None, None)
    assert gpu in cost.unknown[0]


def test_no_idle_time_is_made_up_for_request_count_scaling() -> None:
    """RunPod has no idle time-out there."""
    scaled = endpoint(scaling={"type": "REQUEST_COUNT", "value": 4})
    cost = runpod_cost(scaled, CATALOG.price(["NVIDIA L40"]), Usage(bursts_per_day=3))
    assert (cost.idle_per_burst, cost.idle_per_day) == (None, None)
    assert any("idle" in reason for reason in cost.unknown)


def test_savings_are_of_the_work_alone_until_images_per_day_are_known() -> None:
    """20-40 s of an L40 against $0.05 an image: 58 to 79 % less."""
    cost = runpod_cost(endpoint(workersMin=0), CATALOG.price(["NVIDIA L40"]), Usage())
    found = saving(cost, scenario_cost(0.05, Usage()))
    assert found is not None
    assert found.basis == "per_image"
    assert (round(found.share.low, 2), round(found.share.high, 2)) == (0.58, 0.79)


def test_savings_of_a_day_count_what_stands_idle() -> None:
    """100 images at $0.05 are $5.00; an always-on L40 costs nine times that."""
    usage = Usage(images_per_day=100)
    found = saving(runpod_cost(endpoint(), CATALOG.price(["NVIDIA L40"]), usage), scenario_cost(0.05, usage))
    assert found is not None
    assert found.basis == "per_day"
    assert found.share.high == pytest.approx(1 - 45.79 / 5)


def test_no_saving_is_claimed_without_a_baseline() -> None:
    """Scenario's price is the user's own; without it there is nothing to compare with."""
    cost = runpod_cost(endpoint(), CATALOG.price(["NVIDIA L40"]), Usage())
    assert saving(cost, scenario_cost(None, Usage())) is None


def test_break_even_of_an_always_on_worker() -> None:
    """$45.79 are 916 images at $0.05; where an image's work costs more than that, there may be no such point."""
    cost = runpod_cost(endpoint(), CATALOG.price(["NVIDIA L40"]), Usage())
    found = break_even_images(cost, 0.05)
    assert found is not None
    assert round(found.low) == 916
    assert round(found.high) == round(45.79 / (0.05 - 40 * 0.00053))
    assert math.isinf((break_even_images(cost, 0.01) or Range(0, 0)).high)


def test_the_plans_price_of_an_l40_is_corrected() -> None:
    """$16-28 a day is the price of the 24 GB pools."""
    said = plan_correction(["NVIDIA L40"], CATALOG.price(["NVIDIA L40"]), CATALOG)
    assert said is not None
    assert "$45.79" in said
    assert "2026-06-08" in said
    assert "AMPERE_24 $16.42, ADA_24 $26.78" in said


@pytest.mark.parametrize("gpu", ["NVIDIA L4", "NVIDIA A40"])
def test_other_gpus_need_no_correction(gpu: str) -> None:
    """The plan spoke of the L40 alone."""
    assert plan_correction([gpu], CATALOG.price([gpu]), CATALOG) is None


def test_a_live_price_that_makes_the_plan_right_is_not_corrected() -> None:
    """$1.00 an hour would be $24 a day."""
    catalog = live_catalog(
        [{"id": "NVIDIA L40", "pool": "ADA_48_PRO", "price": {"serverless": 1.0}}], "2026-11-23"
    )
    assert plan_correction(["NVIDIA L40"], catalog.price(["NVIDIA L40"]), catalog) is None


def test_the_worker_quota_counts_all_endpoints() -> None:
    """3 + 3 workers pass the default quota of 5; 2 + 3 do not."""
    assert limit_warnings(3, 2, None) == []
    assert "6 workers" in limit_warnings(3, 3, None)[0]
    assert "this endpoint alone" in limit_warnings(6, None, None)[0]


def test_the_spend_limit_is_per_hour() -> None:
    """Ten B200 cost $86.40 an hour, nine $77.76."""
    price = CATALOG.price(["NVIDIA B200"])
    assert "$86.40" in limit_warnings(10, None, price)[-1]
    assert not any("$" in warning for warning in limit_warnings(9, None, price))


def test_the_preview_says_standing_idle_and_cold_cost_with_their_source() -> None:
    """One sentence, with the workers that apply."""
    price = CATALOG.price(["NVIDIA L40"])
    said = preview_sentence(endpoint(), price, needed=True)
    assert said.startswith(
        "1 worker always on: $45.79 a day; idle after a burst: $0.0159; a cold start: $0.0159 to"
    )
    assert "2026-06-08" in said
    assert preview_sentence(endpoint(), price, needed=False).startswith("no worker always on: $0.00 a day")
    assert "not known" in preview_sentence(endpoint(), None, needed=True)


def test_money_shows_the_digits_that_matter() -> None:
    """Cents from a dollar up, a hundredth of a cent below."""
    assert money(Range(0.0159, 0.0636)) == "$0.0159 to $0.0636"
    assert money(Range(0, 0.05)) == "$0.00 to $0.05"
    assert money(Range(1374, 1374)) == "$1,374.00"
