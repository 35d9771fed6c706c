"""RunPod's job API under /runpod-jobs/v2/{endpoint}: run, runsync, status, cancel, retry, purge-queue, health."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from emulator.faults import GENERATION_KINDS
from emulator.services.runpod.fleet import Fleet
from emulator.services.runpod.state import Endpoint, Job, Json

PREFIX = "/runpod-jobs/v2"
FAULT_SERVICE = "runpod_jobs"
RUN_BYTES, RUNSYNC_BYTES = 10 * 1024 * 1024, 20 * 1024 * 1024
SYNC_WAIT_SECONDS = 90.0
LIMIT_SECONDS = 10.0
LIMITS = {"run": 1000, "runsync": 2000, "status": 2000, "cancel": 100, "purge-queue": 2, "retry": 1000}
# seconds: what a request's policy may say
POLICY_RANGES = {"executionTimeout": (5.0, 604_800.0), "ttl": (10.0, 604_800.0)}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class JobApi:
    """Handlers of the job API; the fleet does the work."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._calls: dict[tuple[str, str], deque[float]] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        base = f"{PREFIX}/{{endpoint}}"
        table: list[tuple[str, str, str, Handler]] = [
            ("POST", "/run", "run", self.run),
            ("POST", "/runsync", "runsync", self.runsync),
            ("GET", "/status/{job}", "status", self.status),
            ("POST", "/status/{job}", "status", self.status),
            ("GET", "/stream/{job}", "status", self.stream),
            ("POST", "/cancel/{job}", "cancel", self.cancel),
            ("POST", "/retry/{job}", "retry", self.retry),
            ("POST", "/purge-queue", "purge-queue", self.purge),
            ("GET", "/health", "health", self.health),
        ]
        return [
            web.route(method, base + path, self._guarded(name, handler)) for method, path, name, handler in table
        ]

    def _guarded(self, operation: str, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            rejected = self.fleet.world.rejects(_key(request))
            if rejected:
                return _error(rejected, "unauthorized" if rejected == 401 else "forbidden")
            endpoint = self.fleet.endpoints.get(request.match_info["endpoint"])
            if endpoint is None:
                return _error(404, "endpoint not found")
            self.fleet.settle(endpoint)
            if self._too_many(endpoint, operation):
                answer = _error(429, "too many requests")
                answer.headers["Retry-After"] = str(int(LIMIT_SECONDS))
                return answer
            return await handler(request)

        return guarded

    def _too_many(self, endpoint: Endpoint, operation: str) -> bool:
        if operation not in LIMITS:
            return False
        now = self.fleet.now()
        calls = self._calls.setdefault((endpoint.id, operation), deque())
        while calls and now - calls[0] > LIMIT_SECONDS:
            calls.popleft()
        if len(calls) >= LIMITS[operation]:
            return True
        calls.append(now)
        return False

    def _endpoint(self, request: web.Request) -> Endpoint:
        return self.fleet.endpoints[request.match_info["endpoint"]]

    async def run(self, request: web.Request) -> web.Response:
        body = await _job_body(request, RUN_BYTES)
        if isinstance(body, web.Response):
            return body
        job = self._submit(request, body, sync=False)
        return web.json_response({"id": job.id, "status": "IN_QUEUE"})

    async def runsync(self, request: web.Request) -> web.Response:
        """Waits 90 s, or `wait` ms, then answers with what there is."""
        body = await _job_body(request, RUNSYNC_BYTES)
        if isinstance(body, web.Response):
            return body
        seconds = SYNC_WAIT_SECONDS
        if request.query.get("wait", "").isdigit():
            seconds = min(max(int(request.query["wait"]), 1000), 300_000) / 1000
        job = self._submit(request, body, sync=True)
        ended = asyncio.ensure_future(job.changed.wait())
        waited = asyncio.ensure_future(self.fleet.world.clock.sleep(seconds))
        await asyncio.wait({ended, waited}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        waited.cancel()
        return web.json_response(job.view())

    def _submit(self, request: web.Request, body: Json, *, sync: bool) -> Job:
        faults = self.fleet.world.faults
        fault = faults.take(FAULT_SERVICE, GENERATION_KINDS, method=request.method, path=request.path)
        return self.fleet.submit(self._endpoint(request), body, fault=fault, sync=sync)

    async def status(self, request: web.Request) -> web.Response:
        return self._on_job(request, lambda _endpoint, job: job.view())

    async def stream(self, request: web.Request) -> web.Response:
        """worker-comfyui streams nothing: the list stays empty."""
        return self._on_job(request, lambda _endpoint, job: {"status": job.status, "stream": []})

    async def cancel(self, request: web.Request) -> web.Response:
        def cancel(endpoint: Endpoint, job: Job) -> Json:
            self.fleet.cancel(endpoint, job)
            return {"id": job.id, "status": job.status}

        return self._on_job(request, cancel)

    async def retry(self, request: web.Request) -> web.Response:
        """Only what failed or timed out."""
        endpoint = self._endpoint(request)
        job = self.fleet.find(endpoint, request.match_info["job"])
        if job is not None and job.status not in {"FAILED", "TIMED_OUT"}:
            return _error(400, f"job is {job.status}: only FAILED or TIMED_OUT jobs can be retried")

        def retry(endpoint: Endpoint, job: Job) -> Json:
            self.fleet.retry(endpoint, job)
            return {"id": job.id, "status": "IN_QUEUE"}

        return self._on_job(request, retry)

    async def purge(self, request: web.Request) -> web.Response:
        return web.json_response({"removed": self.fleet.purge(self._endpoint(request)), "status": "completed"})

    async def health(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        workers = {name: len(endpoint.with_status(status)) for name, status in _HEALTH.items()}
        return web.json_response(
            {
                "jobs": {
                    "completed": endpoint.ends.get("COMPLETED", 0),
                    "failed": endpoint.ends.get("FAILED", 0) + endpoint.ends.get("TIMED_OUT", 0),
                    "inProgress": workers["running"],
                    "inQueue": len(endpoint.queue),
                    "retried": endpoint.retried,
                },
                "workers": {**workers, "ready": workers["idle"] + workers["running"]},
            }
        )

    def _on_job(self, request: web.Request, act: Callable[[Endpoint, Job], Json]) -> web.Response:
        endpoint = self._endpoint(request)
        job = self.fleet.find(endpoint, request.match_info["job"])
        if job is None:
            return _error(404, "job not found")
        return web.json_response(act(endpoint, job))


_HEALTH: dict[str, Any] = {
    "idle": "IDLE",
    "initializing": "INITIALIZING",
    "running": "RUNNING",
    "throttled": "THROTTLED",
    "unhealthy": "UNHEALTHY",
}


def _key(request: web.Request) -> str:
    """RunPod's docs show the key bare and as Bearer."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _error(status: int, text: str) -> web.Response:
    """The exact bodies are not known; RunPod's own SDK looks at the status alone."""
    return web.json_response({"error": text}, status=status)


async def _job_body(request: web.Request, limit: int) -> Json | web.Response:
    raw = await request.read()
    if len(raw) > limit:
        return _error(400, f"request body exceeds {limit // 1024 // 1024} MB")
    try:
        body = json.loads(raw)
    except ValueError:
        return _error(400, "request body is not valid JSON")
    if not isinstance(body, dict) or "input" not in body:
        return _error(400, "input is required")
    policy = body.get("policy") or {}
    if not isinstance(policy, dict):
        return _error(400, "policy must be an object")
    for name, (low, high) in POLICY_RANGES.items():
        value = policy.get(name)
        if value is not None and not (isinstance(value, int | float) and low <= value / 1000 <= high):
            return _error(400, f"policy.{name} must be between {low:g} and {high:g} seconds, in milliseconds")
    return body
