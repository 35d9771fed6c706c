"""The Worker as it is deployed: its real modules on real workerd, its bucket and its providers emulated."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from emulator.supervisor import Emulator
from infra.worker_bundle import MAIN_MODULE, worker_modules
from tests.worker.worker_contract import hold_against_contract

TOKEN = "dummy-gateway-token"
SECOND_TOKEN = "dummy-gateway-token-two"
BUCKET = "worker-test-assets"
FINAL = {"succeeded", "failed", "canceled"}
RUNPOD_ENDPOINT = {
    "name": "worker-tests",
    "type": "QUEUE",
    "image": "registry.example/comfyui:1",
    "gpu": {"pools": ["ADA_48_PRO"], "count": 1},
    "workers": {"min": 1, "max": 3, "idleTimeout": 30},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
}
S3_HEADERS = {  # moto checks no signature, but reads the account from it
    "Authorization": "AWS4-HMAC-SHA256 Credential=emulator/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000"
}
LONG = httpx.Timeout(60)


@dataclass
class Cloud:
    """The emulator, and Workers uploaded to it as the product does."""

    emulator: Emulator
    http: httpx.Client
    environment: dict[str, str] = field(init=False)
    runpod_endpoint: str = field(init=False)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.environment = self.emulator.environment()
        self.cloudflare("POST", "/r2/buckets", {"name": BUCKET})
        url = f"{self.environment['RUNPOD_REST_API_URL']}/serverless"
        headers = {"Authorization": f"Bearer {self.environment['RUNPOD_API_KEY']}"}
        created = self.http.post(url, json=RUNPOD_ENDPOINT, headers=headers)
        self.runpod_endpoint = created.raise_for_status().json()["id"]

    def cloudflare(self, method: str, path: str, body: object = None) -> Any:
        account = self.environment["CLOUDFLARE_ACCOUNT_ID"]
        url = f"{self.environment['CLOUDFLARE_BASE_URL']}/accounts/{account}{path}"
        headers = {"Authorization": f"Bearer {self.environment['CLOUDFLARE_API_TOKEN']}"}
        return self.http.request(method, url, json=body, headers=headers).raise_for_status().json()["result"]

    def deploy(self, provider: str, **changes: object) -> Gateway:
        """A Worker with one version for this provider; `changes` replace bindings, None takes one away."""
        name = f"gateway-{next(self.numbers)}"
        subdomain = {"enabled": True, "previews_enabled": True}
        worker = self.cloudflare("POST", "/workers/workers", {"name": name, "subdomain": subdomain})
        return self.upload(worker["id"], provider, **changes)

    def upload(self, worker_id: str, provider: str, **changes: object) -> Gateway:
        """One more version of a Worker, reached at its own preview address."""
        modules = [
            {
                "name": module.name,
                "content_type": module.content_type,
                "content_base64": base64.b64encode(module.content).decode(),
            }
            for module in worker_modules()
        ]
        body = {
            "main_module": MAIN_MODULE,
            "modules": modules,
            "compatibility_date": "2026-11-01",
            "bindings": self.bindings(provider, changes),
        }
        version = self.cloudflare("POST", f"/workers/workers/{worker_id}/versions", body)
        return Gateway(version["urls"][0], version["id"], self.http, provider, worker_id)

    def bindings(self, provider: str, changes: Mapping[str, object]) -> list[dict[str, object]]:
        secrets = {name: self.environment[name] for name in ("RUNPOD_API_KEY", "COMFYUI_ENDPOINT")}
        secrets |= {name: self.environment[name] for name in ("SCENARIO_API_KEY", "SCENARIO_SECRET_API_KEY")}
        secrets["GATEWAY_TOKENS"] = json.dumps([TOKEN, SECOND_TOKEN])
        secrets["JOB_SIGNING_KEYS"] = json.dumps(["dummy-signing-key"])
        texts: dict[str, object] = {
            "IMAGE_GENERATION_PROVIDER": provider,
            "RUNPOD_COMFYUI_ENDPOINT_ID": self.runpod_endpoint,
            "ASSET_BASE_URL": "",
            **{name: self.environment[name] for name in ("SCENARIO_BASE_URL", "RUNPOD_ENDPOINT_BASE_URL")},
        }
        documents: dict[str, object] = {"GATEWAY": {"requestsPerMinute": 100_000}}
        for name, value in changes.items():
            kind = secrets if name in secrets else documents if not isinstance(value, str) else texts
            kind[name] = value  # type: ignore[assignment]
        found = [{"type": "secret_text", "name": name, "text": text} for name, text in secrets.items()]
        found += [{"type": "plain_text", "name": name, "text": text} for name, text in texts.items()]
        found += [{"type": "json", "name": name, "json": value} for name, value in documents.items()]
        found += [{"type": "r2_bucket", "name": "ASSETS", "bucket_name": changes.get("ASSETS", BUCKET)}]
        given = [item for item in found if not any(value is None for value in item.values())]
        return [*given, {"type": "version_metadata", "name": "VERSION"}]

    def fault(self, service: str, kind: str, **parameters: object) -> None:
        body = {"service": service, "kind": kind, **parameters}
        self.http.post(f"{self.emulator.base_url}/_emulator/faults", json=body).raise_for_status()

    def clear_faults(self) -> None:
        self.http.delete(f"{self.emulator.base_url}/_emulator/faults").raise_for_status()

    def requests(self, service: str, since: int = 0) -> list[dict[str, Any]]:
        """What a vendor was asked, after the request numbered `since`."""
        url = f"{self.emulator.base_url}/_emulator/requests"
        answer = self.http.get(url, params={"service": service, "since": since}).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["requests"]
        return found

    def stored_keys(self) -> list[str]:
        """What lies in the bucket."""
        answer = self.http.get(f"{self.environment['R2_S3_ENDPOINT']}/{BUCKET}", headers=S3_HEADERS)
        return re.findall("<Key>(.*?)</Key>", answer.raise_for_status().text)

    def store(self, key: str, content: bytes | None) -> None:
        """Puts an object into the bucket, or takes it away."""
        url = f"{self.environment['R2_S3_ENDPOINT']}/{BUCKET}/{key}"
        method = "DELETE" if content is None else "PUT"
        self.http.request(method, url, content=content, headers=S3_HEADERS).raise_for_status()

    def last_request(self) -> int:
        answer = self.http.get(f"{self.emulator.base_url}/_emulator/requests").raise_for_status()
        return max((request["n"] for request in answer.json()["requests"]), default=0)


@dataclass
class Gateway:
    """One version of the Worker, and a caller with a token."""

    url: str
    version_id: str
    http: httpx.Client
    provider: str
    worker_id: str = ""

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.http.request(
            method, self.url + path, headers={**authorization, **(headers or {})}, timeout=LONG, **more
        )
        hold_against_contract(answer)
        return answer

    def post(self, body: object, **headers: str) -> httpx.Response:
        """POST /v1/generations; `idempotency_key` and the like become headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/v1/generations", json=body, headers=named)

    def poll(self, generation_id: str) -> httpx.Response:
        return self.request("GET", f"/v1/generations/{generation_id}")

    def finish(self, generation: dict[str, Any], seconds: float = 20.0) -> dict[str, Any]:
        """Polls until the generation is final."""
        end = time.monotonic() + seconds
        while generation["status"] not in FINAL:
            assert time.monotonic() < end, f"not final in {seconds} s: {generation}"
            time.sleep(0.02)
            answer = self.poll(generation["id"])
            assert answer.status_code == 200, answer.text
            generation = answer.json()
        return generation

    def generate(self, **request: object) -> dict[str, Any]:
        """Submits and follows to the end."""
        answer = self.post(request)
        assert answer.status_code in (200, 202), answer.text
        return self.finish(answer.json())

    def picture(self, asset: Mapping[str, Any]) -> Image.Image:
        """The asset as anybody gets it from its URL."""
        answer = self.http.get(asset["url"], timeout=LONG).raise_for_status()
        assert len(answer.content) == asset["bytes"]
        image = Image.open(io.BytesIO(answer.content))
        image.load()
        return image


def png(width: int = 64, height: int = 64, colour: str = "#3a6ea5") -> str:
    """A small picture in base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
