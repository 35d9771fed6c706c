"""Makes a fresh machine ready: Python environment, workerd, Pulumi engine. Idempotent; says what it does.

Run by `make setup` (and so by `make demo` and `make test`) with any Python from 3.8 on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from engine import built_engine, installed_engine
from steps import cache_directory, require_space, run, say, stop

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / "bin"
UV = "uv==0.13.9"
PYTHON = ">=3.11"
CLOUDFLARE_PLUGIN = "6.17.0"  # as pulumi-cloudflare in pyproject.toml
HEAVY_PACKAGES = ("pulumi", "pulumi_cloudflare", "grpc", "google", "httpx", "pydantic", "rich", "yaml")
NETWORK_FIX = "check the network and the proxy settings, then run `make setup` again"


def main() -> None:
    started = time.monotonic()
    check_platform()
    uv = find_uv()
    os.environ["SWITCHBACK_UV"] = uv
    changed = make_environment(uv)
    link(BIN / "workerd", workerd())
    engine = installed_engine(BIN)
    if engine:
        unlink_built_engine()
        install_cloudflare_plugin(engine[0])
        say("engine", f"using the installed Pulumi {engine[1]}")
    else:
        home = built_engine()
        for binary in home.iterdir():
            link(BIN / binary.name, binary)
    if changed:
        say("done", f"ready after {time.monotonic() - started:.0f} s")


def check_platform() -> None:
    system, machine = platform.system(), platform.machine()
    if f"{system}-{machine}" not in json.loads((ROOT / "toolchain/workerd.json").read_text())["packages"]:
        stop(
            f"{system} on {machine} is not supported: workerd is published for Linux and macOS, x64 and arm64",
            "use one of these, or WSL 2 on Windows",
        )


def find_uv() -> str:
    """`uv` from PATH, else our own copy from PyPI in the cache."""
    found = shutil.which("uv")
    if found:
        return found
    home = cache_directory() / UV.replace("==", "-")
    if not (home / "bin/uv").exists():
        say("uv", "not installed: fetching it")
        fix = (
            "install Python's venv module (Debian: apt-get install python3-venv), or uv itself (docs.astral.sh/uv)"
        )
        run("uv", [sys.executable, "-m", "venv", str(home)], fix=fix)
        run("uv", [str(home / "bin/python"), "-m", "pip", "install", "--quiet", UV], fix=NETWORK_FIX)
    return str(home / "bin/uv")


def make_environment(uv: str) -> bool:
    """The project's environment from requirements.lock; True when anything had to be done."""
    lock = ROOT / "requirements.lock"
    wanted = hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "switchback-lock"
    if stamp.exists() and stamp.read_text() == wanted and (BIN / "python").exists():
        return False
    require_space(ROOT, 1, "the Python environment")
    say("environment", "installing what requirements.lock pins")
    python_fix = "install Python 3.11 or newer (`uv python install 3.13` does), then run `make setup` again"
    run("environment", [uv, "venv", "--quiet", "--clear", "--python", PYTHON, str(ENVIRONMENT)], fix=python_fix)
    pip = [uv, "pip"]
    at = ["--quiet", "--python", str(BIN / "python")]
    run("environment", [*pip, "sync", *at, "--require-hashes", str(lock)], fix=NETWORK_FIX)
    project = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run("environment", [*pip, "install", *at, *project], fix=NETWORK_FIX)
    # Pulumi starts several interpreters at once; without this the first start of each pays 8 s of compiling.
    libraries = next((ENVIRONMENT / "lib").glob("python*/site-packages"))
    compiled = [str(libraries / name) for name in HEAVY_PACKAGES]
    run("environment", [str(BIN / "python"), "-m", "compileall", "-q", "-j0", *compiled], fix=python_fix)
    stamp.write_text(wanted)
    return True


def workerd() -> Path:
    """The Workers runtime out of its npm package, checked against the digest in workerd.json."""
    pinned = json.loads((ROOT / "toolchain/workerd.json").read_text())
    package = pinned["packages"][f"{platform.system()}-{platform.machine()}"]
    target = cache_directory() / f"workerd-{pinned['version']}" / "workerd"
    if target.exists():
        return target
    npm = shutil.which("npm")
    if not npm:
        stop(
            f"npm is needed to fetch workerd {pinned['version']}", "install Node.js (nodejs.org, or your packages)"
        )
    require_space(target.parent.parent, 0.3, "workerd")
    say("workerd", f"fetching {pinned['version']}")
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as scratch:
        spec = f"{package['name']}@{pinned['version']}"
        run("workerd", [npm, "pack", "--silent", spec], cwd=Path(scratch), fix=NETWORK_FIX)
        archive = next(Path(scratch).glob("*.tgz"))
        check_integrity(archive, package["integrity"])
        with tarfile.open(archive) as opened:
            opened.extract("package/bin/workerd", scratch)
        binary = Path(scratch) / "package/bin/workerd"
        binary.chmod(0o755)
        target.parent.mkdir(exist_ok=True)
        binary.replace(target)
    return target


def check_integrity(archive: Path, integrity: str) -> None:
    """npm checks a file against its registry; this checks it against what the registry said when we pinned it."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if integrity and integrity != f"sha512-{digest}":
        stop(f"{archive.name} is not the file that toolchain/workerd.json pins", "report it; do not use the file")


def install_cloudflare_plugin(pulumi: Path) -> None:
    """The official plugin, the normal way. Offline, the emulator's stand-in serves; a real stack needs it."""
    plugins = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    cached = plugins / f"resource-cloudflare-v{CLOUDFLARE_PLUGIN}"
    if shutil.which("pulumi-resource-cloudflare") or cached.exists():
        return
    say("plugin", f"installing Pulumi's Cloudflare plugin {CLOUDFLARE_PLUGIN}")
    command = [str(pulumi), "plugin", "install", "resource", "cloudflare", f"v{CLOUDFLARE_PLUGIN}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if answer.returncode != 0:
        say("plugin", "not to be had here: the emulator will use its stand-in; a real deployment needs the plugin")


def link(name: Path, target: Path) -> None:
    if name.exists() and name.samefile(target):
        return
    if name.is_symlink() or name.exists():
        name.unlink()
    name.symlink_to(target)


def unlink_built_engine() -> None:
    """An installed Pulumi brings its own language host; ours beside it would win on PATH."""
    for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec"):
        if (BIN / name).is_symlink():
            (BIN / name).unlink()


if __name__ == "__main__":
    main()
