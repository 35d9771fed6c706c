"""A RunPod account in memory, for httpx.MockTransport: the few routes of REST v2 that the product calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from provider_client.gpu_catalog import POOL_MEMBERS, PRICE_PER_SECOND_USD
from provider_client.runpod_settings import with_defaults

BASE_URL = "https://runpod.invalid/v2"
Answer = Callable[[httpx.Request], httpx.Response | None]

WISH: dict[str, Any] = with_defaults(
    {"name": "knights", "image": "example/comfyui:1", "gpuTypes": ["NVIDIA L40"], "env": {"MODEL": "sdxl"}}
)
Create = Callable[..., tuple[str, dict[str, Any]]]


class RunPodStub:
    """`requests` records method, path and body; `intercept` may answer first (a fault) or return None."""

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.intercept: Answer = lambda _request: None
        self.summary: dict[str, int] = {"running": 0, "idle": 1, "initializing": 0, "throttled": 0, "unhealthy": 0}
        self.rollout: dict[str, Any] = {"inProgress": False, "workersOnLatest": 1, "workersTotal": 1}
        self._made = 0

    @property
    def mutations(self) -> list[tuple[str, str, Any]]:
        return [request for request in self.requests if request[0] != "GET"]

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self))

    def add(self, **fields: Any) -> str:
        """An endpoint that somebody else made."""
        self._made += 1
        endpoint_id = f"ep{self._made:06}"
        self.endpoints[endpoint_id] = {"id": endpoint_id, "type": "QUEUE", **fields}
        return endpoint_id

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        path = request.url.path.removeprefix("/v2")
        self.requests.append((request.method, path, body))
        answer = self.intercept(request)
        return answer if answer is not None else self._answer(request.method, path, body)

    def _answer(self, method: str, path: str, body: Any) -> httpx.Response:
        match path.strip("/").split("/"):
            case ["catalog", "gpus"]:
                return httpx.Response(200, json={"gpus": gpus()})
            case ["serverless"] if method == "GET":
                return httpx.Response(200, json={"endpoints": list(self.endpoints.values())})
            case ["serverless"]:
                return httpx.Response(201, json=self.endpoints[self.add(**body)])
            case ["serverless", endpoint_id, *_] if endpoint_id not in self.endpoints:
                return problem(404, "endpoint not found")
            case ["serverless", _, "releases"]:
                return httpx.Response(200, json={"endpointVersion": 1, "rollout": self.rollout, "releases": []})
            case ["serverless", _, "workers"]:
                return httpx.Response(200, json={"workers": [], "summary": self.summary})
            case ["serverless", endpoint_id] if method == "GET":
                return httpx.Response(200, json=self.endpoints[endpoint_id])
            case ["serverless", endpoint_id] if method == "PATCH":
                self.endpoints[endpoint_id] |= body
                return httpx.Response(200, json=self.endpoints[endpoint_id])
            case ["serverless", endpoint_id]:
                del self.endpoints[endpoint_id]
                return httpx.Response(204)
        return problem(404, f"no route {method} {path}")


def problem(status: int, detail: str, errors: list[str] | None = None, **headers: str) -> httpx.Response:
    body: dict[str, Any] = {"title": "Problem", "status": status, "detail": detail}
    return httpx.Response(status, json=body | ({"errors": errors} if errors else {}), headers=headers)


def gpus() -> list[dict[str, Any]]:
    """The catalog in the wire's form: US$ per hour."""
    return [
        {
            "id": name,
            "pool": pool,
            "price": {"serverless": round(PRICE_PER_SECOND_USD.get(pool, 0.0005) * 3600, 6)},
            "availability": "HIGH",
        }
        for pool, names in POOL_MEMBERS.items()
        for name in names
    ]
