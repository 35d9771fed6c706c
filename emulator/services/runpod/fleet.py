"""Runs an emulated RunPod account: scales workers, hands them jobs, lets idle endpoints fall asleep."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from emulator.services.comfy_graph import GraphEngine
from emulator.services.comfy_nodes import DEFAULT_MODELS, Models
from emulator.services.runpod import worker_comfyui
from emulator.services.runpod.catalog import POOLS, STOCKED, Availability, gpu_types
from emulator.services.runpod.scaling import demand, first_takeable, most_workers_after
from emulator.services.runpod.state import Endpoint, Job, JobStatus, Json, Worker, kept_output
from emulator.services.runpod.webhooks import Webhooks
from emulator.world import Fault, World

COLD_START_SECONDS = 45.0
FLASH_BOOT_SECONDS = 4.0  # a worker that went to sleep not long ago comes back fast
FLASH_BOOT_MEMORY_SECONDS = 600.0
EXECUTION_TIMEOUT_SECONDS = 600.0
RESULT_SECONDS, SYNC_RESULT_SECONDS = 1800.0, 60.0
WATCH_SECONDS = 2.0
DEFAULT_QUOTA = 5


class Fleet:
    """All endpoints of the account. Everything happens in the emulator's event loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.endpoints: dict[str, Endpoint] = {}
        self.templates: dict[str, Json] = {}
        self.stock: dict[str, Availability] = {}
        self.models: Models = dict(DEFAULT_MODELS)
        self.quota = DEFAULT_QUOTA
        self.counts = {"submits": 0, "cold_starts": 0, "workers_started": 0, "retried": 0}
        self.ends: dict[str, int] = {}
        self.submits_by_operation: dict[str, int] = {}
        self.gpu_seconds = 0.0
        self.webhooks = Webhooks(world)
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        return self.world.clock.now()

    def timestamp(self) -> str:
        return datetime.fromtimestamp(self.world.clock.time(), UTC).isoformat().replace("+00:00", "Z")

    def short_id(self, length: int = 14) -> str:
        return "".join(self.world.random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))

    # endpoints

    def add(self, settings: Json) -> Endpoint:
        """A new endpoint, with its first release; its minimum of workers starts at once."""
        endpoint = Endpoint(self.short_id(), settings, self.timestamp(), self.now())
        self.endpoints[endpoint.id] = endpoint
        self._release(endpoint, [])
        self.scale(endpoint)
        return endpoint

    def change(self, endpoint: Endpoint, settings: Json, diff: list[Json]) -> None:
        """New settings; a `diff` means a release, which idle old workers make way for at once."""
        raised = settings["workers"]["max"] > endpoint.most
        endpoint.settings = settings
        if raised:
            endpoint.last_request = self.now()  # somebody woke it: RunPod's own scale-down begins to count again
        if diff:
            endpoint.version += 1
            self._release(endpoint, diff)
        self.scale(endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        """Workers end; queued and running jobs are cancelled."""
        del self.endpoints[endpoint.id]
        for job in endpoint.jobs.values():
            if job.ended is None:
                self.finish(endpoint, job, "CANCELLED")
        for worker in list(endpoint.workers):
            self._stop(endpoint, worker)
        if endpoint.watcher is not None:
            endpoint.watcher.cancel()

    def settle(self, endpoint: Endpoint) -> None:
        """RunPod's own scale-down: no requests for 3 days, at most 2 workers; for 7 days, none."""
        ceiling = most_workers_after(self.now() - endpoint.last_request)
        workers = endpoint.settings["workers"]
        if ceiling is not None and workers["max"] > ceiling:
            workers["max"] = ceiling
            workers["min"] = min(workers["min"], ceiling)
            self.scale(endpoint)

    def settle_all(self) -> None:
        for endpoint in list(self.endpoints.values()):
            self.settle(endpoint)

    def _release(self, endpoint: Endpoint, diff: list[Json]) -> None:
        release = {
            "id": self.short_id(),
            "version": endpoint.version,
            "source": "MANUAL",
            "buildId": None,
            "createdByUserId": "user_emulated",
            "workerCount": len(endpoint.workers),
            "createdAt": self.timestamp(),
            "diff": diff,
        }
        endpoint.releases.insert(0, release)

    # workers

    def scale(self, endpoint: Endpoint) -> None:
        """Starts and stops workers until their number fits settings and queue."""
        for worker in endpoint.with_status("IDLE"):
            if endpoint.is_stale(worker) or len(endpoint.workers) > endpoint.most:
                self._stop(endpoint, worker)
        for worker in endpoint.with_status("INITIALIZING") + endpoint.with_status("THROTTLED"):
            if endpoint.is_stale(worker) or endpoint.most == 0:
                self._stop(endpoint, worker)
        wanted = min(endpoint.most, max(endpoint.fewest, demand(endpoint, self.now())))
        while len(endpoint.fresh()) < wanted:
            self._start(endpoint)
        if first_takeable(endpoint) is not None:
            endpoint.work.set()
            if endpoint.watcher is None or endpoint.watcher.done():
                endpoint.watcher = asyncio.get_running_loop().create_task(self._watch(endpoint))

    async def _watch(self, endpoint: Endpoint) -> None:
        """More workers as jobs have waited for long enough."""
        while endpoint.queue:
            await self.world.clock.sleep(WATCH_SECONDS)
            self.scale(endpoint)
            if first_takeable(endpoint) is None:
                return

    def _start(self, endpoint: Endpoint) -> None:
        settings, chance = endpoint.settings, self.world.random
        gpu = settings.get("gpu")
        types = gpu_types(gpu["pools"], gpu.get("excludedTypes", [])) if gpu else ["CPU"]
        worker = Worker(
            id=self.short_id(),
            version=endpoint.version,
            image=settings["image"],
            gpu_type=types[0],
            gpu_count=gpu["count"] if gpu else 0,
            data_center=(settings["dataCenterIds"] or [chance.choice(STOCKED)])[0],
            started=self.now(),
            started_at=self.timestamp(),
            engine=GraphEngine(self.models),
        )
        if gpu and all(self._stock(pool) == "NONE" for pool in gpu["pools"]):
            worker.status = "THROTTLED"
        else:
            worker.task = asyncio.get_running_loop().create_task(self._live(endpoint, worker))
        endpoint.workers.append(worker)
        self.counts["workers_started"] += 1

    def _stock(self, pool: str) -> Availability:
        return self.stock.get(pool, POOLS[pool].availability)

    def _stop(self, endpoint: Endpoint, worker: Worker) -> None:
        if worker in endpoint.workers:
            endpoint.workers.remove(worker)
            endpoint.asleep_since[worker.version] = self.now()
        if worker.task is not None and worker.task is not asyncio.current_task():
            worker.task.cancel()

    async def _live(self, endpoint: Endpoint, worker: Worker) -> None:
        await self.world.clock.sleep(self._cold_start(endpoint))
        worker.status = "IDLE"
        while worker in endpoint.workers:
            job = self._take(endpoint)
            if job is not None:
                worker.status = "RUNNING"
                survived = await self._execute(endpoint, worker, job)
                worker.status = "IDLE"
                if not survived:
                    break
            elif endpoint.is_stale(worker) or len(endpoint.workers) > endpoint.most:
                break
            else:
                in_time = await self._work_comes(endpoint)
                if not in_time and len(endpoint.fresh()) > endpoint.fewest:
                    break
        self._stop(endpoint, worker)
        if endpoint.id in self.endpoints:
            self.scale(endpoint)

    def _cold_start(self, endpoint: Endpoint) -> float:
        asleep = endpoint.asleep_since.get(endpoint.version)
        if endpoint.flash_boot and asleep is not None and self.now() - asleep < FLASH_BOOT_MEMORY_SECONDS:
            return FLASH_BOOT_SECONDS
        self.counts["cold_starts"] += 1
        return COLD_START_SECONDS * self.world.random.uniform(0.92, 1.08)

    async def _work_comes(self, endpoint: Endpoint) -> bool:
        endpoint.work.clear()
        if first_takeable(endpoint) is not None:
            return True
        return await self._before(endpoint.work, endpoint.idle_timeout)

    async def _before(self, event: asyncio.Event, seconds: float) -> bool:
        """Whether the event comes within these simulated seconds."""
        waiting = asyncio.ensure_future(event.wait())
        sleeping = asyncio.ensure_future(self.world.clock.sleep(seconds))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()
        return event.is_set()

    # jobs

    def submit(self, endpoint: Endpoint, body: Json, *, fault: Fault | None, sync: bool = False) -> Job:
        """Queues a job; a sleeping endpoint starts a worker."""
        self._forget(endpoint)
        number = uuid.UUID(int=self.world.random.getrandbits(128), version=4)
        job_id = f"{'sync-' if sync else ''}{number}-u1"
        job = Job(job_id, body, self.now(), SYNC_RESULT_SECONDS if sync else RESULT_SECONDS, fault)
        endpoint.jobs[job.id] = job
        endpoint.queue.append(job)
        endpoint.last_request = self.now()
        endpoint.submits += 1
        self.counts["submits"] += 1
        operation = worker_comfyui.operation(body.get("input"))
        self.submits_by_operation[operation] = self.submits_by_operation.get(operation, 0) + 1
        self.scale(endpoint)
        return job

    def find(self, endpoint: Endpoint, job_id: str) -> Job | None:
        """None for what never was and for what is forgotten."""
        self._forget(endpoint)
        return endpoint.jobs.get(job_id)

    def cancel(self, endpoint: Endpoint, job: Job) -> None:
        """Also a running one: its worker is free at once."""
        if job.ended is None:
            self.finish(endpoint, job, "CANCELLED")

    def retry(self, endpoint: Endpoint, job: Job) -> None:
        """The same id again."""
        again = Job(job.id, job.body, self.now(), job.keep_seconds)
        endpoint.jobs[job.id] = again
        endpoint.queue.append(again)
        endpoint.retried += 1
        self.counts["retried"] += 1
        self.scale(endpoint)

    def purge(self, endpoint: Endpoint) -> int:
        """Takes all waiting jobs out; returns how many."""
        waiting = list(endpoint.queue)
        for job in waiting:
            self.finish(endpoint, job, "CANCELLED")
        return len(waiting)

    def finish(self, endpoint: Endpoint, job: Job, status: JobStatus) -> None:
        """The end of a job, counted and told to its webhook."""
        if job in endpoint.queue:
            endpoint.queue.remove(job)
        job.end(status, self.now())
        endpoint.ends[status] = endpoint.ends.get(status, 0) + 1
        self.ends[status] = self.ends.get(status, 0) + 1
        if job.body.get("webhook"):
            self._spawn(self.webhooks.deliver(str(job.body["webhook"]), job.view()))

    def _take(self, endpoint: Endpoint) -> Job | None:
        self._forget(endpoint)
        job = first_takeable(endpoint)
        if job is not None:
            endpoint.queue.remove(job)
        return job

    def _forget(self, endpoint: Endpoint) -> None:
        now = self.now()
        for job in [job for job in endpoint.jobs.values() if job.is_gone(now)]:
            del endpoint.jobs[job.id]
            if job in endpoint.queue:
                endpoint.queue.remove(job)
            job.changed.set()

    async def _execute(self, endpoint: Endpoint, worker: Worker, job: Job) -> bool:
        """Runs one job; False when the worker dies of it."""
        job.status, job.started, job.worker_id = "IN_PROGRESS", self.now(), worker.id
        job.delay_ms = round((job.started - job.submitted) * 1000)
        handled = await asyncio.to_thread(
            worker_comfyui.handle, job.body.get("input"), worker.engine, job.fault_kind
        )
        seconds, limit = self._seconds(job, handled.seconds), self._limit(endpoint, job)
        # painting costs the wall's time, not simulated time: it counts as a part of the GPU's
        rest = min(seconds, limit) - (self.now() - job.started)
        if not job.changed.is_set():
            await self._before(job.changed, rest)
        spent = min(seconds, limit, self.now() - job.started)
        self.gpu_seconds += spent
        if job.ended is not None or job.id not in endpoint.jobs:
            return True  # cancelled, or its ttl is over
        job.execution_ms = round(spent * 1000)
        if seconds > limit:
            self.finish(endpoint, job, "TIMED_OUT")
            return True
        job.error = handled.answer.pop("error", None)
        job.output = kept_output(handled.answer)
        self.finish(endpoint, job, "FAILED" if job.error is not None else "COMPLETED")
        return job.fault_kind != "crash"

    def _seconds(self, job: Job, usual: float) -> float:
        if job.fault_kind == "timed_out":
            return math.inf
        extra = job.fault.number("seconds", 300.0) if job.fault and job.fault.kind == "slow" else 0.0
        return usual * self.world.random.uniform(0.92, 1.08) + extra

    def _limit(self, endpoint: Endpoint, job: Job) -> float:
        own = endpoint.settings["timeout"] / 1000 or EXECUTION_TIMEOUT_SECONDS
        return job.policy("executionTimeout", own)

    # housekeeping

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Ends every task; the account is not used any more."""
        for endpoint in list(self.endpoints.values()):
            for worker in endpoint.workers:
                if worker.task is not None:
                    worker.task.cancel()
            if endpoint.watcher is not None:
                endpoint.watcher.cancel()
        for task in list(self._tasks):
            task.cancel()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """What tests and drills set up: quota, stock per pool, installed models."""
        self.quota = int(settings.get("quota", self.quota))
        self.stock |= settings.get("stock", {})
        models = {folder: tuple(names) for folder, names in settings.get("models", {}).items()}
        self.models = {**self.models, **models}
        for endpoint in self.endpoints.values():
            for worker in endpoint.workers:
                worker.engine.models = self.models
