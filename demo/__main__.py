"""`make demo`, inside `python -m emulator run`: tells the story, and with KEEP=1 leaves everything up."""

from __future__ import annotations

import os
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
    story = Story(Project(directory, STACK, {}), Screen(), keep=bool(os.environ.get("KEEP")))
    return story.tell()


if __name__ == "__main__":
    sys.exit(main())
