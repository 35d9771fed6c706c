"""The recorded program runs on the real engine with the stand-in plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulator.cloudflare_plugin.small_api import SmallApi, serving

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "tests" / "fixtures" / "wire" / "pulumi_cloudflare" / "program.txt"
PLUGIN_FOLDER = ROOT / "emulator" / "cloudflare_plugin" / "bin"
PROJECT = "name: rec\nruntime: python\n"
PULUMI = shutil.which("pulumi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@dataclass
class Stack:
    """A stack of the recorded program in a folder of its own."""

    folder: Path
    environment: dict[str, str]
    api: SmallApi

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
        """Run a command and return the changing API calls it made."""
        self.api.requests.clear()
        self.pulumi(*arguments)
        return self.api.changes()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if PULUMI is None:
        pytest.skip("no pulumi engine: make setup builds it")
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(PROJECT)
    shutil.copy(PROGRAM, project / "__main__.py")
    (tmp_path / "state").mkdir()
    api = SmallApi()
    with serving(api) as base_url:
        environment = {
            "PATH": os.pathsep.join([str(PLUGIN_FOLDER), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "emulator",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            "CLOUDFLARE_BASE_URL": base_url,
            "CLOUDFLARE_API_TOKEN": "dummy-token-for-tests",
        }
        created = Stack(project, environment, api)
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
    states = [path.read_text() for path in stack.folder.parent.joinpath("state").rglob("*.json")]
    assert all("rk-planted-secret" not in state for state in states)
