"""The checks: what was seen becomes measurements. Pure; the runner does the seeing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provider_client.errors import (
    ApiError,
    AuthError,
    Cancelled,
    SwitchbackError,
)
from provider_client.failure_signals import Signal
from provider_client.failures import FailureKind, classify, failure_of
from provider_client.gateway import Answer, GivenUp, WaitingState
from provider_client.models import Generation, GenerationError, GenerationStatus, Health
from provider_client.redaction import redact
from provider_client.verification.budget import GROSS_FACTOR
from provider_client.verification.measurement import Measurement, Outcome, failed, passed, plain
from provider_client.verification.plan import VerificationPlan

TOLERATED_5XX = 0.10
HEADER_FIX = "set Switchback-Version on every answer: env.VERSION.id"
SYSTEMATIC_KINDS = frozenset({"AUTH", "QUOTA", "BAD_REQUEST", "MODEL_NOT_FOUND", "OUT_OF_MEMORY"})


def check_identity(health: Health, provider: str, version_id: str | None) -> tuple[Measurement, ...]:
    """Does the gateway say that it is the expected provider, in the expected version, and ready?"""
    name = "health.provider"
    measurements = [
        passed(name, health.provider, provider)
        if health.provider == provider
        else failed(
            name, health.provider or "nobody", provider, mitigation="see which version is live: switchback status"
        )
    ]
    if version_id is not None:
        seen = health.version.id
        measurements.append(
            passed("health.version", seen, version_id)
            if seen == version_id
            else failed(
                "health.version",
                seen or "none",
                version_id,
                mitigation="wait for the deployment, or switchback status",
            )
        )
    if health.status == "ok":
        measurements.append(passed("health.status", "ok", "ok"))
    else:
        reasons = ", ".join(_not_ok(health))
        measurements.append(failed("health.status", health.status, "ok", reasons, mitigation="switchback doctor"))
    return tuple(measurements)


def _not_ok(health: Health) -> list[str]:
    """The gateway's own words for what is wrong; each of its checks is `{ok, detail}`."""
    checks = ((name, state) for name, state in health.checks.items() if isinstance(state, Mapping))
    return [f"{name}: {state.get('detail')}" for name, state in checks if not state.get("ok")]


def check_capabilities(health: Health, plan: VerificationPlan) -> tuple[Measurement, ...]:
    """Operations of the plan that the provider does not offer, named before anything is paid for."""
    missing = [op for op in plan.operations if health.operations and op not in health.operations]
    return tuple(
        Measurement(
            check="capability",
            outcome=Outcome.INCONCLUSIVE,
            measured=f"no {operation}",
            limit=operation,
            message=f"{plan.provider} does not offer it, so it was not tried",
            mitigation="leave it out of verification.operations, or stay with the provider that has it",
        )
        for operation in missing
    )


def offers_nothing(health: Health) -> bool:
    """A Worker of the user's own that says that it generates nothing; silence about it is no such statement."""
    return "operations" in health.model_fields_set and not health.operations


def check_version_header(answers: Sequence[Answer], version_id: str | None) -> tuple[Measurement, ...]:
    """The header on which every later proof of who answered rests; /health is all there is to read it from."""
    if version_id is None or not answers:
        return ()
    name, seen = "Switchback-Version", answers[-1].version_id
    if seen == version_id:
        return (passed(name, seen, version_id),)
    return (failed(name, seen or "no header", version_id, mitigation=HEADER_FIX),)


def check_spending(plan: VerificationPlan, spent_today: float) -> tuple[Measurement, ...]:
    """ERROR for each cap that the plan is expected to exceed, before the first cent."""
    estimate = plan.estimate_usd
    if estimate is None:
        return (passed("spending", "not counted: the price is not known"),)
    caps = (
        ("maxSpendUsd", estimate, plan.max_spend_usd),
        ("maxSpendUsdPerDay", spent_today + estimate, plan.max_spend_usd_per_day),
    )
    return tuple(
        Measurement(
            check="spending",
            outcome=Outcome.ERROR,
            measured=f"${usd:.2f}",
            limit=f"<= ${cap:.2f}",
            message="nothing was generated",
            mitigation=f"raise verification.{key}, or plan fewer assets",
        )
        for key, usd, cap in caps
        if cap is not None and usd > cap
    )


def check_answers(answers: Sequence[Answer], version_id: str | None) -> tuple[Measurement, ...]:
    """Over all answers of the run: did another version answer, and how many 5xx did retries hide?"""
    generating = [answer for answer in answers if answer.path != "/health"]
    if not generating:
        return ()
    broken = sum(answer.status >= 500 for answer in generating)
    share = broken / len(generating)
    return (
        _check_versions(generating, version_id),
        Measurement(
            check="5xx",
            outcome=Outcome.INCONCLUSIVE if share > TOLERATED_5XX else Outcome.SUCCESSFUL,
            measured=f"{broken} of {len(generating)} answers",
            limit=f"<= {TOLERATED_5XX:.0%}",
        ),
    )


def _check_versions(answers: Sequence[Answer], version_id: str | None) -> Measurement:
    """An error may come from before the Worker and name nobody; a success without a name proves nothing."""
    if version_id is None:
        return passed("answers", "no version was asked for")
    strangers = [answer for answer in answers if answer.version_id not in ("", version_id)]
    if strangers:
        measured = f"{len(strangers)} from version {strangers[0].version_id}"
        return failed("answers", measured, f"all from {version_id}", mitigation="switchback status")
    nameless = sum(answer.status < 300 and not answer.version_id for answer in answers)
    if nameless:
        return Measurement(
            check="answers",
            outcome=Outcome.INCONCLUSIVE,
            measured=f"{nameless} without Switchback-Version",
            limit=f"all from {version_id}",
            mitigation=HEADER_FIX,
        )
    return passed("answers", "all from the expected version")


def check_generation(generation: Generation, plan: VerificationPlan) -> list[Measurement]:
    """Did it generate, and did the expected provider do it?"""
    if generation.status is not GenerationStatus.SUCCEEDED:
        return [check_error(generation.error, generation.status, generation.provider)]
    if not generation.assets:
        return [failed("generates", "no asset", "1 asset", "succeeded without a picture")]
    measurements = [passed("generates", "1 asset", "1 asset")]
    if plan.provider and generation.provider != plan.provider:
        measurements.append(
            failed("made by", generation.provider, plan.provider, "another provider made the picture")
        )
    return measurements


def check_error(error: GenerationError | None, status: str, provider: str) -> Measurement:
    """A generation that the gateway reports as failed: the provider's failure, classified by the gateway."""
    if error is None:
        return failed("generates", status, "succeeded", "no reason was given", systematic=False)
    mitigation = error.mitigation or failure_of(_kind(error.kind), error.message, provider=provider).mitigation
    return _not_generated(error.kind, redact(error.message), mitigation)


def check_exception(error: SwitchbackError, provider: str) -> Measurement:
    """A call that did not come back with a generation. Our own token refused is our trouble, not the provider's."""
    if isinstance(error, Cancelled):
        return _not_generated("CANCELLED", error.message, "", outcome=Outcome.ERROR)
    if isinstance(error, AuthError):
        failure = classify(error, provider="gateway")
        return _not_generated(failure.kind, failure.message, failure.mitigation, outcome=Outcome.ERROR)
    if isinstance(error, ApiError) and error.code in FailureKind.__members__:
        failure = failure_of(FailureKind(error.code), error.message, provider=provider)
    elif isinstance(error, GivenUp) and error.state is WaitingState.HELD_BACK:
        failure = failure_of(FailureKind.RATE_LIMITED, error.message, provider=provider)
    elif isinstance(error, GivenUp):
        signal = Signal(provider, None, f"deadline:{error.state.name.lower()}", error.message)
        failure = classify(signal, provider=provider)
    else:
        failure = classify(error, provider="gateway")
    return _not_generated(failure.kind, failure.message, error.fix or failure.mitigation)


def _not_generated(kind: str, message: str, mitigation: str, outcome: Outcome = Outcome.FAILED) -> Measurement:
    return Measurement(
        check="generates",
        outcome=outcome,
        measured=plain(kind),
        limit="succeeded",
        message=plain(message),
        kind=plain(kind),
        mitigation=plain(mitigation),
        systematic=kind in SYSTEMATIC_KINDS,
    )


def _kind(name: str) -> FailureKind:
    return FailureKind(name) if name in FailureKind.__members__ else FailureKind.UNKNOWN


def check_time(seconds: float, budget: float, allowance: float, *, cold: bool) -> Measurement:
    """A cold first request is held against budget plus allowance; a warm one fails at twice its budget.

    Between once and twice the budget it is INCONCLUSIVE on its own: a p95 budget lets one in twenty be there.
    """
    limit = budget + allowance if cold else budget
    check = "time (cold)" if cold else "time"
    measured, shown = f"{seconds:.1f} s", f"<= {limit:.0f} s"
    if seconds <= limit:
        return passed(check, measured, shown)
    if not cold and seconds <= GROSS_FACTOR * budget:
        return Measurement(check=check, outcome=Outcome.INCONCLUSIVE, measured=measured, limit=shown)
    return Measurement(
        check=check,
        outcome=Outcome.FAILED,
        measured=measured,
        limit=shown,
        kind="TIMEOUT",
        mitigation="keep one worker warm (runpod.workersMin 1), take a faster GPU, or raise verification.budgets",
    )
