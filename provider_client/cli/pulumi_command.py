"""Pulumi as a process: its config, its outputs, its updates. Nothing of Pulumi is imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_client.errors import ConfigError, DeadlineExceeded, SwitchbackError

QUESTION_SECONDS = 15.0


@dataclass(frozen=True)
class PulumiCommand:
    """Runs `pulumi` in the project's folder."""

    project_dir: Path
    environment: Mapping[str, str]

    def ask(self, *words: str, seconds: float = QUESTION_SECONDS) -> str:
        """What the command prints. Raises SwitchbackError with Pulumi's last line when it fails."""
        command = [self._executable(), *words, "--non-interactive"]
        try:
            done = subprocess.run(  # noqa: S603 (our own words, no shell)
                command,
                cwd=self.project_dir,
                env=dict(self.environment),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeadlineExceeded(
                f"`pulumi {' '.join(words)}` gave no answer within {seconds:.0f} s.",
                fix="check the state backend (PULUMI_BACKEND_URL)",
            ) from error
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise SwitchbackError(
                f"`pulumi {' '.join(words)}` failed: {said[-1].strip() if said else 'no reason given'}",
                fix=f"run it in {self.project_dir.name}/ to see more",
            )
        return done.stdout

    def run(self, words: Sequence[str], *, stdout: int | None = None) -> int:
        """Run with the user's own terminal; returns Pulumi's exit code.

        Ctrl-C reaches Pulumi from the terminal. It is waited for, not killed: it still has to unlock the stack.
        """
        command = [self._executable(), *words]
        process = subprocess.Popen(command, cwd=self.project_dir, env=dict(self.environment), stdout=stdout)  # noqa: S603
        stopped: KeyboardInterrupt | None = None
        while process.returncode is None:
            try:
                process.wait()
            except KeyboardInterrupt as stop:
                stopped = stop
        if stopped:
            raise stopped
        return process.returncode

    def selected_stack(self) -> str | None:
        """The stack that `pulumi stack select` chose, or None."""
        try:
            return self.ask("stack", "--show-name").strip() or None
        except SwitchbackError:
            return None

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs; secret ones are masked by Pulumi."""
        return dict(json.loads(self.ask("stack", "output", "--json", "--stack", stack)))

    def _executable(self) -> str:
        beside = Path(sys.executable).with_name("pulumi")
        found = shutil.which("pulumi", path=self.environment.get("PATH"))
        if found is None and beside.is_file():
            return str(beside)
        if found is None:
            raise ConfigError("There is no `pulumi` on PATH.", fix="make setup")
        return found
