"""What an emulated RunPod account holds: endpoints, their workers, jobs and releases."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.services.comfy_graph import GraphEngine
from emulator.world import Fault

Json = dict[str, Any]
WorkerStatus = Literal["RUNNING", "IDLE", "INITIALIZING", "THROTTLED", "UNHEALTHY"]
JobStatus = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]
ENDED: frozenset[JobStatus] = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
DAY_SECONDS = 86_400.0
LARGEST_OUTPUT_BYTES = 20_000_000  # users report that results of 10 to 20 MB and more get lost


def kept_output(answer: Json) -> Json | None:
    """What becomes of a handler's answer: an empty one is dropped, and so is one that is too large to be posted."""
    size = sum(len(image.get("data", "")) for image in answer.get("images", ()))
    return answer if answer and size <= LARGEST_OUTPUT_BYTES else None


@dataclass
class Job:
    """One request. Times are simulated seconds since the emulator's start, durations milliseconds."""

    id: str
    body: Json
    submitted: float
    keep_seconds: float
    fault: Fault | None = None
    status: JobStatus = "IN_QUEUE"
    started: float | None = None
    ended: float | None = None
    delay_ms: int | None = None
    execution_ms: int | None = None
    worker_id: str | None = None
    output: Any = None
    error: str | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def fault_kind(self) -> str | None:
        return self.fault.kind if self.fault else None

    def policy(self, name: str, default: float) -> float:
        """A figure of the request's policy, in seconds; `default` in seconds too."""
        value = (self.body.get("policy") or {}).get(name)
        return value / 1000 if isinstance(value, int | float) else default

    def end(self, status: JobStatus, at: float) -> None:
        """The last change of status."""
        self.status, self.ended = status, at
        self.changed.set()

    def is_gone(self, now: float) -> bool:
        """Whether RunPod has forgotten it: its ttl is over, or its result was kept long enough."""
        if self.ended is not None:
            return now > self.ended + self.keep_seconds
        return now > self.submitted + self.policy("ttl", DAY_SECONDS)

    def view(self) -> Json:
        """The body of /status and of the webhook."""
        fields: Json = {
            "id": self.id,
            "status": self.status,
            "delayTime": self.delay_ms,
            "executionTime": self.execution_ms,
            "workerId": self.worker_id,
            "output": self.output,
            "error": self.error,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(eq=False)
class Worker:
    """One container on a GPU, with a ComfyUI of its own."""

    id: str
    version: int
    image: str
    gpu_type: str
    gpu_count: int
    data_center: str
    started: float
    started_at: str
    engine: GraphEngine
    status: WorkerStatus = "INITIALIZING"
    task: asyncio.Task[None] | None = None


@dataclass(eq=False)
class Endpoint:
    """One serverless endpoint. `settings` is what GET shows of it, without id, URLs and date."""

    id: str
    settings: Json
    created_at: str
    last_request: float
    version: int = 1
    releases: list[Json] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    queue: deque[Job] = field(default_factory=deque)
    jobs: dict[str, Job] = field(default_factory=dict)
    work: asyncio.Event = field(default_factory=asyncio.Event)
    watcher: asyncio.Task[None] | None = None
    asleep_since: dict[int, float] = field(default_factory=dict)  # release → when its last worker went to sleep
    submits: int = 0
    retried: int = 0
    ends: dict[str, int] = field(default_factory=dict)

    @property
    def fewest(self) -> int:
        return int(self.settings["workers"]["min"])

    @property
    def most(self) -> int:
        return int(self.settings["workers"]["max"])

    @property
    def idle_timeout(self) -> float:
        return float(self.settings["workers"].get("idleTimeout", 10))

    @property
    def flash_boot(self) -> bool:
        return bool(self.settings["flashboot"] != "OFF")

    def with_status(self, status: WorkerStatus) -> list[Worker]:
        return [worker for worker in self.workers if worker.status == status]

    def is_stale(self, worker: Worker) -> bool:
        return worker.version < self.version

    def fresh(self) -> list[Worker]:
        return [worker for worker in self.workers if not self.is_stale(worker)]
