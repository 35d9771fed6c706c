"""Waiting until RunPod runs what was asked for: `pulumi up` ends when the release has rolled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.resource_provider.controller import Session
from provider_client.errors import DeadlineExceeded
from provider_client.runpod_management import RunPodManagementApi

# The first worker of a release pulls an image of tens of GB: 3-10 minutes in RunPod's flash tutorial.
DEFAULT_DEADLINE_SECONDS = 900.0
POLL_SECONDS = 5.0
REPEAT_SECONDS = 30.0  # a pipeline's log shows every status as a line of its own
# A worker may look unhealthy for a moment while it starts; RunPod itself gives it 7 minutes.
UNHEALTHY_SECONDS = 420.0


@dataclass(frozen=True)
class Rollout:
    """One look at releases and workers. `ready` counts workers that run or idle."""

    in_progress: bool
    on_latest: int
    total: int
    ready: int
    starting: int
    throttled: int
    unhealthy: int

    @property
    def sentence(self) -> str:
        parts = [f"{self.on_latest} of {self.total} workers on the new release" if self.total else "no worker yet"]
        for count, word in (
            (self.starting, "starting"),
            (self.throttled, "throttled"),
            (self.unhealthy, "unhealthy"),
        ):
            if count:
                parts.append(f"{count} {word}")
        return ", ".join(parts)


def observed(releases: Mapping[str, Any], workers: Mapping[str, Any]) -> Rollout:
    rollout, summary = releases.get("rollout") or {}, workers.get("summary") or {}
    return Rollout(
        in_progress=bool(rollout.get("inProgress")),
        on_latest=int(rollout.get("workersOnLatest") or 0),
        total=int(rollout.get("workersTotal") or 0),
        ready=int(summary.get("running") or 0) + int(summary.get("idle") or 0),
        starting=int(summary.get("initializing") or 0),
        throttled=int(summary.get("throttled") or 0),
        unhealthy=int(summary.get("unhealthy") or 0),
    )


def is_rolled_out(rollout: Rollout, workers_min: int) -> bool:
    """Without workers that must be up there is nothing to wait for but old ones to leave."""
    return not rollout.in_progress and rollout.ready >= min(workers_min, 1)


def wait_for_rollout(session: Session, api: RunPodManagementApi, endpoint_id: str, *, workers_min: int) -> None:
    """Returns when it has rolled out; DeadlineExceeded with what was seen last when it does not."""
    clock = session.interruptible(session.clock)
    started = clock.now()
    deadline = session.timeout_seconds or DEFAULT_DEADLINE_SECONDS
    said, said_at = "", started
    while True:
        rollout = observed(api.releases(endpoint_id), api.workers(endpoint_id))
        if is_rolled_out(rollout, workers_min):
            return
        elapsed = clock.now() - started
        if rollout.sentence != said or clock.now() - said_at > REPEAT_SECONDS:
            said, said_at = rollout.sentence, clock.now()
            session.log.status(f"waiting for RunPod ({elapsed:.0f} s): {said}")
        if rollout.unhealthy and not rollout.ready and elapsed > UNHEALTHY_SECONDS:
            raise DeadlineExceeded(
                f"its workers are unhealthy after {elapsed:.0f} s ({rollout.sentence})",
                fix="read the workers' logs in RunPod's console: most often the image does not start on this GPU",
            )
        if elapsed > deadline:
            raise DeadlineExceeded(
                f"not rolled out after {elapsed:.0f} s ({rollout.sentence})",
                fix="pulumi up goes on waiting; throttled workers mean that RunPod lacks GPUs of these types",
            )
        clock.sleep(POLL_SECONDS)
