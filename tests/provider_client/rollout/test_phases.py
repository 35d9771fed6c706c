import pytest

from provider_client.rollout.phases import Declared, Observed, RolloutPhase, next_step, phase_of
from provider_client.rollout.traffic import Share, Split

SCENARIO: Split = (Share("scenario", "v1", 100),)
RUNPOD: Split = (Share("runpod", "v2", 100),)
CANARY: Split = (Share("scenario", "v1", 90), Share("runpod", "v2", 10))
SHADOW: Split = (Share("scenario", "v1", 100), Share("runpod", "v2", 0))
WANTS_SCENARIO, WANTS_RUNPOD = Declared("scenario"), Declared("runpod")


@pytest.mark.parametrize(
    ("declared", "live", "phase", "words"),
    [
        (None, Observed(()), RolloutPhase.DRY_RUN, "switchback generate"),
        (WANTS_SCENARIO, Observed(SCENARIO), RolloutPhase.STEADY, "to switch"),
        (WANTS_RUNPOD, Observed(SCENARIO), RolloutPhase.STEADY, "`pulumi up` verifies runpod"),
        (WANTS_SCENARIO, Observed(SHADOW), RolloutPhase.SHADOW, "imageGenerationProvider runpod"),
        (Declared("scenario", "runpod"), Observed(SCENARIO), RolloutPhase.SHADOW, "candidatePercent 10"),
        (
            Declared("scenario", "runpod", 10),
            Observed(CANARY),
            RolloutPhase.CANARY,
            "imageGenerationProvider runpod",
        ),
        (
            WANTS_RUNPOD,
            Observed(RUNPOD, previous_provider="scenario", hours_since=3),
            RolloutPhase.SWITCHED,
            "rollback --now",
        ),
        (
            WANTS_RUNPOD,
            Observed(RUNPOD, previous_provider="scenario", hours_since=49),
            RolloutPhase.STEADY,
            "to switch",
        ),
        (
            WANTS_RUNPOD,
            Observed(SCENARIO, "d-3", is_rollback=True),
            RolloutPhase.ROLLED_BACK,
            "switchback reconcile",
        ),
        (
            WANTS_SCENARIO,
            Observed(SCENARIO, "d-3", is_rollback=True, previous_provider="runpod"),
            RolloutPhase.ROLLED_BACK,
            "acknowledgeRollback d-3",
        ),
    ],
)
def test_the_phase_and_what_comes_next(
    declared: Declared | None, live: Observed, phase: RolloutPhase, words: str
) -> None:
    assert phase_of(declared, live) is phase
    assert words in next_step(declared, live)
