"""How long each operation may take, in seconds.

The defaults are the upper ends of the rollout plan's p95 ranges; ComfyUI uses RunPod's, being the same software.
A budget is a p95: one request in twenty may honestly take longer. Twice the budget is a failure all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provider_client.models import Operation, Timings

_SCENARIO: Final = {
    Operation.TXT2IMG: 30.0,
    Operation.IMG2IMG: 40.0,
    Operation.REMOVE_BACKGROUND: 10.0,
    Operation.PIPELINE: 90.0,
}
_RUNPOD: Final = {
    Operation.TXT2IMG: 40.0,
    Operation.IMG2IMG: 45.0,
    Operation.REMOVE_BACKGROUND: 20.0,
    Operation.PIPELINE: 120.0,
}
DEFAULT_BUDGETS: Final[Mapping[str, Mapping[Operation, float]]] = {
    "scenario": _SCENARIO,
    "comfyui": _RUNPOD,
    "runpod": _RUNPOD,
}
COLD_ALLOWANCE_SECONDS: Final[Mapping[str, float]] = {"scenario": 5.0, "comfyui": 30.0, "runpod": 120.0}
NEW_RELEASE_ALLOWANCE_SECONDS: Final[Mapping[str, float]] = {"runpod": 600.0}

SHARE_OVER_BUDGET: Final = 0.05  # what "p95" leaves over
GROSS_FACTOR: Final = 2.0
REAL_OVERHEAD_SECONDS: Final = 3.0  # seen on two cores with a load of ten
LONGEST_WARM_WAIT_SECONDS: Final = 180.0  # the plan's "p95 > 3 min": nobody waits longer for a warm asset


def budgets_for(provider: str, overrides: Mapping[str, float] | None = None) -> dict[Operation, float]:
    """Budgets per operation. A provider that is not in the plan gets RunPod's, the most patient ones."""
    budgets = dict(DEFAULT_BUDGETS.get(provider, _RUNPOD))
    for operation, seconds in (overrides or {}).items():
        budgets[Operation(operation)] = float(seconds)
    return budgets


def allowance_for(provider: str, *, new_release: bool) -> float:
    """What a cold first request may take on top of its budget."""
    cold = COLD_ALLOWANCE_SECONDS.get(provider, COLD_ALLOWANCE_SECONDS["runpod"])
    return NEW_RELEASE_ALLOWANCE_SECONDS.get(provider, cold) if new_release else cold


def give_up_after(budget: float, allowance: float, *, speed: float = 1.0) -> float:
    """Seconds after which a generation is cancelled: late enough to measure how slow it is.

    On a clock of `speed` times the real one, what our own overhead multiplies into is waited for as well.
    """
    return max(GROSS_FACTOR * budget, LONGEST_WARM_WAIT_SECONDS) + allowance + REAL_OVERHEAD_SECONDS * (speed - 1)


def judged_seconds(observed: float, timings: Timings, *, speed: float = 1.0) -> float:
    """What to hold against a budget: the time observed, and on the real clock nothing else.

    An emulator's fast clock multiplies our own polling and its painting, which take real time, as if the provider
    had taken it. Up to three real seconds of what no timing of the provider explains is therefore counted once.
    """
    reported = ((timings.queue_ms or 0.0) + (timings.run_ms or 0.0)) / 1000
    if speed == 1 or not reported:
        return observed
    overhead = min(max(0.0, observed - reported), REAL_OVERHEAD_SECONDS * speed)
    return observed - overhead * (1 - 1 / speed)
