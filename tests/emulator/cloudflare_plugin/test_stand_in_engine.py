"""The recorded program runs on the real engine with the stand-in plugin, against the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from emulator.supervisor import running

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "tests" / "fixtures" / "wire" / "pulumi_cloudflare" / "program.txt"
PLUGIN_FOLDER = ROOT / "emulator" / "cloudflare_plugin" / "bin"
PULUMI = shutil.which("pulumi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@dataclass
class Stack:
    """A stack of the recorded program in a folder of its own."""

    folder: Path
    environment: dict[str, str]
    emulator_url: str

    def pulumi(self, *arguments: str) -> str:
        """Run one command to its end and return what it printed."""
        done = subprocess.run(
            [PULUMI or "pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def changes_of(self, *arguments: str) -> list[str]:
        """Run a command and return the changing calls of the Cloudflare API that it made."""
        before = len(self._changes())
        self.pulumi(*arguments)
        return self._changes()[before:]

    def _changes(self) -> list[str]:
        query = {"service": "cloudflare", "mutating": "1"}
        seen = httpx.get(f"{self.emulator_url}/_emulator/requests", params=query).raise_for_status().json()
        return [f"{request['method']} {request['path']}" for request in seen["requests"]]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if PULUMI is None:
        pytest.skip("no pulumi engine: make setup builds it")
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: rec\nruntime: python\n")
    shutil.copy(PROGRAM, project / "__main__.py")
    with running(state_dir=tmp_path / "emulator") as emulator:
        own = {
            "PATH": os.pathsep.join([str(PLUGIN_FOLDER), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        created = Stack(project, {**emulator.environment(), **own}, emulator.base_url)
        created.pulumi("stack", "init", "dev")
        yield created


@pytest.mark.engine
def test_recorded_program_goes_up_changes_and_comes_down(stack: Stack) -> None:
    """Up, nothing to do, refresh, a switch by one deployment, a destroy by five calls: as recorded."""
    first = stack.pulumi("up", "--yes")
    assert "12 created" in first
    assert "rk-planted-secret" not in first
    assert "stand-in Cloudflare plugin" in first
    assert stack.changes_of("up", "--yes", "--skip-preview") == []
    assert stack.changes_of("refresh", "--yes", "--skip-preview") == []
    assert stack.changes_of("up", "--yes") == []

    stack.pulumi("config", "set", "variant", "switch")
    switch = stack.changes_of("up", "--yes")
    assert [call.rpartition("/")[2] for call in switch] == ["deployments"]

    deleted = stack.changes_of("destroy", "--yes")
    assert len(deleted) == 5
    assert all(call.startswith("DELETE ") for call in deleted)
    files = [path for path in stack.folder.parent.rglob("*") if path.is_file() and "rec" in path.parts]
    assert files, "the state is looked for in the wrong place"
    assert all(b"rk-planted-secret" not in file.read_bytes() for file in files)
