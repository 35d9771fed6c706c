"""The team's own checks, `preSwitchCommands`: run one after the other, for they may share files and ports."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from provider_client.doctor.findings import Finding, ok, problem
from provider_client.redaction import redact

CHECK = "commands"
DEADLINE_SECONDS = 900.0
TAIL_LINES = 15


def run_command(
    command: str,
    *,
    project_dir: Path,
    environment: Mapping[str, str],
    secrets: Collection[str],
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Finding:
    """Through the shell, as its author wrote it, in the project's folder; the end of its output when it fails."""
    process = subprocess.Popen(  # noqa: S602 (the stack's owner wrote it into the stack's own file)
        command,
        shell=True,
        cwd=project_dir,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        output, _ = process.communicate()
        return problem(
            CHECK, f"`{command}` did not end within {deadline_seconds:g} s{_tail(output, secrets)}", command
        )
    except BaseException:  # Ctrl-C does not reach a session of its own
        _end(process)
        process.wait()
        raise
    if process.returncode == 0:
        return ok(CHECK, f"`{command}` succeeded")
    return problem(
        CHECK,
        f"`{command}` ended with {process.returncode}{_tail(output, secrets)}",
        f"mend it, then run it again: {command}",
    )


def _end(process: subprocess.Popen[str]) -> None:
    """The shell with its children."""
    os.killpg(process.pid, signal.SIGKILL)


def _tail(output: str, secrets: Collection[str]) -> str:
    lines = [line for line in redact(output, secrets).splitlines() if line.strip()][-TAIL_LINES:]
    return "".join(f"\n  | {line}" for line in lines)
