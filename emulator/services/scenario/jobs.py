"""Scenario's jobs: what state one is in follows from the clock alone, so nothing runs between two polls."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from emulator.services.scenario.models import SECONDS, Json, Order
from emulator.world import Fault

FOREVER = 1e12
QUEUED_SECONDS, WARMING_SECONDS, FINALIZING_SECONDS = 0.4, 3.0, 0.6
WARM_FOR_SECONDS = 300.0  # after a job, the next one does not warm up
ENDED = frozenset({"success", "failure", "canceled"})
# Text of failures inside a job: not confirmed, only that they are in metadata.error and metadata.hint.
FAILURES = {
    "out_of_memory": (
        "CUDA out of memory while generating",
        "Reduce the size or the number of images and try again.",
    ),
    "crash": ("An internal error occurred while processing the job", "Try again; contact support if it persists."),
}
AUTHOR, OWNER = "user_emulated", "project_emulated"


def iso(moment: float) -> str:
    """A unix time as Scenario writes it."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass
class Job:
    """One job. Times are simulated unix seconds; `steps` are (when, status) in order."""

    id: str
    order: Order
    created: float
    steps: list[tuple[float, str]]
    assets: list[str]
    fault: Fault | None = None
    failure: tuple[str, str] | None = None

    @property
    def fault_kind(self) -> str | None:
        return self.fault.kind if self.fault else None

    def seen(self, now: float) -> list[tuple[float, str]]:
        """The steps that have happened."""
        return [step for step in self.steps if step[0] <= now]

    def status(self, now: float) -> str:
        return self.seen(now)[-1][1]

    def cancel(self, now: float) -> bool:
        """False when it has ended already."""
        if self.status(now) in ENDED:
            return False
        self.steps = [*self.seen(now), (now, "canceled")]
        return True

    def view(self, now: float) -> Json:
        """The `job` object."""
        seen = self.seen(now)
        status = seen[-1][1]
        metadata: Json = {"input": self.order.body, "assetIds": self.assets if status == "success" else []}
        if status == "failure" and self.failure:
            metadata |= {"error": self.failure[0], "hint": self.failure[1]}
        return {
            "jobId": self.id,
            "jobType": self.order.job_type,
            "status": status,
            "progress": self._progress(now, status),
            "createdAt": iso(self.created),
            "updatedAt": iso(seen[-1][0]),
            "statusHistory": [{"status": word, "date": iso(moment)} for moment, word in seen],
            "metadata": metadata,
            "authorId": AUTHOR,
            "ownerId": OWNER,
            "billing": {"cuCost": self.order.cost, "cuDiscount": 0},
        }

    def _progress(self, now: float, status: str) -> float:
        if status == "success":
            return 1
        whole = self.steps[-1][0] - self.created
        return round(min(0.99, max(0.0, (now - self.created) / whole)), 2) if whole < FOREVER / 2 else 0


def timeline(
    chance: random.Random, order: Order, fault: Fault | None, created: float, *, warm: bool
) -> list[tuple[float, str]]:
    """When a job will be in which state. Pure but for chance."""
    kind, moment = fault.kind if fault else None, created
    steps = [(moment, "queued")]
    if kind == "stuck":
        return [*steps, (FOREVER, "in-progress")]
    moment += QUEUED_SECONDS
    if not warm:
        steps.append((moment, "warming-up"))
        moment += WARMING_SECONDS * chance.uniform(0.7, 1.6)  # 2 to 5 s
    steps.append((moment, "in-progress"))
    if kind == "timed_out":
        return [*steps, (FOREVER, "finalizing")]
    moment += SECONDS[order.operation] * chance.uniform(0.93, 1.07)
    if fault is not None and kind == "slow":
        moment += fault.number("seconds", 300.0)
    if kind in FAILURES:
        return [*steps, (moment, "failure")]
    return [*steps, (moment, "finalizing"), (moment + FINALIZING_SECONDS, "success")]


def in_flight(jobs: Sequence[Job], now: float) -> int:
    """Jobs that have not ended."""
    return sum(job.status(now) not in ENDED for job in jobs)
