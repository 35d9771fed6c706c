"""`make bench [ONLY=switch]`: every benchmark in turn, each a module with `run() -> Iterator[Figure]`."""

from __future__ import annotations

import importlib
import os
import platform
import sys

from benchmarks.figures import Figure

BENCHMARKS = ("switch", "command_line", "worker", "verifier")


def main() -> int:
    only = os.environ.get("ONLY")
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in BENCHMARKS:
        if only and name != only:
            continue
        print(f"\n{name}")
        for figure in importlib.import_module(f"benchmarks.{name}").run():
            show(figure)
    return 0


def show(figure: Figure) -> None:
    bar = f"   (bar: {figure.bar})" if figure.bar else ""
    print(f"  {figure.what:<58} {figure.measured:>14}{bar}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
