"""The programs that `pulumi up` and the emulator need, and their versions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from provider_client.doctor.findings import Finding, ok, problem, warning
from provider_client.doctor.subject import Subject
from provider_client.errors import ExitCode

CHECK = "tools"
OLDEST_PYTHON = (3, 11)
OLDEST_PULUMI = (3, 238, 0)  # requiredPulumiVersion of Pulumi.yaml
PLUGIN = "pulumi-resource-cloudflare"
STAND_IN = "emulator/cloudflare_plugin"
QUESTION_SECONDS = 3.0


def check_tools(subject: Subject) -> Iterator[Finding]:
    environment = subject.environment
    yield _python(sys.version_info[:3])
    yield _pulumi(environment)
    yield _cloudflare_plugin(environment)
    yield _emulator(environment)


def _python(version: tuple[int, ...]) -> Finding:
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        return problem(CHECK, f"Python {shown} is too old: 3.11 is needed", "make setup", ExitCode.CONFIG)
    return ok(CHECK, f"Python {shown}")


def find_tool(name: str, environment: Mapping[str, str]) -> str | None:
    """On PATH, else beside this Python, where `make setup` links it."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name, path=environment.get("PATH")) or (str(beside) if beside.is_file() else None)


def _pulumi(environment: Mapping[str, str]) -> Finding:
    pulumi = find_tool("pulumi", environment)
    if pulumi is None:
        return problem(CHECK, "there is no pulumi on PATH", "make setup", ExitCode.CONFIG)
    version = _version_of(pulumi, environment)
    if version is None:
        return problem(CHECK, "`pulumi version` gives no version", "make setup", ExitCode.CONFIG)
    shown = ".".join(map(str, version))
    if version < OLDEST_PULUMI:
        wanted = ".".join(map(str, OLDEST_PULUMI))
        what = f"Pulumi {shown} is too old: {wanted} or newer is needed"
        return problem(CHECK, what, "install a newer one (pulumi.com/docs/install)", ExitCode.CONFIG)
    host = shutil.which("pulumi-language-python", path=environment.get("PATH"))
    if host is None and not Path(pulumi).resolve().with_name("pulumi-language-python").is_file():
        what = f"Pulumi {shown} has no Python language host beside it"
        return problem(CHECK, what, "make setup", ExitCode.CONFIG)
    return ok(CHECK, f"Pulumi {shown}")


def _version_of(pulumi: str, environment: Mapping[str, str]) -> tuple[int, ...] | None:
    try:
        said = subprocess.run(  # noqa: S603 (no shell, our own words)
            [pulumi, "version"],
            env={**environment, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            timeout=QUESTION_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else None


def wanted_plugin_version() -> str:
    """The Python package and the plugin of one release carry one number."""
    try:
        return metadata.version("pulumi-cloudflare")
    except metadata.PackageNotFoundError:
        return "6.17.0"


def _cloudflare_plugin(environment: Mapping[str, str]) -> Finding:
    wanted = wanted_plugin_version()
    install = f"pulumi plugin install resource cloudflare v{wanted}"
    on_path = shutil.which(PLUGIN, path=environment.get("PATH"))
    if on_path and STAND_IN in Path(on_path).as_posix():
        return ok(CHECK, f"Cloudflare plugin {wanted}: the emulator's stand-in, for the emulator alone")
    if on_path:
        return ok(CHECK, f"Cloudflare plugin: {PLUGIN} on PATH (its version is not asked; {wanted} was tested)")
    home = Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME") or Path.home()) / ".pulumi")
    installed = sorted(path.name for path in home.glob("plugins/resource-cloudflare-v*") if path.is_dir())
    if f"resource-cloudflare-v{wanted}" in installed:
        return ok(CHECK, f"Cloudflare plugin {wanted}")
    others = f"; installed: {', '.join(installed)}" if installed else ""
    if environment.get("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"):
        what = f"the Cloudflare plugin {wanted} is not installed, and Pulumi may not fetch it{others}"
        return problem(CHECK, what, install, ExitCode.CONFIG)
    what = f"the Cloudflare plugin {wanted} is not installed: the first `up` will fetch it{others}"
    return warning(CHECK, what, install)


def _emulator(environment: Mapping[str, str]) -> Finding:
    if find_tool("workerd", environment) or environment.get("WORKERD"):
        return ok(CHECK, "workerd, for the emulator")
    missing = [name for name in ("node", "npm") if find_tool(name, environment) is None]
    if missing:
        what = f"no workerd and no {' and '.join(missing)}: the emulator cannot run, `pulumi up` needs neither"
        return warning(CHECK, what, "install Node.js, then make setup")
    return ok(CHECK, "node and npm, for the emulator")
