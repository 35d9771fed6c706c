"""One Worker on a Cloudflare account, and its gateway, for httpx.MockTransport: deployments, versions, /health."""

from __future__ import annotations

import json
from typing import Any

import httpx

ACCOUNT = "0123456789abcdef0123456789abcdef"
WORKER = "image-generation-dev"
CLOUDFLARE_URL = "https://cloudflare.invalid/client/v4"
GATEWAY_URL = "https://gateway.invalid"
SCENARIO = "11111111-0000-4000-8000-000000000000"
RUNPOD = "22222222-0000-4000-8000-000000000000"
PROVIDERS = {SCENARIO: "scenario", RUNPOD: "runpod"}


class EdgeStub:
    """`says` is what /health claims instead of the truth; `down` takes Cloudflare's API away.

    `foreign` versions were uploaded by somebody else; `domains` are bound to Workers.
    """

    def __init__(self) -> None:
        self.deployments: list[dict[str, Any]] = []
        self.mutations: list[dict[str, Any]] = []
        self.says: dict[str, str] = {}
        self.down = False
        self.generations = 0
        self.foreign: set[str] = set()
        self.domains: list[dict[str, str]] = [{"hostname": "gateway.invalid", "service": WORKER}]

    def deploy(self, shares: dict[str, float], message: str = "", source: str = "api") -> None:
        self.deployments.insert(
            0,
            {
                "id": f"deployment-{len(self.deployments) + 1}",
                "created_on": "2026-11-23T04:00:00Z",
                "source": source,
                "author_email": "alice@example.com",
                "annotations": {"workers/message": message},
                "versions": [{"version_id": v, "percentage": percent} for v, percent in shares.items()],
            },
        )

    @property
    def live(self) -> dict[str, float]:
        return {v["version_id"]: v["percentage"] for v in self.deployments[0]["versions"]}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "gateway.invalid" or request.url.host.endswith("preview.invalid"):
            return self._gateway(request)
        if self.down:
            raise httpx.ConnectError("no route", request=request)
        path = request.url.path
        if path.endswith("/deployments") and request.method == "POST":
            body = json.loads(request.content)
            self.mutations.append(body)
            shares = {v["version_id"]: v["percentage"] for v in body["versions"]}
            self.deploy(shares, body["annotations"]["workers/message"])
            return _ok(self.deployments[0])
        if path.endswith("/deployments"):
            return _ok({"deployments": self.deployments})
        version = path.rpartition("/")[2]
        if version in PROVIDERS:
            bindings = [{"type": "plain_text", "name": "IMAGE_GENERATION_PROVIDER", "text": PROVIDERS[version]}]
            annotations = {} if version in self.foreign else {"workers/message": "switchback provider=x source=y"}
            urls = [f"https://{version[:8]}-preview.invalid"]
            body = {"id": version, "number": 1, "bindings": bindings, "annotations": annotations, "urls": urls}
            return _ok(body)
        if path.endswith("/workers/domains"):
            return _ok(self.domains)
        return httpx.Response(404, json={"success": False, "errors": [{"code": 10007, "message": "not found"}]})

    def _gateway(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/health":
            self.generations += 1
            return httpx.Response(500, json={"type": "about:blank", "title": "broken", "status": 500})
        override = request.headers.get("Cloudflare-Workers-Version-Overrides", "")
        named = [v for v in PROVIDERS if v in override or request.url.host.startswith(v[:8])]
        version = named[0] if named else max(self.live, key=lambda v: self.live[v])
        provider = self.says.get(version, PROVIDERS[version])
        return httpx.Response(200, json={"status": "ok", "provider": provider, "version": {"id": version}})


def _ok(result: object) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": result})
