"""A Worker's life through the API, with the calls that the official plugin was recorded making."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from emulator.supervisor import Emulator

JSONObject = dict[str, Any]


class Cloud:
    """One emulator as a client sees it."""

    def __init__(self, emulator: Emulator, http: httpx.Client) -> None:
        environment = emulator.environment()
        self.emulator, self.http, self.environment = emulator, http, environment
        self.account = f"{environment['CLOUDFLARE_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}"
        self.authorization = {"Authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"}

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A call below the account."""
        headers = {**self.authorization, **arguments.pop("headers", {})}
        return self.http.request(method, f"{self.account}{path}", headers=headers, **arguments)

    def result(self, method: str, path: str, **arguments: Any) -> Any:
        """The result of a call that must succeed."""
        answer = self.call(method, path, **arguments)
        assert answer.status_code == 200, answer.text
        assert answer.json()["success"] is True
        return answer.json()["result"]

    def refused(self, method: str, path: str, **arguments: Any) -> tuple[int, int]:
        """Status and code of a call that must fail, in Cloudflare's own form."""
        answer = self.call(method, path, **arguments)
        envelope = answer.json()
        assert envelope["success"] is False
        assert envelope["result"] is None
        return answer.status_code, envelope["errors"][0]["code"]

    def bucket(self, name: str = "assets") -> JSONObject:
        """A new bucket."""
        body = {"locationHint": "weur", "name": name, "storageClass": "Standard"}
        created: JSONObject = self.result("POST", "/r2/buckets", json=body)
        return created

    def worker(self, name: str = "gateway", **settings: Any) -> JSONObject:
        """A new Worker that answers on workers.dev."""
        body = {"name": name, "subdomain": {"enabled": True, "previews_enabled": True}, **settings}
        created: JSONObject = self.result("POST", "/workers/workers", json=body)
        return created

    def upload(
        self,
        source: str,
        *,
        worker: str = "gateway",
        bindings: Sequence[Mapping[str, Any]] = (),
        tag: str = "scenario",
    ) -> JSONObject:
        """A new version from one module."""
        body = version_body({"index.js": source}, bindings, tag)
        created: JSONObject = self.result("POST", f"/workers/workers/{worker}/versions", json=body)
        return created

    def deploy(
        self, *shares: tuple[JSONObject, float], worker: str = "gateway", force: bool = False
    ) -> JSONObject:
        """A deployment of versions with their percentages."""
        path = f"/workers/scripts/{worker}/deployments" + ("?force=true" if force else "")
        created: JSONObject = self.result("POST", path, json=deployment_body(*shares))
        return created

    def serve(self, source: str, *, bindings: Sequence[Mapping[str, Any]] = ()) -> JSONObject:
        """A Worker `gateway` with one version that gets all traffic."""
        self.worker()
        version = self.upload(source, bindings=bindings)
        self.deploy((version, 100))
        return version

    @property
    def gateway(self) -> str:
        """The Worker's workers.dev address."""
        return f"http://gateway.emulator.localhost:{self.emulator.port}"

    def control(self, method: str, path: str, body: object = None) -> Any:
        """A call of the control API."""
        answer = self.http.request(method, f"{self.emulator.base_url}/_emulator/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def version_body(
    modules: Mapping[str, str], bindings: Sequence[Mapping[str, Any]] = (), tag: str = "scenario"
) -> JSONObject:
    """The recorded shape of a version upload."""
    encoded = [
        {
            "name": name,
            "content_type": "application/javascript+module",
            "content_base64": base64.b64encode(text.encode()).decode(),
        }
        for name, text in modules.items()
    ]
    return {
        "annotations": {"workers/message": f"switchback {tag}", "workers/tag": tag},
        "bindings": list(bindings),
        "compatibility_date": "2026-10-01",
        "main_module": "index.js",
        "modules": encoded,
        "usage_model": "standard",
    }


def deployment_body(*shares: tuple[JSONObject, float]) -> JSONObject:
    """The recorded shape of a deployment."""
    return {
        "annotations": {"workers/message": "switchback: test"},
        "strategy": "percentage",
        "versions": [{"percentage": percentage, "version_id": version["id"]} for version, percentage in shares],
    }
