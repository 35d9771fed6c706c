"""A Cloudflare account and the gateway on it, answering over httpx.MockTransport.

The answers have the shapes recorded from the official plugin (steps 01-create, 10-switch, 30-401, 31-10220).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.cloudflare import CloudflareApi

ACCOUNT = "0123456789abcdef0123456789abcdef"
WORKER = "image-generation-test"
API = f"/client/v4/accounts/{ACCOUNT}"
DUMMY_TOKEN = "dummy-cloudflare-token-not-a-secret-0000"


def version_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@dataclass
class Edge:
    """State of the account; `answer_first` may take over any request (return None to let it pass)."""

    worker: str = WORKER
    versions: list[dict[str, object]] = field(default_factory=list)
    deployments: list[dict[str, object]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    answer_first: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    health_status: dict[str, str] = field(default_factory=dict)
    stale_answers: int = 0
    clock: ManualClock = field(default_factory=ManualClock)

    def upload(self, provider: str, *, digest: str = "aaaa", minute: int | None = None) -> str:
        """A new version; versions of one `digest` and minute were uploaded together."""
        number = len(self.versions) + 1
        self.versions.insert(
            0,
            {
                "id": version_id(number),
                "number": number,
                "created_on": f"2026-11-23T03:{minute if minute is not None else 0:02d}:{number:02d}Z",
                "annotations": {
                    "workers/message": f"switchback provider={provider} source={digest}",
                    "workers/tag": provider,
                },
                "bindings": [
                    {"name": "IMAGE_GENERATION_PROVIDER", "text": provider, "type": "plain_text"},
                    {"name": "RUNPOD_API_KEY", "type": "secret_text"},
                ],
                "urls": [f"https://{number:08x}-{WORKER}.example.workers.dev"],
            },
        )
        return version_id(number)

    def deploy(self, shares: dict[str, float], message: str = "") -> str:
        number = len(self.deployments) + 1
        deployment: dict[str, object] = {
            "id": f"deployment-{number}",
            "created_on": f"2026-11-23T04:00:{number:02d}.000Z",
            "source": "api",
            "author_email": "a@example.com",
            "strategy": "percentage",
            "annotations": {"workers/message": message, "workers/triggered_by": "deployment"},
            "versions": [{"version_id": one, "percentage": percent} for one, percent in shares.items()],
        }
        self.deployments.insert(0, deployment)
        return str(deployment["id"])

    @property
    def live(self) -> dict[str, float]:
        versions = self.deployments[0]["versions"] if self.deployments else []
        return {one["version_id"]: one["percentage"] for one in versions}  # type: ignore[attr-defined]

    @property
    def mutating(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.method != "GET"]

    @property
    def messages(self) -> list[str]:
        return [one["annotations"]["workers/message"] for one in self.deployments]  # type: ignore[index]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        taken = self.answer_first(request)
        if taken is not None:
            return taken
        path = request.url.path
        if path == "/health":
            return self._health(request)
        if path == f"{API}/workers/scripts/{self.worker}/deployments":
            return self._deployments(request)
        if path == f"{API}/workers/scripts/{self.worker}/versions":
            return ok({"items": [self._short(version) for version in self.versions]})
        if found := re.fullmatch(rf"{API}/workers/workers/{self.worker}/versions/(\S+)", path):
            matching = [version for version in self.versions if version["id"] == found[1]]
            return ok(matching[0]) if matching else error(404, 10007, "not found")
        return error(404, 10007, "This Worker does not exist on your account.")

    def _deployments(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return ok({"deployments": self.deployments})
        body = json.loads(request.content)
        assert request.url.params["force"] == "true"
        shares = {one["version_id"]: one["percentage"] for one in body["versions"]}
        self.deploy(shares, body["annotations"]["workers/message"])
        return ok(self.deployments[0])

    @staticmethod
    def _short(version: dict[str, object]) -> dict[str, object]:
        kept = {key: version[key] for key in ("id", "number", "annotations")}
        return {**kept, "metadata": {"created_on": version["created_on"], "source": "api"}}

    def _health(self, request: httpx.Request) -> httpx.Response:
        serving = max(self.live, key=lambda one: self.live[one]) if self.live else None
        override = request.headers.get("Cloudflare-Workers-Version-Overrides", "")
        host = request.url.host
        named = [v for v in self.versions if override == f'{self.worker}="{v["id"]}"' and v["id"] in self.live]
        named += [v for v in self.versions if host.startswith(f"{str(v['id'])[:8]}-")]
        if not named and self.stale_answers > 0 and len(self.deployments) > 1:
            self.stale_answers -= 1
            serving = self.deployments[1]["versions"][0]["version_id"]  # type: ignore[index]
        version = named[0] if named else next((v for v in self.versions if v["id"] == serving), None)
        if version is None:
            raise httpx.ConnectError("name not known", request=request)
        provider = version["annotations"]["workers/tag"]  # type: ignore[index]
        status = self.health_status.get(str(version["id"]), "ok")
        body = {"status": status, "provider": provider, "version": {"id": version["id"], "tag": provider}}
        return httpx.Response(200, json=body)


def ok(result: object) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": result})


def error(status: int, code: int, message: str, **headers: str) -> httpx.Response:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return httpx.Response(
        status, json=body, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


@pytest.fixture
def edge() -> Edge:
    return Edge()


@pytest.fixture
def http(edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.MockTransport(edge.handle)) as client:
        yield client


@pytest.fixture
def api(edge: Edge, http: httpx.Client) -> CloudflareApi:
    return CloudflareApi(ACCOUNT, DUMMY_TOKEN, http=http, clock=edge.clock)
