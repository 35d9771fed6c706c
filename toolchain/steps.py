"""How a set-up step speaks: one line when it starts to take long, one when it is done, a fix when it fails.

Only the standard library, and nothing newer than Python 3.8: this runs before there is an environment.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

HEARTBEAT_SECONDS = 10.0


def stop(problem: str, fix: str) -> NoReturn:
    """End the set-up with what is wrong and the command that mends it."""
    sys.exit(f"\nsetup: {problem}\n  fix: {fix}")


def say(step: str, text: str) -> None:
    print(f"setup  {step:<12} {text}", flush=True)


def cache_directory() -> Path:
    """Where what is built once is kept, outside of every work tree."""
    if platform.system() == "Darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = base / "switchback"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def require_space(directory: Path, gigabytes: float, what: str) -> None:
    free = shutil.disk_usage(directory).free / 1e9
    if free < gigabytes:
        stop(
            f"{what} needs about {gigabytes:g} GB and {directory} has {free:.1f} GB left",
            "free some space, or set XDG_CACHE_HOME to a larger disk",
        )


def run(
    step: str,
    command: list[str],
    *,
    fix: str,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    progress: Callable[[str], str] | None = None,
) -> str:
    """Run a command, with a heartbeat line while it is silent; its last lines and `fix` if it fails.

    `progress` turns each line that the command prints into what the heartbeat shows.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    lines: list[str] = []
    status = [""]
    reader = threading.Thread(target=_collect, args=(process.stdout, lines, status, progress), daemon=True)
    reader.start()
    next_beat = started + HEARTBEAT_SECONDS
    while reader.is_alive():
        reader.join(0.2)
        if time.monotonic() >= next_beat:
            next_beat += HEARTBEAT_SECONDS
            say(step, f"... {time.monotonic() - started:.0f} s {status[0]}".rstrip())
    if process.wait() != 0:
        tail = "\n".join(f"    {line}" for line in lines[-12:])
        stop(f"{step}: `{' '.join(command[:3])} …` ended with {process.returncode}\n{tail}", fix)
    return "\n".join(lines)


def _collect(stream: IO[str], lines: list[str], status: list[str], progress: Callable[[str], str] | None) -> None:
    for line in stream:
        lines.append(line.rstrip())
        if progress:
            status[0] = progress(line)
    stream.close()
