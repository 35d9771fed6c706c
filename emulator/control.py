"""The control API under `/_emulator`: health, reset, requests, state, clock, faults."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from emulator.faults import FAULT_SERVICES, GENERATION_KINDS, GENERIC_KINDS
from emulator.services.base import Configurable, Service
from emulator.world import Fault, World

PREFIX = "/_emulator"
GENERATION_SERVICES = frozenset({"runpod_jobs", "scenario", "comfyui"})
FAULT_FIELDS = frozenset({"service", "kind", "times", "method", "path", "version"})


class Control:
    """Handlers of the control API."""

    def __init__(
        self,
        world: World,
        services: Sequence[Service],
        reset: Callable[[], Awaitable[None]],
        logs: Callable[[], dict[str, list[str]]],
    ) -> None:
        self.world, self.services, self._reset, self._logs = world, services, reset, logs

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        return [
            web.get(f"{PREFIX}/health", self.health),
            web.post(f"{PREFIX}/reset", self.reset),
            web.post(f"{PREFIX}/seed", self.seed),
            web.get(f"{PREFIX}/requests", self.requests),
            web.get(f"{PREFIX}/state", self.state),
            web.get(f"{PREFIX}/logs", self.logs),
            web.get(f"{PREFIX}/clock", self.clock),
            web.post(f"{PREFIX}/clock", self.set_clock),
            web.get(f"{PREFIX}/faults", self.faults),
            web.post(f"{PREFIX}/faults", self.arm),
            web.delete(f"{PREFIX}/faults", self.clear_faults),
            web.delete(f"{PREFIX}/faults/{{fault}}", self.remove_fault),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """Whether the emulator answers."""
        return web.json_response({"status": "ok", "services": [service.name for service in self.services]})

    async def reset(self, _request: web.Request) -> web.Response:
        """Forget everything: state, objects, faults, requests; the clock's speed stays."""
        await self._reset()
        return web.json_response({"status": "reset"})

    async def seed(self, request: web.Request) -> web.Response:
        """Start chance again, and furnish services: {"seed": 7, "comfyui": {"models": {"checkpoints": []}}}."""
        body = await _object(request)
        self.world.reseed(int(body.get("seed", self.world.seed)))
        for service in self.services:
            if isinstance(service, Configurable) and service.name in body:
                service.configure(body[service.name])
        return web.json_response({"seed": self.world.seed})

    async def requests(self, request: web.Request) -> web.Response:
        """The request log."""
        mutating = {"1": True, "true": True, "0": False, "false": False}.get(request.query.get("mutating", ""))
        found = self.world.requests.select(
            request.query.get("service"), mutating, int(request.query.get("since", "0"))
        )
        return web.json_response({"requests": [asdict(item) for item in found]})

    async def state(self, _request: web.Request) -> web.Response:
        """Each service's summary."""
        return web.json_response({service.name: service.summary() for service in self.services})

    async def logs(self, _request: web.Request) -> web.Response:
        """What the running Worker versions printed last."""
        return web.json_response({"logs": self._logs()})

    async def clock(self, _request: web.Request) -> web.Response:
        """Speed and simulated time."""
        clock = self.world.clock
        return web.json_response({"speed": clock.speed, "now": clock.now(), "time": clock.time()})

    async def set_clock(self, request: web.Request) -> web.Response:
        """{"speed": 20} or {"advance_seconds": 3600}."""
        change = await _object(request)
        speed, seconds = change.get("speed"), change.get("advance_seconds")
        if speed is not None:
            if float(speed) <= 0:
                raise _bad_request("speed must be above 0")
            self.world.clock.set_speed(float(speed))
        if seconds is not None:
            if float(seconds) < 0:
                raise _bad_request("time does not go back")
            self.world.clock.advance(float(seconds))
        return await self.clock(request)

    async def faults(self, _request: web.Request) -> web.Response:
        """What is armed."""
        return web.json_response({"faults": [fault_view(fault) for fault in self.world.faults]})

    async def arm(self, request: web.Request) -> web.Response:
        """Arm one: {"service", "kind", "times", ...params}."""
        wanted = await _object(request)
        service, kind = str(wanted.get("service")), str(wanted.get("kind"))
        if service not in FAULT_SERVICES:
            raise _bad_request(f"no service {service!r}; there are {', '.join(sorted(FAULT_SERVICES))}")
        kinds = GENERIC_KINDS | (GENERATION_KINDS if service in GENERATION_SERVICES else frozenset())
        if kind not in kinds:
            raise _bad_request(f"no kind {kind!r} for {service}; there are {', '.join(sorted(kinds))}")
        times = wanted.get("times", 1)
        fault = self.world.faults.arm(
            service,
            kind,
            times=None if times is None else int(times),
            method=wanted.get("method"),
            path=wanted.get("path"),
            version=wanted.get("version"),
            **{name: value for name, value in wanted.items() if name not in FAULT_FIELDS},
        )
        return web.json_response({"id": fault.id})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Disarm all."""
        self.world.faults.clear()
        return web.json_response({"faults": []})

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Disarm one."""
        removed = self.world.faults.remove(request.match_info["fault"])
        return web.json_response({"removed": removed}, status=200 if removed else 404)


def fault_view(fault: Fault) -> dict[str, object]:
    """A fault as it was armed."""
    shown = {name: value for name, value in asdict(fault).items() if name != "params" and value is not None}
    return {**shown, "times": fault.times, **fault.params}


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise _bad_request("the body is not JSON") from error
    if not isinstance(body, dict):
        raise _bad_request("the body must be a JSON object")
    return body


def _bad_request(why: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": why}), content_type="application/json")
