"""The environment in which a command meets the emulated world instead of the real one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from emulator.world import ACCOUNT_ID

PLUGIN = "pulumi-resource-cloudflare"
STAND_IN_DIRECTORY = Path(__file__).parent / "cloudflare_plugin" / "bin"
DUMMY_CREDENTIALS = {
    # 40 to 80 of [0-9A-Za-z_-]: the official plugin checks the form when it comes from stack config
    "CLOUDFLARE_API_TOKEN": "emulator-dummy-cloudflare-api-token-0123456789",
    "SCENARIO_API_KEY": "emulator-dummy-scenario-key",
    "SCENARIO_SECRET_API_KEY": "emulator-dummy-scenario-secret",
    "RUNPOD_API_KEY": "emulator-dummy-runpod-key",
    "SWITCHBACK_GATEWAY_TOKEN": "emulator-dummy-gateway-token",
}
DUMMY_S3_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator-dummy-secret"}


@dataclass(frozen=True)
class CloudflarePlugin:
    """Which Cloudflare resource plugin the Pulumi engine will find."""

    official: bool
    place: str

    def __str__(self) -> str:
        return f"official ({self.place})" if self.official else "stand-in"


def find_cloudflare_plugin(environment: Mapping[str, str] = os.environ) -> CloudflarePlugin:
    """The official plugin where the engine would find one: on PATH, else in Pulumi's folder; else our stand-in."""
    if shutil.which(PLUGIN, path=_without_stand_in(environment.get("PATH", ""))):
        return CloudflarePlugin(official=True, place="PATH")
    # the engine takes no other version than the SDK's; a file `.partial` beside it is an unfinished installation
    installed = (
        pulumi_home(environment) / "plugins" / f"resource-cloudflare-v{metadata.version('pulumi-cloudflare')}"
    )
    if installed.is_dir() and not installed.with_name(f"{installed.name}.partial").exists():
        return CloudflarePlugin(official=True, place=installed.name)
    return CloudflarePlugin(official=False, place=str(STAND_IN_DIRECTORY))


def pulumi_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Named to the engine, because one that was built with cgo takes the account's folder for ~, not HOME."""
    return Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _without_stand_in(path: str) -> str:
    """PATH as it was before an emulator put the stand-in on it: the engine prefers PATH to its own folder."""
    stand_in = STAND_IN_DIRECTORY.resolve()
    return os.pathsep.join(
        entry for entry in path.split(os.pathsep) if entry and Path(entry).resolve() != stand_in
    )


def emulated_environment(
    base_url: str, s3_endpoint: str, speed: float, state_dir: Path, plugin: CloudflarePlugin
) -> dict[str, str]:
    """What to set so that every client speaks to the emulator, with credentials that open nothing."""
    environment = {
        "CLOUDFLARE_BASE_URL": f"{base_url}/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT_ID,
        "RUNPOD_REST_API_URL": f"{base_url}/runpod/v2",
        "RUNPOD_ENDPOINT_BASE_URL": f"{base_url}/runpod-jobs/v2",
        "SCENARIO_BASE_URL": f"{base_url}/scenario/v1",
        "COMFYUI_ENDPOINT": f"{base_url}/comfyui",
        "R2_S3_ENDPOINT": s3_endpoint,
        "SWITCHBACK_EMULATOR_URL": base_url,
        "SWITCHBACK_CLOCK_SPEED": f"{speed:g}",
        "PULUMI_BACKEND_URL": state_backend(state_dir / "pulumi"),
        "PULUMI_HOME": str(pulumi_home()),
        "PULUMI_CONFIG_PASSPHRASE": "emulator",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "false",
        **DUMMY_CREDENTIALS,
        **DUMMY_S3_CREDENTIALS,
    }
    path = _without_stand_in(os.environ.get("PATH", ""))
    if not plugin.official:
        environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        environment["PATH"] = os.pathsep.join([str(STAND_IN_DIRECTORY), path])
    elif path != os.environ.get("PATH"):
        environment["PATH"] = path
    return environment


def state_backend(folder: Path) -> str:
    """The URL of Pulumi's state in a folder, without the `.attrs` file beside each object.

    Pulumi writes those in place, not by renaming: killed in between, every later run says "failed to load checkpoint:
    EOF" (gocloud.dev/blob/fileblob, seen with Pulumi 3.259).
    """
    return f"file://{folder}?metadata=skip"
