"""Programs of the wrong version or missing, and the team's own commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provider_client.doctor import Finding, Level
from provider_client.doctor.commands import run_command
from provider_client.doctor.tools import _cloudflare_plugin, _pulumi, _python, wanted_plugin_version


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def program(folder: Path, name: str, script: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("version", "level"), [("v3.237.0", Level.PROBLEM), ("v3.238.0", Level.OK), ("nonsense", Level.PROBLEM)]
)
def test_pulumi_must_be_as_new_as_the_project_asks(programs: Path, version: str, level: Level) -> None:
    """3.238.0, as in Pulumi.yaml."""
    program(programs, "pulumi", f"echo {version}")
    program(programs, "pulumi-language-python")
    assert _pulumi({"PATH": str(programs)}).level is level


def test_pulumi_without_its_python_language_host_is_a_problem(programs: Path) -> None:
    """It would stop at the first preview."""
    program(programs, "pulumi", "echo v3.259.0")
    assert "language host" in _pulumi({"PATH": str(programs)}).what


def test_python_must_be_3_11() -> None:
    """As in pyproject.toml."""
    assert _python((3, 10, 9)).level is Level.PROBLEM
    assert _python((3, 11, 0)).level is Level.OK


@pytest.mark.parametrize(
    ("installed", "forbidden", "level"),
    [
        (None, False, Level.WARNING),
        (None, True, Level.PROBLEM),
        ("6.0.0", False, Level.WARNING),
        (wanted_plugin_version(), False, Level.OK),
    ],
)
def test_the_cloudflare_plugin_is_found_or_can_be_fetched(
    tmp_path: Path, installed: str | None, forbidden: bool, level: Level
) -> None:
    """Another version than the one of the Python package is not the one that Pulumi will use."""
    if installed:
        (tmp_path / "plugins" / f"resource-cloudflare-v{installed}").mkdir(parents=True)
    environment = {"PATH": "/nowhere", "PULUMI_HOME": str(tmp_path)}
    if forbidden:
        environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    finding = _cloudflare_plugin(environment)
    assert finding.level is level
    assert level is Level.OK or finding.fix.endswith(f"v{wanted_plugin_version()}")


def run(command: str, folder: Path, seconds: float = 20) -> Finding:
    return run_command(
        command,
        project_dir=folder,
        environment={"PATH": "/usr/bin:/bin"},
        secrets=["dummy-secret"],
        deadline_seconds=seconds,
    )


def test_a_command_that_fails_shows_the_end_of_its_output_without_secrets(tmp_path: Path) -> None:
    """The last lines of stdout and stderr, and its exit code."""
    finding = run("seq 100; echo dummy-secret >&2; exit 3", tmp_path)
    assert finding.level is Level.PROBLEM
    assert "ended with 3" in finding.what
    assert "| 100" in finding.what
    assert "| 50" not in finding.what
    assert "| dummy-secret" not in finding.what


def test_a_command_runs_in_the_project_through_the_shell(tmp_path: Path) -> None:
    """As its author wrote it."""
    (tmp_path / "Pulumi.yaml").touch()
    assert run("test -f Pulumi.yaml && true | cat", tmp_path).level is Level.OK


def test_a_command_that_never_ends_is_ended_with_its_children(tmp_path: Path) -> None:
    """The deadline holds although a child keeps the output open."""
    began = time.monotonic()
    finding = run("sleep 60 & sleep 60", tmp_path, seconds=0.2)
    assert time.monotonic() - began < 10
    assert "0.2 s" in finding.what


def test_ctrl_c_ends_the_command_too(tmp_path: Path) -> None:
    """It has a session of its own, which the terminal's signal does not reach; by its pid it has surely begun."""
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's `&` turns it off
        "from pathlib import Path; from provider_client.doctor.commands import run_command\n"
        "environment = {'PATH': '/usr/bin:/bin'}\n"
        "run_command('sleep 1; echo $$ > pid; sleep 60', project_dir=Path('.'), environment=environment, secrets=[])"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as doctor:
        until = time.monotonic() + 20
        while not (tmp_path / "pid").exists() and time.monotonic() < until:
            time.sleep(0.02)
        doctor.send_signal(signal.SIGINT)
        doctor.wait(20)
    shell = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(shell, 0)
