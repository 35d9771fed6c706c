"""The deployed Worker's code on this machine, before anything is deployed: `switchback verify --local`.

A local workerd runs the very modules that would be uploaded, with the credentials of the environment and `.env`, and
calls the real vendors (or whatever the base URLs in the environment name). Emulator and Worker bundle are reached as
processes only, since this package imports neither.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from provider_client.errors import SwitchbackError
from provider_client.providers import find_provider
from provider_client.verification.report import Target

BUCKET = "local-assets"
WORKER = "local-gateway"
STOP_SECONDS = 20.0
BASE_URLS = ("SCENARIO_BASE_URL", "RUNPOD_ENDPOINT_BASE_URL")


@contextmanager
def local_gateway(
    provider: str, *, environment: Mapping[str, str], project_dir: Path, http: httpx.Client
) -> Iterator[Target]:
    """A gateway of this provider on loopback for as long as the block lasts.

    Raises ConfigError naming every variable that the provider needs and that is not set.
    """
    find_provider(provider).settings.from_environment(environment)
    token, signing_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with _cloud(environment, project_dir) as cloud:
        account = f"{cloud['CLOUDFLARE_BASE_URL']}/accounts/{cloud['CLOUDFLARE_ACCOUNT_ID']}"
        api = _Api(http, account, cloud["CLOUDFLARE_API_TOKEN"])
        api.post("/r2/buckets", {"name": BUCKET})
        subdomain = {"enabled": True, "previews_enabled": True}
        worker = api.post("/workers/workers", {"name": WORKER, "subdomain": subdomain})
        body = {
            "main_module": "index.js",
            "modules": json.loads(_run("infra.worker_bundle", project_dir)),
            "compatibility_date": "2026-11-01",
            "bindings": local_bindings(provider, environment, token=token, signing_key=signing_key),
        }
        version = api.post(f"/workers/workers/{worker['id']}/versions", body)
        yield Target(base_url=version["urls"][0], provider=provider, version_id=version["id"], token=token)


def local_bindings(
    provider: str, environment: Mapping[str, str], *, token: str, signing_key: str
) -> list[dict[str, Any]]:
    """What the Worker finds in its environment: the provider's own settings, and a token for this run alone."""
    found: list[dict[str, Any]] = [
        {"type": "plain_text", "name": "IMAGE_GENERATION_PROVIDER", "text": provider},
        {"type": "plain_text", "name": "ASSET_BASE_URL", "text": ""},
        {"type": "secret_text", "name": "GATEWAY_TOKENS", "text": json.dumps([token])},
        {"type": "secret_text", "name": "JOB_SIGNING_KEYS", "text": json.dumps([signing_key])},
        {"type": "r2_bucket", "name": "ASSETS", "bucket_name": BUCKET},
        {"type": "version_metadata", "name": "VERSION"},
    ]
    for binding in find_provider(provider).settings.bindings():
        value = environment.get(binding.name, "").strip()
        if value and binding.kind == "json":
            found.append({"type": "json", "name": binding.name, "json": json.loads(value)})
        elif value:
            found.append({"type": binding.kind, "name": binding.name, "text": value})
    named = {binding["name"] for binding in found}
    urls = [name for name in BASE_URLS if environment.get(name) and name not in named]
    return found + [{"type": "plain_text", "name": name, "text": environment[name]} for name in urls]


@contextmanager
def _cloud(environment: Mapping[str, str], project_dir: Path) -> Iterator[Mapping[str, str]]:
    """An emulated Cloudflare of our own; the vendors behind it are the real ones."""
    command = [sys.executable, "-m", "emulator", "serve", "--allow-internet"]
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=project_dir,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C ends the verification first, which cancels its jobs through the gateway
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SwitchbackError("the local gateway did not start", fix="run `make setup`")
            yield {str(name): str(value) for name, value in json.loads(line)["environment"].items()}
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _run(module: str, project_dir: Path) -> str:
    command = [sys.executable, "-m", module]
    ended = subprocess.run(command, cwd=project_dir, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise SwitchbackError("the Worker's modules cannot be read", fix="run it in the project's own environment")
    return ended.stdout


class _Api:
    """The few calls that deploy one version."""

    def __init__(self, http: httpx.Client, account_url: str, token: str) -> None:
        self._http, self._account_url, self._token = http, account_url, token

    def post(self, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._http.post(self._account_url + path, json=body, headers=headers)
        if not answer.is_success:
            raise SwitchbackError(f"the local gateway was not deployed: {answer.status_code} to {path}")
        return answer.json()["result"]
