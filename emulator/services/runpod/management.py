"""RunPod REST v2 under /runpod/v2: endpoints, workers, releases, catalog, templates."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from emulator.services.runpod import catalog, rules
from emulator.services.runpod.fleet import Fleet
from emulator.services.runpod.http import Gate, Handler, json_body, problem
from emulator.services.runpod.rules import Refusal
from emulator.services.runpod.schema import Value
from emulator.services.runpod.state import Endpoint, Json, Worker

PREFIX = "/runpod/v2"
JOBS_PREFIX = "/runpod-jobs/v2"
TEMPLATE_FIELDS = {
    name: rules.COMMON[name] for name in ("name", "image", "args", "disk", "ports", "env", "registry")
} | {
    "mounts": Value("object", fields={"persistent": Value("object", fields={"size": Value("integer", low=10),
                                                                           "path": Value("string")})}),
    "serverless": Value("boolean"), "public": Value("boolean"), "startSsh": Value("boolean"),
    "startJupyter": Value("boolean"), "category": Value("string", choices=("CPU", "NVIDIA", "AMD")),
    "allowedCudaVersions": rules.STRINGS,
}  # fmt: skip
TEMPLATE_DEFAULTS: Json = {
    "args": "", "disk": 5, "ports": [], "env": {}, "registry": None, "serverless": False, "public": False,
    "category": "NVIDIA", "startSsh": True, "startJupyter": True, "allowedCudaVersions": [],
}  # fmt: skip


class Management:
    """Handlers of the management API."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.gate = Gate(fleet.world)

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/serverless", self.endpoints),
            ("POST", "/serverless", self.create),
            ("GET", "/serverless/{id}", self.endpoint),
            ("PATCH", "/serverless/{id}", self.update),
            ("DELETE", "/serverless/{id}", self.delete),
            ("GET", "/serverless/{id}/workers", self.workers),
            ("GET", "/serverless/{id}/releases", self.releases),
            ("GET", "/catalog/gpus", self.gpus),
            ("GET", "/catalog/datacenters", self.data_centers),
            ("GET", "/templates", self.templates),
            ("POST", "/templates", self.create_template),
            ("GET", "/templates/{id}", self.template),
            ("PATCH", "/templates/{id}", self.update_template),
            ("DELETE", "/templates/{id}", self.delete_template),
        ]
        allowed: dict[str, list[str]] = {}
        for method, path, _ in table:
            allowed.setdefault(path, []).append(method)
        return [
            *(web.route(method, PREFIX + path, self.gate.guarded(handler)) for method, path, handler in table),
            *(web.route("*", PREFIX + path, self.gate.guarded(_not_allowed(m))) for path, m in allowed.items()),
            web.route("*", PREFIX + "/{rest:.*}", self.gate.guarded(_not_found)),
        ]

    async def endpoints(self, _request: web.Request) -> web.Response:
        self.fleet.settle_all()
        return web.json_response({"endpoints": [self._view(one) for one in self.fleet.endpoints.values()]})

    async def create(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        settings = rules.created(body, self._template(body))
        rules.check_quota(self._others(None), settings, self.fleet.quota)
        return web.json_response(self._view(self.fleet.add(settings)), status=201)

    async def endpoint(self, request: web.Request) -> web.Response:
        return web.json_response(self._view(self._found(request)))

    async def update(self, request: web.Request) -> web.Response:
        endpoint, body = self._found(request), await json_body(request)
        rules.check_schema(body, rules.UPDATE)
        settings = rules.updated(endpoint.settings, body, self._template(body))
        rules.check_quota(self._others(endpoint), settings, self.fleet.quota)
        self.fleet.change(endpoint, settings, rules.release_diff(endpoint.settings, settings))
        return web.json_response(self._view(endpoint))

    async def delete(self, request: web.Request) -> web.Response:
        self.fleet.remove(self._found(request))
        return web.Response(status=204)

    async def workers(self, request: web.Request) -> web.Response:
        endpoint = self._found(request)
        names = ("running", "idle", "initializing", "throttled", "unhealthy")
        summary = {name: sum(w.status.lower() == name for w in endpoint.workers) for name in names}
        return web.json_response(
            {
                "workers": [self._worker(endpoint, worker) for worker in endpoint.workers],
                "summary": {**summary, "total": len(endpoint.workers)},
                "endpointVersion": endpoint.version,
            }
        )

    async def releases(self, request: web.Request) -> web.Response:
        endpoint = self._found(request)
        total = len(endpoint.workers)
        latest = sum(worker.status in {"RUNNING", "IDLE"} for worker in endpoint.fresh())
        rollout = {
            "inProgress": latest < total,
            "workersOnLatest": latest,
            "workersTotal": total,
            "percentOnLatest": 100 if total == 0 else round(100 * latest / total),
        }
        return web.json_response(
            {"endpointVersion": endpoint.version, "rollout": rollout, "releases": endpoint.releases}
        )

    async def gpus(self, request: web.Request) -> web.Response:
        included = "AVAILABILITY" in request.query.get("include", "")
        if included and "product" not in request.query:
            raise Refusal(400, "product is required with include=AVAILABILITY")
        return web.json_response({"gpus": catalog.gpus(self.fleet.stock, with_availability=included)})

    async def data_centers(self, _request: web.Request) -> web.Response:
        return web.json_response({"dataCenters": catalog.data_centers()})

    async def templates(self, _request: web.Request) -> web.Response:
        return web.json_response({"templates": list(self.fleet.templates.values())})

    async def create_template(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        rules.check_schema(body, Value("object", fields=TEMPLATE_FIELDS, required=("name", "image")))
        template = {"id": self.fleet.short_id(10), **TEMPLATE_DEFAULTS, **body}
        self.fleet.templates[template["id"]] = template
        return web.json_response(template, status=201)

    async def template(self, request: web.Request) -> web.Response:
        return web.json_response(self._known_template(request.match_info["id"]))

    async def update_template(self, request: web.Request) -> web.Response:
        template, body = self._known_template(request.match_info["id"]), await json_body(request)
        rules.check_schema(body, Value("object", fields=TEMPLATE_FIELDS))
        template |= body
        return web.json_response(template)

    async def delete_template(self, request: web.Request) -> web.Response:
        del self.fleet.templates[self._known_template(request.match_info["id"])["id"]]
        return web.Response(status=204)

    def _found(self, request: web.Request) -> Endpoint:
        endpoint = self.fleet.endpoints.get(request.match_info["id"])
        if endpoint is None:
            raise Refusal(404, "endpoint not found")
        self.fleet.settle(endpoint)
        return endpoint

    def _others(self, but: Endpoint | None) -> int:
        return sum(one.most for one in self.fleet.endpoints.values() if one is not but)

    def _template(self, body: object) -> Json | None:
        name = body.get("templateId") if isinstance(body, dict) else None
        return None if not isinstance(name, str) else self._known_template(name)

    def _known_template(self, name: str) -> Json:
        if name not in self.fleet.templates:
            raise Refusal(404, "template not found")
        return self.fleet.templates[name]

    def _view(self, endpoint: Endpoint) -> Json:
        base = f"{self.fleet.world.base_url}{JOBS_PREFIX}/{endpoint.id}"
        if endpoint.settings["type"] == "LOAD_BALANCER":
            urls = {"base": base, "health": f"{base}/health"}
        else:
            urls = {
                "run": f"{base}/run",
                "runSync": f"{base}/runsync",
                "status": f"{base}/status/{{job_id}}",
                "stream": f"{base}/stream/{{job_id}}",
                "cancel": f"{base}/cancel/{{job_id}}",
                "retry": f"{base}/retry/{{job_id}}",
                "purgeQueue": f"{base}/purge-queue",
                "health": f"{base}/health",
            }
        return {"id": endpoint.id, **endpoint.settings, "requestUrls": urls, "createdAt": endpoint.created_at}

    def _worker(self, endpoint: Endpoint, worker: Worker) -> Json:
        return {
            "id": worker.id,
            "status": worker.status,
            "isStale": endpoint.is_stale(worker),
            "version": worker.version,
            "gpuCount": worker.gpu_count,
            "image": worker.image,
            "uptimeSeconds": round(self.fleet.now() - worker.started),
            "gpuTypeId": worker.gpu_type,
            "dataCenterId": worker.data_center,
            "startedAt": worker.started_at,
        }


def _not_allowed(methods: list[str]) -> Handler:
    async def refuse(_request: web.Request) -> web.Response:
        answer = problem(405, "method not allowed")
        answer.headers["Allow"] = ", ".join(methods)
        return answer

    return refuse


async def _not_found(_request: web.Request) -> web.Response:
    return problem(404, "not found")
