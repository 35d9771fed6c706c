"""The set-up says what is wrong and how to mend it, and takes nothing that is not what was pinned."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import platform
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLCHAIN = Path(__file__).resolve().parents[2] / "toolchain"


@pytest.fixture
def toolchain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, ModuleType]]:
    """The modules as setup.py finds them, with a cache of their own and nothing on PATH."""
    monkeypatch.syspath_prepend(str(TOOLCHAIN))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    yield {name: importlib.import_module(name) for name in ("steps", "engine", "setup")}
    for name in ("steps", "engine", "setup"):
        sys.modules.pop(name, None)


def program(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def message(stopped: pytest.ExceptionInfo[SystemExit]) -> str:
    return str(stopped.value)


def test_a_failing_step_shows_its_last_lines_and_the_fix(toolchain: dict[str, ModuleType], tmp_path: Path) -> None:
    """What the command said is not lost."""
    failing = program(tmp_path, "failing", "echo the network is gone; exit 3")
    with pytest.raises(SystemExit) as stopped:
        toolchain["steps"].run("engine", [str(failing)], fix="plug it in")
    assert "ended with 3" in message(stopped)
    assert "the network is gone" in message(stopped)
    assert "fix: plug it in" in message(stopped)


def test_a_full_disk_is_named_before_anything_is_written(toolchain: dict[str, ModuleType], tmp_path: Path) -> None:
    """With what is needed, what is there, and where to go."""
    with pytest.raises(SystemExit) as stopped:
        toolchain["steps"].require_space(tmp_path, 10**9, "the engine")
    assert "needs about 1e+09 GB" in message(stopped)
    assert "XDG_CACHE_HOME" in message(stopped)


def test_an_archive_that_is_not_the_pinned_one_is_refused(
    toolchain: dict[str, ModuleType], tmp_path: Path
) -> None:
    """The digest in workerd.json decides."""
    archive = tmp_path / "workerd.tgz"
    archive.write_bytes(b"somebody else's file")
    digest = base64.b64encode(hashlib.sha512(b"the pinned file").digest()).decode()
    with pytest.raises(SystemExit) as stopped:
        toolchain["setup"].check_integrity(archive, f"sha512-{digest}")
    assert "not the file that toolchain/workerd.json pins" in message(stopped)


def test_without_npm_workerd_cannot_be_had(toolchain: dict[str, ModuleType]) -> None:
    """The sentence says what to install."""
    with pytest.raises(SystemExit) as stopped:
        toolchain["setup"].workerd()
    assert "npm is needed" in message(stopped)
    assert "install Node.js" in message(stopped)


def test_an_unknown_platform_is_told_so(toolchain: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear sentence, not a stack of errors later."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SystemExit) as stopped:
        toolchain["setup"].check_platform()
    assert "riscv64 is not supported" in message(stopped)


@pytest.mark.parametrize(("version", "taken"), [("v3.259.0", True), ("v3.237.9", False), ("nonsense", False)])
def test_only_an_engine_that_is_new_enough_is_taken(
    toolchain: dict[str, ModuleType], tmp_path: Path, version: str, taken: bool
) -> None:
    """The oldest accepted release is the first on which a failed hook fails the run."""
    program(tmp_path / "bin", "pulumi", f"echo {version}")
    assert bool(toolchain["engine"].installed_engine(tmp_path / "venv")) is taken


def test_our_own_link_is_no_installed_engine(toolchain: dict[str, ModuleType], tmp_path: Path) -> None:
    """Else the second run would take the first run's build for the user's own Pulumi."""
    program(tmp_path / "bin", "pulumi", "echo v3.259.0")
    assert toolchain["engine"].installed_engine(tmp_path / "bin") is None


def test_every_supported_platform_has_a_package() -> None:
    """Linux and macOS, x64 and arm64; what the registry gave us a digest for is pinned by it."""
    packages = json.loads((TOOLCHAIN / "workerd.json").read_text())["packages"]
    assert set(packages) == {"Linux-x86_64", "Linux-aarch64", "Darwin-x86_64", "Darwin-arm64"}
    assert all(package["integrity"].startswith("sha512-") for name, package in packages.items() if "Linux" in name)


def test_the_plugin_that_is_installed_is_the_one_that_was_recorded(toolchain: dict[str, ModuleType]) -> None:
    """pyproject.toml pins the SDK to the same version."""
    pinned = f'"pulumi-cloudflare=={toolchain["setup"].CLOUDFLARE_PLUGIN}"'
    assert pinned in (TOOLCHAIN.parent / "pyproject.toml").read_text()
