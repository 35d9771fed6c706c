"""The judge: every rule with the case just inside and just outside of it, and the arithmetic behind."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.verification_simulation import simulate
from provider_client.models import Operation
from provider_client.verification.judging import (
    Sample,
    claims_of,
    green_samples_needed,
    judge,
    rate_bound,
    reason_to_stop,
    tail,
)
from provider_client.verification.measurement import Measurement, Outcome, brief, worst

HEALTHY = Measurement(check="health.version", outcome=Outcome.SUCCESSFUL, measured="v1")


def failure(kind: str = "UNAVAILABLE", *, systematic: bool = False) -> Measurement:
    return Measurement(
        check="generates",
        outcome=Outcome.FAILED,
        measured=kind,
        kind=kind,
        mitigation="mend",
        systematic=systematic,
    )


def samples(pattern: str, operation: Operation = Operation.TXT2IMG) -> list[Sample]:
    """One letter per sample: . green, F failed, M failed systematically, s a little over budget, E verifier's error."""
    marks = {
        ".": None,
        "s": None,
        "F": failure(),
        "M": failure("MODEL_NOT_FOUND", systematic=True),
        "E": Measurement(check="generates", outcome=Outcome.ERROR, measured="AUTH", kind="AUTH"),
    }
    return [
        Sample(name=f"{n}", operation=operation, failure=marks[mark], over_budget=mark == "s", seconds=8.0 + n)
        for n, mark in enumerate(pattern)
    ]


VERDICTS = [
    ("....", Outcome.SUCCESSFUL, "4 of 4 assets passed every check"),
    ("F", Outcome.INCONCLUSIVE, "failures 1 > 0 over 1 sample"),
    ("M", Outcome.FAILED, "txt2img failures 1 of 1 > 0"),
    ("MM", Outcome.FAILED, "txt2img failures 2 of 2 > 0"),
    ("FF", Outcome.INCONCLUSIVE, "failures 2 > 0 over 2 samples"),
    ("FF..", Outcome.INCONCLUSIVE, "failures 2 > 0"),
    ("FFF", Outcome.FAILED, "failures in a row 3 > 2 over 3 samples"),
    ("...FFF......", Outcome.FAILED, "failures in a row 3 > 2 over 12 samples"),
    ("FF.F", Outcome.FAILED, "error rate 75% > 10% over 4 samples"),
    ("F.........", Outcome.INCONCLUSIVE, "failures 1 > 0 over 10 samples"),
    ("M.........", Outcome.INCONCLUSIVE, "failures 1 > 0 over 10 samples"),
    ("F.F.F.....", Outcome.INCONCLUSIVE, "failures 3 > 0 over 10 samples"),
    ("F.F.F.F...", Outcome.FAILED, "error rate 40% > 10% over 10 samples"),
    ("F" + 45 * ".", Outcome.SUCCESSFUL, "error rate at most"),
    ("s", Outcome.INCONCLUSIVE, "over budget 100% > 5% over 1 sample"),
    ("ss..", Outcome.FAILED, "over budget 50% > 5% over 4 samples"),
    ("s...........", Outcome.SUCCESSFUL, "11 of 12 assets passed every check, 1 over its p95 budget"),
    ("ss..........", Outcome.INCONCLUSIVE, "over budget 17% > 5%"),
    ("sss.........", Outcome.FAILED, "over budget 25% > 5%"),
    ("..E", Outcome.ERROR, "AUTH"),
    ("FFE", Outcome.ERROR, "AUTH"),
]


@pytest.mark.parametrize(("pattern", "outcome", "sentence"), VERDICTS)
def test_verdict(pattern: str, outcome: Outcome, sentence: str) -> None:
    verdict = judge([HEALTHY], samples(pattern), planned=len(pattern))
    assert (verdict.outcome, sentence in verdict.sentence) == (outcome, True), verdict


def test_an_operation_that_never_worked_fails_although_the_others_do() -> None:
    mixed = samples("....") + samples("M", Operation.IMG2IMG)
    verdict = judge([HEALTHY], mixed, planned=5)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.sentence.startswith("img2img failures 1 of 1 > 0")
    assert verdict.mitigation == "mend"


def test_an_operation_that_failed_once_for_a_passing_reason_is_inconclusive() -> None:
    mixed = samples("....") + samples("F", Operation.IMG2IMG)
    assert judge([HEALTHY], mixed, planned=5).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        ([Outcome.FAILED], Outcome.FAILED),
        ([Outcome.ERROR], Outcome.ERROR),
        ([Outcome.ERROR, Outcome.FAILED], Outcome.FAILED),
        ([Outcome.INCONCLUSIVE], Outcome.INCONCLUSIVE),
    ],
)
def test_what_concerns_the_whole_run_decides(run: list[Outcome], outcome: Outcome) -> None:
    measured = [Measurement(check="health", outcome=o, measured="x") for o in run]
    assert judge(measured, samples("...."), planned=4).outcome is outcome


def test_no_data_is_never_health() -> None:
    assert judge([], [], planned=0).outcome is Outcome.INCONCLUSIVE
    assert judge([HEALTHY], [], planned=4).outcome is Outcome.INCONCLUSIVE
    assert worst([]) is Outcome.INCONCLUSIVE


def test_health_alone_is_enough_when_nothing_else_was_planned() -> None:
    assert judge([HEALTHY], [], planned=0).outcome is Outcome.SUCCESSFUL


def test_a_plan_that_was_not_carried_out_says_why() -> None:
    verdict = judge([HEALTHY], samples(".."), planned=4, stopped="spent $0.05 of $0.04")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.sentence == "samples 2 < 4 planned: spent $0.05 of $0.04"


def test_doubt_says_how_many_samples_would_settle_it_and_what_they_cost() -> None:
    verdict = judge([HEALTHY], samples("F........."), planned=10, usd_per_sample=0.01)
    assert verdict.more_samples == 36
    assert verdict.next_step.endswith("about $0.36")


def test_the_promised_number_of_samples_does_settle_it() -> None:
    for failures in range(1, 6):
        more = green_samples_needed(failures, 12)
        assert rate_bound(failures, 12 + more) <= 0.1 < rate_bound(failures, 12 + more - 1)


def test_rates_and_percentiles_are_not_claimed_below_their_minimum_sample() -> None:
    few, enough = claims_of(samples(58 * ".")), claims_of(samples(59 * "."))
    assert "p95: not claimed" in few[1]
    assert enough[1].startswith("p95: 64.0 s over 59 warm samples")
    assert "a rate is not claimed below 29" in claims_of(samples(28 * "."))[0]
    assert "not claimed" not in claims_of(samples(29 * "."))[0]


def test_stopping_early_needs_more_than_the_final_verdict_does() -> None:
    assert reason_to_stop(samples("FF")) == ""
    assert reason_to_stop(samples("FFF")) == "3 failures in a row"
    assert reason_to_stop(samples("FF.F")) == "3 of 4 assets failed"
    assert reason_to_stop(samples("F.F..F")) == "", "1.6 %: looking often needs 1 %"
    assert reason_to_stop(samples("E")) == "the verifier itself cannot go on"


def test_the_arithmetic_of_the_tables() -> None:
    assert tail(2, 10, 0.01) == pytest.approx(0.0043, abs=1e-4)
    assert tail(2, 10, 0.10) == pytest.approx(0.2639, abs=1e-4)
    assert rate_bound(0, 29) <= 0.10 < rate_bound(0, 28)
    assert rate_bound(3, 3) == 1.0


@given(st.lists(st.sampled_from(".FMs"), max_size=30))
def test_all_green_is_successful_and_anything_failed_is_not_below_46_samples(letters: list[str]) -> None:
    pattern = "".join(letters)
    outcome = judge([HEALTHY], samples(pattern), planned=len(pattern)).outcome
    if set(pattern) <= {"."}:
        assert outcome is Outcome.SUCCESSFUL
    elif {"F", "M"} & set(pattern):
        assert outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE)


@given(st.integers(0, 20), st.integers(1, 20))
def test_more_failures_never_look_better(failures: int, more: int) -> None:
    size = failures + more + 5
    bounds = [rate_bound(count, size) for count in range(size + 1)]
    assert all(one <= other for one, other in pairwise(bounds))


def test_the_published_error_rates_hold() -> None:
    cells = {(cell.planned, cell.rate): cell.shares for cell in simulate(runs=300)}
    for planned in (4, 12, 30):
        assert cells[planned, 0.0][Outcome.SUCCESSFUL] == 1.0
        assert cells[planned, 0.01][Outcome.FAILED] <= 0.01
        assert cells[planned, 0.10][Outcome.FAILED] <= 0.10
    assert cells[12, 0.5][Outcome.SUCCESSFUL] == 0.0
    assert cells[12, 0.5][Outcome.FAILED] >= 0.85


NODE = (
    "MODEL_NOT_FOUND: RunPod: Workflow validation failed: Node 4 (errors): [{'type': 'value_not_in_list', 'details': "
    "\"ckpt_name: 'sd_xl.safetensors' not in []\", 'extra_info': {'input_name': 'ckpt_name', 'received': 1}}]"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("short", "short"),
        ("x" * 161, "x" * 158 + " …"),
        (NODE, NODE.partition("[{")[0] + "ckpt_name: 'sd_xl.safetensors' not in []"),
    ],
)
def test_a_page_of_a_vendors_text_is_cut_to_what_says_why(text: str, said: str) -> None:
    assert brief(text) == said


def test_the_verdict_quotes_a_failure_briefly() -> None:
    long = Measurement(
        check="generates", outcome=Outcome.FAILED, measured="UNKNOWN", kind="UNKNOWN", message="y" * 400
    )
    samples = [Sample(name=str(n), operation=Operation.TXT2IMG, failure=long) for n in range(3)]
    assert len(judge([], samples, planned=3).sentence) < 230
