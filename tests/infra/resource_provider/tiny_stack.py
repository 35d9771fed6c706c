"""A stack with one RunPodEndpoint (or several) on the real engine, and the RunPod stub behind a real port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.infra.resource_provider.runpod_stub import RunPodStub

PROVIDER_FOLDER = Path(__file__).resolve().parents[3] / "infra" / "resource_provider" / "bin"
ENVIRONMENT_BIN = Path(sys.executable).parent
PLANTED = "planted-secret-value"

PROGRAM = """
import json, os
from pathlib import Path
import pulumi
from infra.resource_provider.resources import RunPodEndpoint, SwitchbackProvider

account = SwitchbackProvider(
    "account",
    runpod_api_key="dummy-key",
    runpod_management_url=os.environ["RUNPOD_URL"],
)
secret = pulumi.Output.secret(os.environ["PLANTED"])
for name, settings in json.loads((Path(__file__).parent / "settings.json").read_text()).items():
    own = {} if "existing_endpoint_id" in settings else {"env": {"TOKEN": secret}}
    endpoint = RunPodEndpoint(name, **{**own, **settings}, opts=pulumi.ResourceOptions(provider=account))
    pulumi.export(name, endpoint.endpoint_id)
"""
SETTINGS: dict[str, Any] = {"name": "knights", "image": "example/comfyui:1", "gpu_types": ["NVIDIA L40"]}


@contextmanager
def served(stub: RunPodStub) -> Iterator[str]:
    """The stub as an HTTP server on a free loopback port; gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = httpx.Request(self.command, f"http://stub{self.path}", content=self.rfile.read(length))
            try:
                response = stub(request)
                self.send_response(response.status_code)
                for name, value in {**response.headers, "Content-Length": str(len(response.content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.content)
            except OSError:
                self.close_connection = True  # the caller was killed, or the stub resets the connection

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of http.server

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v2"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class TinyStack:
    """One stack in its own folder, backend and Pulumi home."""

    folder: Path
    runpod_url: str
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        backend, home = self.folder / "backend", self.folder / "home"
        project = self.folder / "project"
        for directory in (backend, home, project):
            directory.mkdir(parents=True)
        (project / "__main__.py").write_text(PROGRAM)
        plugins = f"plugins:\n  providers:\n    - {{name: switchback, path: {PROVIDER_FOLDER}}}\n"
        (project / "Pulumi.yaml").write_text(f"name: tiny\nruntime: python\n{plugins}")
        self.environment = {
            "PATH": f"{ENVIRONMENT_BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "VIRTUAL_ENV": str(ENVIRONMENT_BIN.parent),
            "RUNPOD_URL": self.runpod_url,
            "PLANTED": PLANTED,
            "SWITCHBACK_CLOCK_SPEED": "200",
        }
        self.configure()
        self.pulumi("stack", "init", "dev")

    def configure(self, **changes: Any) -> None:
        """The endpoint's settings of the next run."""
        self.declare({"endpoint": {**SETTINGS, **changes}})

    def declare(self, endpoints: dict[str, dict[str, Any]]) -> None:
        """The endpoints of the next run, by name of the resource."""
        (self.folder / "project" / "settings.json").write_text(json.dumps(endpoints))

    def pulumi(self, *arguments: str, succeeds: bool | None = True) -> str:
        """Runs the CLI to its end; `succeeds` None takes either ending."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=180)
        text = str(output)
        assert succeeds is None or (process.returncode == 0) is succeeds, text
        return text

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(ENVIRONMENT_BIN / "pulumi"), "--non-interactive", *arguments],
            cwd=self.folder / "project",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self, *arguments: str, succeeds: bool | None = True) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, succeeds=succeeds)

    def state(self) -> dict[str, Any]:
        """The endpoint's entry in the state; {} when there is none."""
        exported = json.loads(self.pulumi("stack", "export"))
        resources = exported["deployment"].get("resources") or []
        return next((r for r in resources if r["urn"].endswith("RunPodEndpoint::endpoint")), {})

    def files(self) -> str:
        """Everything that Pulumi wrote for this stack."""
        return "\n".join(
            path.read_text(errors="replace") for path in (self.folder / "backend").rglob("*") if path.is_file()
        )


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the engine with all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def plugin_pids(process: subprocess.Popen[str]) -> list[int]:
    """Processes of the resource provider that this engine started."""
    found = subprocess.run(
        ["pgrep", "-g", str(process.pid), "-f", "infra.resource_provider.server"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]
