"""A copy of the project's stack in a folder of its own, so that a run leaves no trace in the work tree.

The end-to-end tests use it too. The program, the resource provider and the environment stay where they are.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
LOCAL_BASE_URL = "http://127.0.0.1:8790"
EXPORTED = ("CLOUDFLARE_", "COMFYUI_", "PULUMI_", "R2_", "RUNPOD_", "SCENARIO_", "SWITCHBACK_")
FROM_THE_PROJECT = ("infra", "infra/resource_provider/bin", ".venv")


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code, all it printed, the wall seconds it took."""

    command: str
    code: int
    output: str
    seconds: float


class Project:
    """`environment` is the emulator's: base URLs, dummy credentials, a file backend for the state."""

    def __init__(self, directory: Path, stack: str, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.stack = stack
        own = {"PULUMI_STACK": stack, "SWITCHBACK_STACK": stack, "SWITCHBACK_PROJECT_DIR": str(directory)}
        self.environment = {**os.environ, **environment, **own}

    @property
    def stack_file(self) -> Path:
        return self.directory / f"Pulumi.{self.stack}.yaml"

    def create(self, template: str = "local") -> None:
        """Pulumi.yaml and a copy of Pulumi.<template>.yaml that points at this emulator; then the stack itself."""
        self.directory.mkdir(parents=True, exist_ok=True)
        project = (ROOT / "Pulumi.yaml").read_text()
        for path in FROM_THE_PROJECT:
            project = re.sub(rf"(: ){re.escape(path)}$", rf"\g<1>{ROOT / path}", project, flags=re.MULTILINE)
        (self.directory / "Pulumi.yaml").write_text(project)
        base_url = self.environment["SWITCHBACK_EMULATOR_URL"]
        stack = (ROOT / f"Pulumi.{template}.yaml").read_text().replace(LOCAL_BASE_URL, base_url)
        self.stack_file.write_text(stack)
        backend = Path(urlsplit(self.environment["PULUMI_BACKEND_URL"]).path)
        backend.mkdir(parents=True, exist_ok=True)
        self.expect("pulumi", "stack", "init", self.stack)
        if "comfyuiEndpoint:" in stack:  # an address that is stored as a secret, so not to be replaced as text
            self.set("comfyuiEndpoint", f"{base_url}/comfyui", secret=True)

    def write_exports(self, name: str) -> None:
        """A file for `. ./<name>` that makes another shell talk to this stack."""
        shown = {
            key: value for key, value in self.environment.items() if key.startswith(EXPORTED) or key == "PATH"
        }
        lines = [f"export {key}={shlex.quote(value)}\n" for key, value in sorted(shown.items())]
        (self.directory / name).write_text("".join(lines))

    def set(self, key: str, value: str, *, secret: bool = False) -> None:
        """`pulumi config set`; a key with dots or brackets is a path."""
        path = ["--path"] if re.search(r"[.\[]", key) else []
        self.expect("pulumi", "config", "set", *path, *(["--secret"] if secret else []), key, value)

    def pulumi(self, command: str, *arguments: str, tell: Callable[[str], None] | None = None) -> Ended:
        """A `pulumi` command on this stack, without questions; each line it prints goes to `tell` as it comes."""
        asks = command in ("up", "destroy", "refresh") and "--preview-only" not in arguments
        questions = ["--yes"] if asks else []
        return self.run(["pulumi", command, *questions, "--non-interactive", *arguments], tell)

    def expect(self, *command: str) -> str:
        """The output of a command that has to succeed."""
        ended = self.run(list(command))
        if ended.code != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {ended.code}:\n{ended.output}")
        return ended.output

    def run(self, command: list[str], tell: Callable[[str], None] | None = None) -> Ended:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []
        assert process.stdout is not None
        with process.stdout as printed:
            for line in printed:
                lines.append(line)
                if tell:
                    tell(line.rstrip("\n"))
        return Ended(" ".join(command), process.wait(), "".join(lines), time.monotonic() - started)
