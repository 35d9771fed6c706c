"""The emulator as a process: `run`, `serve`, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.supervisor import running
from tests.emulator.cloudflare_calls import Cloud

WORKER = "export default { async fetch() { return new Response('ok'); } };"


def emulate(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "emulator", *arguments]


@contextmanager
def serving(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = emulate("serve", "--state-dir", str(tmp_path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


class Served:
    """What Cloud needs to know of an emulator in another process."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.base_url = ready["base_url"]
        self.port = httpx.URL(self.base_url).port
        self._environment = ready["environment"]

    def environment(self) -> dict[str, str]:
        return dict(self._environment)


def workerds_of(directory: Path) -> set[int]:
    """Processes that were started with a file below this folder."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return {
        int(line.split()[0]) for line in listing.splitlines() if "workerd serve" in line and str(directory) in line
    }


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while workerds_of(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not workerds_of(directory)


def test_run_gives_the_command_its_environment_streams_its_output_and_exits_with_its_code() -> None:
    script = "import os, sys; print(os.environ['CLOUDFLARE_BASE_URL']); print('bad', file=sys.stderr); sys.exit(7)"
    done = subprocess.run(
        emulate("run", "--speed", "50", "--", sys.executable, "-c", script),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stdout.startswith("http://127.0.0.1:")
    assert "Cloudflare resource plugin:" in done.stderr
    assert done.stderr.endswith("bad\n")


def test_run_finds_what_is_installed_beside_this_python() -> None:
    command = emulate("run", "--", "sh", "-c", "command -v pulumi-resource-switchback")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": "/usr/bin:/bin"}
    )
    assert done.stdout.strip() == str(Path(sys.executable).with_name("pulumi-resource-switchback"))


@pytest.mark.parametrize(("command", "code"), [([], 2), (["no-such-command-here"], 127)])
def test_run_without_a_command_that_exists(command: list[str], code: int) -> None:
    done = subprocess.run(emulate("run", "--", *command), capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_serve_is_ready_soon_and_ends_at_sigterm_without_a_trace(tmp_path: Path, http: httpx.Client) -> None:
    with serving(tmp_path) as (process, ready):
        assert ready["ready"] is True
        cloud = Cloud(Served(ready), http)  # type: ignore[arg-type]
        cloud.serve(WORKER)
        assert cloud.http.get(cloud.gateway).text == "ok"
        assert workerds_of(tmp_path)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
    assert not workerds_of(tmp_path)


def test_no_workerd_survives_an_emulator_that_is_killed(tmp_path: Path, http: httpx.Client) -> None:
    with serving(tmp_path) as (process, ready):
        cloud = Cloud(Served(ready), http)  # type: ignore[arg-type]
        cloud.serve(WORKER)
        assert cloud.http.get(cloud.gateway).text == "ok"
        assert workerds_of(tmp_path)
        process.kill()
    wait_until_gone(tmp_path)


def test_a_taken_port_is_an_error_at_once() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        running(port=taken.getsockname()[1]),
    ):
        pytest.fail("it must not start")


def test_only_loopback_is_bound(http: httpx.Client) -> None:
    with running() as emulator:
        assert emulator.base_url == f"http://127.0.0.1:{emulator.port}"
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", emulator.port), timeout=1).close()


def test_a_new_emulator_sets_the_state_of_a_cloud_that_is_gone_aside(tmp_path: Path) -> None:
    with running(state_dir=tmp_path) as emulator:
        state = Path(urlsplit(emulator.environment()["PULUMI_BACKEND_URL"]).path)
        (state / "stack.json").write_text("{}")
    with running(state_dir=tmp_path) as emulator:
        emulator.environment()
        assert list(state.iterdir()) == []
    assert (tmp_path / "pulumi.previous" / "stack.json").exists()


def test_one_emulator_never_sees_the_objects_of_another(http: httpx.Client) -> None:
    """moto's memory belongs to the process: each store clears up its own."""
    with running() as first:
        Cloud(first, http).bucket("shared-name")
        put = http.put(f"{first.environment()['R2_S3_ENDPOINT']}/shared-name/key", content=b"x")
        assert put.status_code == 200
    with running() as second:
        cloud = Cloud(second, http)
        cloud.bucket("shared-name")
        cloud.result("DELETE", "/r2/buckets/shared-name")
