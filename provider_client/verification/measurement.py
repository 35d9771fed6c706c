"""What one check saw. Errors are values here: one bad answer never ends the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Four words, best first. ERROR means the verifier could not judge, whatever the provider is like."""

    SUCCESSFUL = "SUCCESSFUL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"
    FAILED = "FAILED"


_FROM_BEST = tuple(Outcome)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several; of none it is INCONCLUSIVE, because no data is never health."""
    ranked = sorted(outcomes, key=_FROM_BEST.index)
    return ranked[-1] if ranked else Outcome.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One check of one thing: what was measured, against what, and what to do when it is wrong.

    `systematic` says that repeating the request would not help (a missing model, a wrong size),
    so that a few samples are proof where a sporadic failure would need many.
    """

    check: str
    outcome: Outcome
    measured: str
    limit: str = ""
    message: str = ""
    kind: str = ""
    mitigation: str = ""
    systematic: bool = False

    @property
    def sentence(self) -> str:
        """ "<check> <measured>, expected <limit>: <message>" for a person."""
        parts = f"{self.check} {self.measured}"
        if self.limit:
            parts += f", expected {self.limit}"
        return f"{parts}: {self.message}" if self.message else parts


def passed(check: str, measured: str, limit: str = "") -> Measurement:
    return Measurement(check=check, outcome=Outcome.SUCCESSFUL, measured=measured, limit=limit)
