"""From samples to a verdict. Pure functions of measurements: no clock, no network, no provider names.

The rules, in this order:

1. What concerns the whole run decides alone: the wrong provider or version is FAILED, the verifier's own trouble ERROR.
2. Three failures in a row are an outage: FAILED.
3. An operation that never worked, for a reason that repeating cannot change (a missing model), is FAILED.
4. FAILED when the sample shows, at 95 % confidence, an error rate above 10 %, with at least three failures.
5. FAILED when more requests were over their budget than a p95 budget explains, at 95 % confidence.
6. Any failure left over is INCONCLUSIVE, until enough green samples bound the error rate below 10 %.
7. All green is SUCCESSFUL, even with four assets: it claims what was seen, and no rate or percentile.

Ten assets cannot prove a 10 % error rate and have no p95; what a run of n proves is said in `claims`.
benchmarks/verification_simulation.py measures how often these rules are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from provider_client.models import Operation
from provider_client.verification.budget import SHARE_OVER_BUDGET
from provider_client.verification.measurement import Measurement, Outcome, brief

MAX_ERROR_RATE: Final = 0.10
SIGNIFICANCE: Final = 0.05
EARLY_SIGNIFICANCE: Final = 0.01  # looking after every asset is looking often, so each look must be surer
LEAST_FAILURES: Final = 3
IN_A_ROW: Final = 3
EXPLAINED: Final = 0.20  # what a p95 budget allows by chance this often is no reason to doubt
MINIMUM_FOR_RATE: Final = 29  # 29 green samples bound the error rate below 10 % at 95 % confidence
MINIMUM_FOR_P95: Final = 59  # 0.95 ** 59 < 5 %


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One asset as the judge sees it: `failure` is its worst failed or erroneous measurement."""

    name: str
    operation: Operation
    failure: Measurement | None = None
    over_budget: bool = False
    seconds: float | None = None
    cold: bool = False

    @property
    def failed(self) -> bool:
        return self.failure is not None and self.failure.outcome is Outcome.FAILED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was seen, in one sentence: "4 of 4 assets passed every check", or
    "<metric> <measured> > <limit> over <n> samples; <the first failure>". `next_step` says what would settle it.
    """

    outcome: Outcome
    sentence: str
    next_step: str = ""
    mitigation: str = ""
    more_samples: int = 0
    claims: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def tail(failures: int, samples: int, rate: float) -> float:
    """The chance of at least `failures` among `samples`, if each fails with `rate`."""
    below = (math.comb(samples, k) * rate**k * (1 - rate) ** (samples - k) for k in range(failures))
    return max(0.0, 1.0 - sum(below))


def rate_bound(failures: int, samples: int) -> float:
    """The highest error rate that the sample does not exclude at 95 % confidence (Clopper-Pearson, one-sided)."""
    if failures >= samples:
        return 1.0
    low, high = failures / samples, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - tail(failures + 1, samples, middle) > SIGNIFICANCE else (low, middle)
    return high


def green_samples_needed(failures: int, samples: int) -> int:
    """How many more samples, all green, would bound the error rate below 10 %."""
    total = samples
    while 1 - tail(failures + 1, total, MAX_ERROR_RATE) > SIGNIFICANCE:
        total += 1
    return total - samples


def failures_at_end(samples: Sequence[Sample]) -> int:
    """Failures at the end of the samples, one after the other."""
    streak = 0
    for sample in reversed(samples):
        if not sample.failed:
            break
        streak += 1
    return streak


def reason_to_stop(samples: Sequence[Sample]) -> str:
    """Asked after every asset: a reason to pay for no more, or "". Only what cannot become green again counts."""
    if samples and samples[-1].failure is not None and samples[-1].failure.outcome is Outcome.ERROR:
        return "the verifier itself cannot go on"
    if failures_at_end(samples) >= IN_A_ROW:
        return f"{IN_A_ROW} failures in a row"
    failures = sum(sample.failed for sample in samples)
    if failures >= LEAST_FAILURES and tail(failures, len(samples), MAX_ERROR_RATE) <= EARLY_SIGNIFICANCE:
        return f"{failures} of {len(samples)} assets failed"
    return ""


def judge(
    run: Sequence[Measurement],
    samples: Sequence[Sample],
    *,
    planned: int,
    stopped: str = "",
    usd_per_sample: float | None = None,
) -> Verdict:
    """The verdict over a run: `run` are measurements of the target as a whole, `stopped` is why it ended early."""
    verdict = (
        _of_the_run(run)
        or _of_the_verifier(samples)
        or _of_failures(samples)
        or _of_slowness(samples)
        or _of_doubt(samples, usd_per_sample)
        or _of_what_is_missing(run, samples, planned, stopped)
    )
    claims, remarks = claims_of(samples), _remarks(run, samples)
    return Verdict(**{**vars(verdict), "claims": claims, "remarks": remarks})


def claims_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """What the sample shows about rates and percentiles, and what it is too small to show."""
    if not samples:
        return ()
    count, failures = len(samples), sum(sample.failed for sample in samples)
    claims = [f"error rate: {failures} of {count} failed"]
    if failures < count:
        claims[0] += f", so at most {rate_bound(failures, count):.0%} at 95% confidence"
    if count < MINIMUM_FOR_RATE:
        claims[0] += f" (a rate is not claimed below {MINIMUM_FOR_RATE} samples)"
    made = [sample for sample in samples if sample.failure is None]
    warm = sorted(sample.seconds for sample in made if sample.seconds is not None and not sample.cold)
    if len(warm) >= MINIMUM_FOR_P95:
        claims.append(f"p95: {warm[math.ceil(0.95 * len(warm)) - 1]:.1f} s over {len(warm)} warm samples")
    elif warm:
        claims.append(
            f"p95: not claimed, {_samples(len(warm), 'warm ')} of {MINIMUM_FOR_P95} needed;"
            f" the slowest took {warm[-1]:.1f} s"
        )
    return tuple(claims)


def _of_the_run(run: Sequence[Measurement]) -> Verdict | None:
    for outcome in (Outcome.FAILED, Outcome.ERROR):
        for measurement in run:
            if measurement.outcome is outcome:
                return _because(measurement)
    return None


def _of_the_verifier(samples: Sequence[Sample]) -> Verdict | None:
    errors = [sample.failure for sample in samples if sample.failure and sample.failure.outcome is Outcome.ERROR]
    return _because(errors[0]) if errors else None


def _because(measurement: Measurement) -> Verdict:
    sentence = brief(measurement.sentence)
    return Verdict(outcome=measurement.outcome, sentence=sentence, mitigation=measurement.mitigation)


def _of_failures(samples: Sequence[Sample]) -> Verdict | None:
    failed = [sample for sample in samples if sample.failed]
    if not failed:
        return None
    count = len(samples)
    sentence = (
        _streak_sentence(samples)
        or _never_worked_sentence(samples)
        or (
            f"error rate {len(failed) / count:.0%} > {MAX_ERROR_RATE:.0%} over {_samples(count)}"
            if len(failed) >= LEAST_FAILURES and tail(len(failed), count, MAX_ERROR_RATE) <= SIGNIFICANCE
            else ""
        )
    )
    if not sentence:
        return None
    leading = _most_common([sample.failure for sample in failed if sample.failure])
    return Verdict(
        outcome=Outcome.FAILED, sentence=f"{sentence}; {brief(leading.sentence)}", mitigation=leading.mitigation
    )


def _streak_sentence(samples: Sequence[Sample]) -> str:
    streak = max((failures_at_end(samples[: end + 1]) for end in range(len(samples))), default=0)
    if streak < IN_A_ROW:
        return ""
    return f"failures in a row {streak} > {IN_A_ROW - 1} over {_samples(len(samples))}"


def _never_worked_sentence(samples: Sequence[Sample]) -> str:
    for operation in dict.fromkeys(sample.operation for sample in samples):
        tried = [sample for sample in samples if sample.operation is operation]
        checks = {sample.failure.check for sample in tried if sample.failed and sample.failure}
        systematic = all(sample.failed and sample.failure and sample.failure.systematic for sample in tried)
        if systematic and len(checks) == 1:
            return f"{operation} failures {len(tried)} of {len(tried)} > 0 over {_samples(len(tried))}"
    return ""


def _of_slowness(samples: Sequence[Sample]) -> Verdict | None:
    timed = [sample for sample in samples if sample.seconds is not None]
    slow = [sample for sample in timed if sample.over_budget and not sample.failed]
    chance = tail(len(slow), len(timed), SHARE_OVER_BUDGET)
    if not slow or chance > EXPLAINED:
        return None
    sentence = f"over budget {len(slow) / len(timed):.0%} > {SHARE_OVER_BUDGET:.0%} over {_samples(len(timed))}"
    if len(slow) >= 2 and chance <= SIGNIFICANCE:
        return Verdict(
            outcome=Outcome.FAILED,
            sentence=sentence,
            mitigation="keep one worker warm (runpod.workersMin 1), take a faster GPU, or raise verification.budgets",
        )
    total = len(timed)
    while tail(len(slow), total, SHARE_OVER_BUDGET) <= EXPLAINED:
        total += 1
    more = total - len(timed)
    return Verdict(
        outcome=Outcome.INCONCLUSIVE,
        sentence=f"{sentence}, which so few cannot prove",
        more_samples=more,
        next_step=f"needs {_samples(more, 'more ')} within their budget",
    )


def _of_doubt(samples: Sequence[Sample], usd_per_sample: float | None) -> Verdict | None:
    failed = [sample for sample in samples if sample.failed]
    if not failed:
        return None
    more = green_samples_needed(len(failed), len(samples))
    if more == 0:
        return None
    leading = _most_common([sample.failure for sample in failed if sample.failure])
    cost = "" if usd_per_sample is None else f", about ${more * usd_per_sample:.2f}"
    return Verdict(
        outcome=Outcome.INCONCLUSIVE,
        sentence=f"failures {len(failed)} > 0 over {_samples(len(samples))}, too few to prove an error rate"
        f" > {MAX_ERROR_RATE:.0%}; {brief(leading.sentence)}",
        mitigation=leading.mitigation,
        more_samples=more,
        next_step=f"needs {_samples(more, 'more ')}, all green,"
        f" to show an error rate below {MAX_ERROR_RATE:.0%}{cost}",
    )


def _of_what_is_missing(
    run: Sequence[Measurement], samples: Sequence[Sample], planned: int, stopped: str
) -> Verdict:
    doubts = [measurement for measurement in run if measurement.outcome is Outcome.INCONCLUSIVE]
    if doubts:
        return _because(doubts[0])
    if len(samples) < planned:
        why = f": {stopped}" if stopped else ""
        return Verdict(outcome=Outcome.INCONCLUSIVE, sentence=f"samples {len(samples)} < {planned} planned{why}")
    if not run and not samples:
        return Verdict(outcome=Outcome.INCONCLUSIVE, sentence="samples 0: no data is never health")
    if not samples:
        return Verdict(outcome=Outcome.SUCCESSFUL, sentence="health as expected; nothing was generated")
    failures = sum(sample.failed for sample in samples)
    if failures:
        bound = rate_bound(failures, len(samples))
        return Verdict(
            outcome=Outcome.SUCCESSFUL,
            sentence=f"error rate at most {bound:.1%} <= {MAX_ERROR_RATE:.0%} over {_samples(len(samples))}",
        )
    slow = sum(sample.over_budget for sample in samples)
    within = f", {slow} over its p95 budget" if slow else ""
    return Verdict(
        outcome=Outcome.SUCCESSFUL,
        sentence=f"{len(samples) - slow} of {len(samples)} assets passed every check{within}",
    )


def _remarks(run: Sequence[Measurement], samples: Sequence[Sample]) -> tuple[str, ...]:
    slow = [sample.name for sample in samples if sample.over_budget and not sample.failed]
    remarks = [measurement.sentence for measurement in run if measurement.outcome is Outcome.INCONCLUSIVE]
    if slow:
        remarks.append(f"{len(slow)} of {len(samples)} over their p95 budget: {', '.join(slow)}")
    return tuple(remarks)


def _samples(count: int, kind: str = "") -> str:
    return f"{count} {kind}sample{'' if count == 1 else 's'}"


def _most_common(failures: Sequence[Measurement]) -> Measurement:
    checks = [(failure.check, failure.kind) for failure in failures]
    return max(failures, key=lambda failure: checks.count((failure.check, failure.kind)))
