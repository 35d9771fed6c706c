"""Which phase of the rollout a stack is in, and what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from provider_client.rollout.traffic import Split

WATCH_HOURS = 48.0


class RolloutPhase(StrEnum):
    """dry run → shadow → canary → switched → steady; a rollback leads out of any of them."""

    DRY_RUN = "dry run"  # nothing serves yet
    SHADOW = "shadow"  # a candidate is deployed beside the live version and gets no traffic
    CANARY = "canary"  # the candidate gets a part of the traffic
    SWITCHED = "switched"  # another provider serves since less than 48 h: verify and watch
    STEADY = "steady"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Declared:
    """What the stack's configuration wants."""

    provider: str
    candidate: str | None = None
    candidate_percent: float = 0


@dataclass(frozen=True)
class Observed:
    """What the deployment history says: the live split, whether it is a rollback, and since when who serves."""

    split: Split
    deployment_id: str = ""
    deployed_on: str = ""
    is_rollback: bool = False
    previous_provider: str | None = None
    hours_since: float | None = None

    @property
    def provider(self) -> str | None:
        return max(self.split, key=lambda share: share.percent).provider if self.split else None


def phase_of(declared: Declared | None, live: Observed) -> RolloutPhase:
    """The phase, from what is live first and from what is wanted second."""
    if not live.split:
        return RolloutPhase.DRY_RUN
    if live.is_rollback:
        return RolloutPhase.ROLLED_BACK
    if sum(share.percent > 0 for share in live.split) > 1:
        return RolloutPhase.CANARY
    wanted = declared is not None and declared.candidate not in (None, live.provider)
    if wanted or len(live.split) > 1:
        return RolloutPhase.SHADOW
    other = live.previous_provider not in (None, live.provider)
    if other and live.hours_since is not None and live.hours_since < WATCH_HOURS:
        return RolloutPhase.SWITCHED
    return RolloutPhase.STEADY


def next_step(declared: Declared | None, live: Observed) -> str:
    """One sentence with the command that comes next."""
    phase = phase_of(declared, live)
    candidate = _candidate(declared, live)
    if phase is RolloutPhase.DRY_RUN:
        return "try a provider with `switchback generate`, then `pulumi up`"
    if phase is RolloutPhase.ROLLED_BACK:
        return _after_rollback(declared, live)
    if declared is not None and declared.provider != live.provider:
        return f"`pulumi up` verifies {declared.provider} and then moves the traffic to it"
    if phase is RolloutPhase.SHADOW:
        return (
            f"`pulumi config set candidatePercent 10` for a canary, "
            f"or `pulumi config set imageGenerationProvider {candidate}`; then `pulumi up`"
        )
    if phase is RolloutPhase.CANARY:
        return f"`pulumi config set imageGenerationProvider {candidate}` and `pulumi up` when the canary is good"
    if phase is RolloutPhase.SWITCHED:
        return "`switchback verify`, and watch it for 24 to 48 h; `switchback rollback --now` leads back"
    return "to switch: `pulumi config set imageGenerationProvider <provider>` and `pulumi up`"


def _after_rollback(declared: Declared | None, live: Observed) -> str:
    if declared is None or declared.provider != live.provider:
        return "`switchback reconcile` brings the stack's config in line with what is live"
    left = live.previous_provider or "<provider>"
    return (
        f"once {left} is mended: `pulumi config set imageGenerationProvider {left}`, "
        f"`pulumi config set acknowledgeRollback {live.deployment_id}`, `pulumi up`"
    )


def _candidate(declared: Declared | None, live: Observed) -> str:
    if declared is not None and declared.candidate:
        return declared.candidate
    return next((share.provider for share in live.split if share.provider != live.provider), "<provider>")
