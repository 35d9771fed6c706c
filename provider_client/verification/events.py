"""What happens during a run, for whoever watches: the terminal, the engine's log, an NDJSON stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from provider_client.verification.judging import Verdict
from provider_client.verification.measurement import Outcome, brief


@dataclass(frozen=True, kw_only=True)
class Started:
    """The run begins; `estimate_usd` is None when no price is known."""

    provider: str
    target: str
    planned: int
    estimate_usd: float | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The target does not answer as expected yet."""

    reason: str
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class HealthChecked:
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, kw_only=True)
class AssetStarted:
    number: int
    planned: int
    name: str
    operation: str


@dataclass(frozen=True, kw_only=True)
class AssetFinished:
    """`done` counts finished assets; `sentence` says what is wrong, empty when nothing is."""

    number: int
    done: int
    planned: int
    name: str
    operation: str
    outcome: Outcome
    seconds: float | None
    budget: float
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """No further asset will be paid for."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    verdict: Verdict
    spent_usd: float | None


Event = Started | Waiting | HealthChecked | AssetStarted | AssetFinished | Stopped | Judged

MARKS = {Outcome.SUCCESSFUL: "ok", Outcome.INCONCLUSIVE: "slow", Outcome.ERROR: "ERROR", Outcome.FAILED: "FAILED"}


def describe(event: Event) -> str:
    """One short line, such as "txt2img 3/4 ok 9.8 s"."""
    match event:
        case Started():
            cost = "" if event.estimate_usd is None else f", about ${event.estimate_usd:.2f} at most"
            return (
                f"verifying {event.provider} with {event.planned} asset{'' if event.planned == 1 else 's'}{cost}"
            )
        case Waiting():
            return f"waiting for the gateway, {event.seconds_left:.0f} s left: {brief(event.reason)}"
        case HealthChecked():
            return f"health {MARKS[event.outcome]}: {brief(event.sentence)}"
        case AssetStarted():
            return f"{event.operation} {event.number}/{event.planned} started: {event.name}"
        case AssetFinished():
            time = "" if event.seconds is None else f" {event.seconds:.1f} s"
            reason = f": {brief(event.sentence)}" if event.sentence else ""
            return f"{event.operation} {event.done}/{event.planned} {MARKS[event.outcome]}{time}{reason}"
        case Stopped():
            return f"stopped: {event.reason}"
        case Judged():
            spent = "" if event.spent_usd is None else f" (spent ${event.spent_usd:.3f})"
            return f"verdict {event.verdict.outcome}: {event.verdict.sentence}{spent}"


def event_to_json(event: Event) -> dict[str, Any]:
    """The event as one NDJSON object: its name, then its fields."""
    return {"event": type(event).__name__, **asdict(event)}
