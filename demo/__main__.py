"""`make demo`, inside `python -m emulator run`: tells the story, and with KEEP=1 leaves everything up."""

from __future__ import annotations

import os
import shutil
import sys

from demo.project import ROOT, Project
from demo.screen import Screen
from demo.story import Story

STACK = "demo"


def main() -> int:
    if "SWITCHBACK_EMULATOR_URL" not in os.environ:
        print("demo: no emulator here. Run `make demo`, or `python -m emulator run -- python -m demo`.")
        return 2
    directory = ROOT / ".switchback" / "demo"
    shutil.rmtree(directory, ignore_errors=True)
    screen = Screen(clock_speed=float(os.environ.get("SWITCHBACK_CLOCK_SPEED", "1")))
    return Story(Project(directory, STACK, {}), screen, keep=bool(os.environ.get("KEEP"))).tell()


if __name__ == "__main__":
    sys.exit(main())
