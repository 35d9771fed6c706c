"""Scenario's REST API under /scenario/v1: both request shapes, jobs, assets, models."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from emulator.faults import GENERATION_KINDS
from emulator.services.scenario.assets import Assets, mime_type_of
from emulator.services.scenario.jobs import FAILURES, OWNER, WARM_FOR_SECONDS, Job, in_flight, timeline
from emulator.services.scenario.models import (
    MODELS,
    Json,
    Order,
    ScenarioError,
    custom_order,
    decoded,
    find_model,
    legacy_order,
)
from emulator.world import World

PREFIX = "/scenario/v1"
LEGACY = ("txt2img", "img2img", "remove-background")
DRY_RUN_STATUS = 269
UPLOAD_BYTES = 6_000_000
PARALLEL_JOBS = 10
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Scenario:
    """One project of one team."""

    name = "scenario"

    def __init__(self, world: World) -> None:
        self.world = world
        self._start()

    def _start(self) -> None:
        self.assets = Assets(self.world)
        self.jobs: dict[str, Job] = {}
        self.counts: Counter[str] = Counter()
        self.submits_by_operation: Counter[str] = Counter()
        self.parallel_jobs = PARALLEL_JOBS

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/generate/custom/{model}", self.custom),
            *(("POST", f"/generate/{route}", self._legacy(route)) for route in LEGACY),
            ("GET", "/jobs", self.list_jobs),
            ("GET", "/jobs/{job}", self.show_job),
            ("POST", "/jobs/{job}/action", self.act_on_job),
            ("POST", "/assets", self.upload),
            ("GET", "/assets/{asset}", self.show_asset),
            ("GET", "/models", self.list_models),
            ("GET", "/models/public", self.list_models),
            ("GET", "/models/{model}", self.show_model),
            ("GET", "/teams/{team}/limits", self.limits),
        ]
        return [
            *(web.route(method, PREFIX + path, self._guarded(handler)) for method, path, handler in table),
            web.get("/scenario/cdn/assets/{asset}", self.download),
            web.route("*", PREFIX + "/{rest:.*}", self._guarded(_nothing_there)),
        ]

    def reset(self) -> None:
        """An empty project."""
        self._start()

    def configure(self, settings: Json) -> None:
        """{"parallel_jobs": 2}"""
        self.parallel_jobs = int(settings.get("parallel_jobs", self.parallel_jobs))

    def error_body(self, status: int) -> Json:
        """An error in Scenario's form, for faults."""
        return {"message": HTTPStatus(status).phrase, "statusCode": status}

    def summary(self) -> dict[str, object]:
        """Counters; `submits` counts jobs that were taken (and paid)."""
        now = self.world.clock.time()
        ends = Counter(job.status(now) for job in self.jobs.values())
        return {
            "submits": len(self.jobs),
            "submits_by_operation": dict(self.submits_by_operation),
            "completed": ends["success"],
            "failed": ends["failure"],
            "cancelled": ends["canceled"],
            "in_flight": in_flight(list(self.jobs.values()), now),
            "creative_units": sum(job.order.cost for job in self.jobs.values()),
            "dry_runs": self.counts["dry_runs"],
            "refused_parallel": self.counts["refused_parallel"],
            "uploads": self.counts["uploads"],
            "downloads": self.assets.downloads,
        }

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            rejected = self._rejected(request.headers.get("Authorization", ""))
            if rejected is not None:
                return _error(rejected)
            try:
                return await handler(request)
            except ScenarioError as error:
                return _error(error)

        return guarded

    def _rejected(self, header: str) -> ScenarioError | None:
        """HTTP Basic with key and secret, or a Bearer token of somebody who is signed in."""
        scheme, _, value = header.partition(" ")
        parts = [value] if scheme == "Bearer" else _basic(value) if scheme == "Basic" else [""]
        refusals = {self.world.rejects(part) for part in parts}
        if 401 in refusals:
            return ScenarioError(401, "Unauthorized")
        return ScenarioError(403, "this project does not belong to this API key") if 403 in refusals else None

    async def custom(self, request: web.Request) -> web.Response:
        model, body = request.match_info["model"], await _json(request)
        return self._submit(request, body, model, lambda: custom_order(model, body))

    def _legacy(self, route: str) -> Handler:
        async def submit(request: web.Request) -> web.Response:
            body = await _json(request)
            return self._submit(request, body, str(body.get("modelId")), lambda: legacy_order(route, body))

        return submit

    def _submit(self, request: web.Request, body: Json, model: str, read: Callable[[], Order]) -> web.Response:
        order = self._with_asset(read(), body)
        costs: Json = {
            "creativeUnitsCost": order.cost,
            "creativeUnitsDiscount": 0,
            "costDetails": {order.cost_name: order.cost},
        }
        if request.query.get("dryRun") in {"true", "api"}:
            self.counts["dry_runs"] += 1
            return web.json_response(costs, status=DRY_RUN_STATUS)
        self._check_parallel(order)
        fault = self.world.faults.take(self.name, GENERATION_KINDS, method="POST", path=request.path)
        kind = fault.kind if fault else None
        if kind == "model_not_found":
            raise ScenarioError(404, f"Model {model} not found")
        now = self.world.clock.time()
        warm = any(now - job.steps[-1][0] < WARM_FOR_SECONDS for job in self.jobs.values())
        steps = timeline(self.world.random, order, fault, now, warm=warm)
        job_id = "job_" + "".join(
            self.world.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=24)
        )
        job = Job(job_id, order, now, steps, self._promised(order, kind), fault, FAILURES.get(kind or ""))
        self.jobs[job.id] = job
        self.submits_by_operation[order.operation] += 1
        return web.json_response({"job": job.view(now), **costs})

    def _with_asset(self, order: Order, body: Json) -> Order:
        """An image may be sent as a data URL instead of an asset's id."""
        source = body.get("image")
        if order.source is None or not isinstance(source, str):
            return order
        if source.startswith("data:"):
            asset = self.assets.upload(decoded(source), "inline")
            return replace(order, source=asset.id)
        self.assets.find(source)
        return order

    def _check_parallel(self, order: Order) -> None:
        if in_flight(list(self.jobs.values()), self.world.clock.time()) < self.parallel_jobs:
            return
        self.counts["refused_parallel"] += 1
        action = "parallel-custom-jobs" if order.job_type == "custom" else "parallel-inferences"
        details = {"actionName": action, "actionLimit": self.parallel_jobs}
        raise ScenarioError(429, "too many jobs at the same time", details)

    def _promised(self, order: Order, fault: str | None) -> list[str]:
        if fault == "no_image":
            return []
        first = order.seed if order.seed is not None else self.world.random.getrandbits(31)
        assets = [self.assets.promise(order, first + n, fault) for n in range(order.count)]
        if fault == "partial":
            assets[-1].status = "error"
        return [asset.id for asset in assets]

    def _job(self, request: web.Request) -> Job:
        job_id = request.match_info["job"]
        if job_id not in self.jobs:
            raise ScenarioError(404, f"Job {job_id} not found")
        return self.jobs[job_id]

    async def show_job(self, request: web.Request) -> web.Response:
        return web.json_response({"job": self._job(request).view(self.world.clock.time())})

    async def act_on_job(self, request: web.Request) -> web.Response:
        job, body = self._job(request), await _json(request)
        if body.get("action") != "cancel":
            raise ScenarioError(400, '"action" must be one of [cancel]')
        now = self.world.clock.time()
        if not job.cancel(now) and job.status(now) != "canceled":
            raise ScenarioError(400, f"Job {job.id} has ended already")
        return web.json_response({"job": job.view(now)})

    async def list_jobs(self, request: web.Request) -> web.Response:
        now, query = self.world.clock.time(), request.query
        found = [
            job.view(now)
            for job in reversed(self.jobs.values())
            if query.get("status") in {None, job.status(now)} and query.get("type") in {None, job.order.job_type}
        ]
        return _page("jobs", found, request)

    async def upload(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if body.get("image") is None:
            raise ScenarioError(400, "image parameter is required")
        content = decoded(body["image"])
        if len(content) >= UPLOAD_BYTES:
            raise ScenarioError(400, "files of 6 MB and more are uploaded in parts: POST /uploads")
        asset = await asyncio.to_thread(self.assets.upload, content, str(body.get("name", "")))
        self.counts["uploads"] += 1
        return web.json_response({"asset": await asyncio.to_thread(self.assets.view, asset)})

    async def show_asset(self, request: web.Request) -> web.Response:
        asset = self.assets.find(request.match_info["asset"])
        return web.json_response({"asset": await asyncio.to_thread(self.assets.view, asset)})

    async def download(self, request: web.Request) -> web.Response:
        """The link itself: no credentials, only its signature."""
        asset_id, query = request.match_info["asset"], request.query
        if not self.assets.is_open(asset_id, query.get("Policy", ""), query.get("Signature", "")):
            text = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'
            return web.Response(status=403, text=text, content_type="text/xml")
        content = await asyncio.to_thread(self.assets.content, self.assets.find(asset_id))
        self.assets.downloads += 1
        return web.Response(body=content, content_type=mime_type_of(content))

    async def list_models(self, request: web.Request) -> web.Response:
        private = request.query.get("privacy", "private") == "private" and not request.path.endswith("/public")
        records = [] if private else [model.record() for model in MODELS.values()]
        return _page("models", records, request)

    async def show_model(self, request: web.Request) -> web.Response:
        return web.json_response({"model": find_model(request.match_info["model"]).record()})

    async def limits(self, _request: web.Request) -> web.Response:
        limits = {"parallelCustomJobs": self.parallel_jobs, "parallelInferences": self.parallel_jobs}
        used = sum(job.order.cost for job in self.jobs.values())
        return web.json_response({"limits": {**limits, "creativeUnits": 100_000}, "values": {"creativeUnits": used},
                                  "plan": "emulated", "teamId": OWNER})  # fmt: skip


async def _nothing_there(_request: web.Request) -> web.Response:
    raise ScenarioError(404, "Not Found")


def _basic(value: str) -> list[str]:
    try:
        key, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return [""]
    return [key, secret]


def _error(error: ScenarioError) -> web.Response:
    body: Json = {"message": error.message, "statusCode": error.status}
    if error.details:
        body["details"] = error.details
    return web.json_response(body, status=error.status)


async def _json(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise ScenarioError(400, "the request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise ScenarioError(400, "the request body must be an object")
    return body


def _page(name: str, rows: list[Json], request: web.Request) -> web.Response:
    size = request.query.get("pageSize", "50")
    if not size.isdigit() or not 1 <= int(size) <= 100:
        raise ScenarioError(400, '"pageSize" must be between 1 and 100')
    token = request.query.get("paginationToken", "0")
    start = int(token) if token.isdigit() else 0
    page: Json = {name: rows[start : start + int(size)]}
    if start + int(size) < len(rows):
        page["nextPaginationToken"] = str(start + int(size))
    return web.json_response(page)
