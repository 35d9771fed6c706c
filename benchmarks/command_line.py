"""How long `switchback` takes to start, which is what a person in a hurry feels first."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.figures import Figure, seconds

RUNS = 7


def run() -> Iterator[Figure]:
    for arguments in (["--help"], ["rollback", "--help"], ["verify", "--help"]):
        taken = [_timed(arguments) for _ in range(RUNS)]
        yield Figure(f"switchback {' '.join(arguments)}", seconds(taken), "≤ 0.3 s")


def _timed(arguments: list[str]) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "provider_client", *arguments], capture_output=True, check=True)
    return time.monotonic() - started
