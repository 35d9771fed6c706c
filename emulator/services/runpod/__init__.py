"""RunPod: the management API (REST v2) and the job API over one account."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web

from emulator.services.runpod.fleet import Fleet
from emulator.services.runpod.management import Management
from emulator.services.runpod.state import Json
from emulator.services.runpod_jobs import JobApi
from emulator.world import World


class RunPod:
    """Both APIs; faults of the job API are armed for `runpod_jobs`."""

    name = "runpod"

    def __init__(self, world: World) -> None:
        self.world = world
        self.fleet = Fleet(world)
        self.management, self.jobs = Management(self.fleet), JobApi(self.fleet)

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        return [*self.management.routes(), *self.jobs.routes()]

    def reset(self) -> None:
        """A new, empty account."""
        self.fleet.stop()
        self.fleet = Fleet(self.world)
        for api in (self.management, self.jobs):
            api.fleet = self.fleet

    def configure(self, settings: Json) -> None:
        """{"quota": 10, "stock": {"ADA_48_PRO": "NONE"}, "models": {"checkpoints": []}}"""
        self.fleet.configure(settings)

    def error_body(self, status: int) -> Json:
        """An error of the management API, for faults."""
        phrase = HTTPStatus(status).phrase
        detail = "rate limit exceeded for the minute window" if status == 429 else phrase.lower()
        return {"title": phrase, "status": status, "detail": detail}

    def summary(self) -> dict[str, object]:
        """Counters; `submits` counts jobs that RunPod took."""
        fleet = self.fleet
        fleet.settle_all()
        endpoints = {
            one.id: {
                "name": one.settings["name"],
                "submits": one.submits,
                "ends": dict(one.ends),
                "in_queue": len(one.queue),
                "workers": {
                    status: len(one.with_status(status)) for status in ("IDLE", "RUNNING", "INITIALIZING")
                },
                "workers_min": one.fewest,
                "workers_max": one.most,
                "version": one.version,
            }
            for one in fleet.endpoints.values()
        }
        return {
            **fleet.counts,
            "completed": fleet.ends.get("COMPLETED", 0),
            "failed": fleet.ends.get("FAILED", 0),
            "cancelled": fleet.ends.get("CANCELLED", 0),
            "timed_out": fleet.ends.get("TIMED_OUT", 0),
            "submits_by_operation": dict(fleet.submits_by_operation),
            "gpu_seconds": round(fleet.gpu_seconds, 3),
            "webhooks": dict(fleet.webhooks.counts),
            "workers": sum(len(one.workers) for one in fleet.endpoints.values()),
            "endpoints": endpoints,
        }
