"""How many workers an endpoint should have. Pure."""

from __future__ import annotations

import math

from emulator.services.runpod.state import DAY_SECONDS, Endpoint, Job


def first_takeable(endpoint: Endpoint) -> Job | None:
    """The job that a free worker gets; one that is stuck never is."""
    return next((job for job in endpoint.queue if job.fault_kind != "stuck"), None)


def demand(endpoint: Endpoint, now: float) -> int:
    """Workers that the queue asks for, whatever the endpoint's limits.

    REQUEST_COUNT: one per so many requests. QUEUE_DELAY: one more when the oldest job has waited too long.
    """
    waiting = [job for job in endpoint.queue if job.fault_kind != "stuck"]
    scaling = endpoint.settings["scaling"]
    if scaling["type"] == "REQUEST_COUNT":
        return math.ceil((len(waiting) + len(endpoint.with_status("RUNNING"))) / int(scaling["requestCount"]))
    if not waiting:
        return 0
    awake = len(endpoint.fresh())
    free = len(endpoint.with_status("IDLE")) + len(endpoint.with_status("INITIALIZING"))
    late = now - waiting[0].submitted >= scaling["queueDelay"]
    return awake + 1 if awake == 0 or (late and free == 0) else awake


def most_workers_after(idle_seconds: float) -> int | None:
    """RunPod's own scale-down: the ceiling it puts on workers.max of an endpoint without requests; None for none."""
    if idle_seconds >= 7 * DAY_SECONDS:
        return 0
    return 2 if idle_seconds >= 3 * DAY_SECONDS else None
