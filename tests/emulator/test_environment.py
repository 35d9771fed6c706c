"""Which Cloudflare plugin the engine will find, and what a command is told."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

from emulator.environment import STAND_IN_DIRECTORY, emulated_environment, find_cloudflare_plugin
from emulator.supervisor import Emulator

INSTALLED = f"resource-cloudflare-v{metadata.version('pulumi-cloudflare')}"


def test_without_an_official_plugin_the_stand_in_comes_first_on_path(tmp_path: Path) -> None:
    plugin = find_cloudflare_plugin({"PATH": str(STAND_IN_DIRECTORY), "PULUMI_HOME": str(tmp_path)})
    assert str(plugin) == "stand-in"
    environment = emulated_environment("http://127.0.0.1:1", "http://127.0.0.1:2", 1, tmp_path, plugin)
    assert environment["PATH"].startswith(str(STAND_IN_DIRECTORY))
    assert environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_an_official_plugin_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an earlier emulator put the stand-in before it: the engine takes the first it finds."""
    executable = tmp_path / "pulumi-resource-cloudflare"
    executable.touch(mode=0o755)
    path = f"{STAND_IN_DIRECTORY}:{tmp_path}"
    plugin = find_cloudflare_plugin({"PATH": path, "PULUMI_HOME": str(tmp_path)})
    assert str(plugin) == "official (PATH)"
    monkeypatch.setenv("PATH", path)
    environment = emulated_environment("http://127.0.0.1:1", "http://127.0.0.1:2", 1, tmp_path, plugin)
    assert environment["PATH"] == str(tmp_path)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in environment


def test_an_official_plugin_in_pulumis_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine prefers what is on PATH, so the stand-in of an earlier emulator must not be there."""
    (tmp_path / "plugins" / INSTALLED).mkdir(parents=True)
    plugin = find_cloudflare_plugin({"PATH": "", "PULUMI_HOME": str(tmp_path)})
    assert str(plugin) == f"official ({INSTALLED})"
    monkeypatch.setenv("PATH", f"{STAND_IN_DIRECTORY}:/usr/bin")
    environment = emulated_environment("http://127.0.0.1:1", "http://127.0.0.1:2", 1, tmp_path, plugin)
    assert environment["PATH"] == "/usr/bin"
    monkeypatch.setenv("PATH", "/usr/bin")
    assert "PATH" not in emulated_environment("http://127.0.0.1:1", "http://127.0.0.1:2", 1, tmp_path, plugin)


@pytest.mark.parametrize("folders", [["resource-cloudflare-v5.49.0"], [INSTALLED, f"{INSTALLED}.partial"]])
def test_a_plugin_that_the_engine_would_not_take_is_not_counted_on(tmp_path: Path, folders: list[str]) -> None:
    """Another version than the SDK's, or one not wholly installed: without a network nothing would run."""
    for folder in folders:
        (tmp_path / "plugins" / folder).mkdir(parents=True)
    assert str(find_cloudflare_plugin({"PATH": "", "PULUMI_HOME": str(tmp_path)})) == "stand-in"


def test_plugins_on_path_are_looked_at_whatever_the_caller_set(tmp_path: Path) -> None:
    plugin = find_cloudflare_plugin({"PATH": "", "PULUMI_HOME": str(tmp_path)})
    environment = emulated_environment("http://127.0.0.1:1", "http://127.0.0.1:2", 1, tmp_path, plugin)
    assert environment["PULUMI_IGNORE_AMBIENT_PLUGINS"] == "false"


def test_every_address_is_on_loopback(emulator: Emulator) -> None:
    environment = emulator.environment()
    addresses = {name: value for name, value in environment.items() if value.startswith("http")}
    assert set(addresses) == {
        "CLOUDFLARE_BASE_URL",
        "RUNPOD_REST_API_URL",
        "RUNPOD_ENDPOINT_BASE_URL",
        "SCENARIO_BASE_URL",
        "COMFYUI_ENDPOINT",
        "R2_S3_ENDPOINT",
        "SWITCHBACK_EMULATOR_URL",
    }
    assert all(value.startswith("http://127.0.0.1:") for value in addresses.values())


@pytest.mark.parametrize("name", ["CLOUDFLARE_API_TOKEN", "RUNPOD_API_KEY", "SCENARIO_API_KEY"])
def test_credentials_are_dummies_that_say_so(emulator: Emulator, name: str) -> None:
    assert "dummy" in emulator.environment()[name]


def test_the_cloudflare_token_has_the_form_that_the_plugin_demands(emulator: Emulator) -> None:
    assert re.fullmatch(r"[0-9A-Za-z\-_]{40,80}", emulator.environment()["CLOUDFLARE_API_TOKEN"])
