"""The commands as processes, against the emulator's Cloudflare with the Worker's versions on real workerd."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.supervisor import Emulator, running
from provider_client.http import open_client

WORKER = "image-generation-test"
GATEWAY = """
export default { fetch: (request, env) => Response.json(
  { status: "ok", provider: env.IMAGE_GENERATION_PROVIDER, version: { id: env.VERSION.id, tag: env.VERSION.tag } }
) };
"""


@dataclass
class Cloud:
    """An emulated account with one version per provider, and `switchback` as a process."""

    emulator: Emulator
    http: httpx.Client
    folder: Path
    versions: dict[str, str]

    def switchback(self, *words: str) -> tuple[int, dict[str, Any]]:
        environment = {
            **self.emulator.environment(),
            "HOME": str(self.folder),
            "PATH": "/usr/bin:/bin",
            "SWITCHBACK_STACK": "test",
        }
        done = subprocess.run(
            [sys.executable, "-m", "provider_client", *words, "--json"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    def api(self, method: str, path: str, body: object | None = None) -> Any:
        environment = self.emulator.environment()
        url = f"{environment['CLOUDFLARE_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}/{path}"
        headers = {"Authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"}
        answer = self.http.request(method, url, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()["result"]

    def deploy(self, provider: str) -> None:
        share = {"version_id": self.versions[provider], "percentage": 100}
        annotations = {"workers/message": f"switchback:up to={provider}"}
        body = {"strategy": "percentage", "versions": [share], "annotations": annotations}
        self.api("POST", f"workers/scripts/{WORKER}/deployments", body)

    def mutations(self) -> int:
        answer = self.http.get(f"{self.emulator.base_url}/_emulator/requests?service=cloudflare&mutating=1")
        return len(answer.json()["requests"])


def upload(cloud: Cloud, provider: str) -> str:
    module = {
        "name": "index.js",
        "content_type": "application/javascript+module",
        "content_base64": base64.b64encode(GATEWAY.encode()).decode(),
    }
    version = {
        "main_module": "index.js",
        "compatibility_date": "2026-01-01",
        "annotations": {"workers/tag": provider, "workers/message": f"switchback provider={provider} source=aaaa"},
        "bindings": [
            {"name": "IMAGE_GENERATION_PROVIDER", "text": provider, "type": "plain_text"},
            {"name": "VERSION", "type": "version_metadata"},
        ],
        "modules": [module],
    }
    return str(cloud.api("POST", f"workers/workers/{WORKER}/versions", version)["id"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    with running(speed=1000, state_dir=folder / "state") as emulator, open_client() as http:
        cloud = Cloud(emulator, http, folder, {})
        subdomain = {"enabled": True, "previews_enabled": True}
        cloud.api("POST", "workers/workers", {"name": WORKER, "subdomain": subdomain})
        cloud.versions = {provider: upload(cloud, provider) for provider in ("scenario", "runpod", "comfyui")}
        yield cloud


@pytest.fixture
def switched(cloud: Cloud) -> Cloud:
    cloud.deploy("scenario")
    cloud.deploy("runpod")
    return cloud


def test_a_rollback_is_one_call_and_is_confirmed_within_five_seconds(switched: Cloud) -> None:
    before = switched.mutations()
    code, answer = switched.switchback("rollback", "--now", "--reason", "out of memory")
    assert (code, answer["to"], answer["moved"]) == (0, "scenario", True), answer
    assert answer["way_back"]["state"] == "open"
    assert answer["warnings"] == []
    assert answer["total_seconds"] <= 5
    assert switched.mutations() == before + 1
    code, again = switched.switchback("rollback", "--now")
    assert (code, again["moved"]) == (0, False)
    assert switched.mutations() == before + 1


def test_a_rollback_to_another_provider_takes_the_version_uploaded_with_the_live_one(switched: Cloud) -> None:
    code, answer = switched.switchback("rollback", "--to", "comfyui", "--now")
    assert (code, answer["version_id"]) == (0, switched.versions["comfyui"]), answer


def test_status_and_history_agree_with_the_emulated_account(switched: Cloud) -> None:
    switched.switchback("rollback", "--now", "--reason", "out of memory")
    url = switched.api("GET", f"workers/workers/{WORKER}/versions/{switched.versions['scenario']}")["urls"][0]
    gateway_url = url.replace(f"{switched.versions['scenario'][:8]}-", "")
    code, status = switched.switchback("status", "--url", gateway_url)
    assert code == 0
    assert status["truths"]["deployed"]["provider"] == "scenario"
    assert status["truths"]["reported"]["provider"] == "scenario"
    assert status["phase"] == "rolled back"
    assert status["agree"]
    code, history = switched.switchback("history", "--limit", "2")
    assert [line["kind"] for line in history["deployments"]] == ["rollback", "up"]
    assert history["deployments"][0]["reason"] == "out of memory"


def test_a_refused_token_ends_in_3_and_is_not_shown(switched: Cloud) -> None:
    (switched.folder / ".env").write_text("CLOUDFLARE_API_TOKEN=ignored-because-the-environment-comes-first\n")
    code, answer = switched.switchback("rollback", "--now", "--account-id", "f" * 32)
    assert (code, answer["error"]["kind"]) == (3, "AuthError")
    assert "Workers Scripts Write" in answer["error"]["fix"]
