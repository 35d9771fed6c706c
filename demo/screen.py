"""What the demo prints: chapters, the commands with their output, and the table of times at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.project import Ended

# of Pulumi's non-interactive output: heartbeats, and lines that say nothing to a reader
NOISE = re.compile(r"^\s*$|^@ |pulumi:pulumi:Stack .* (running|creating|created|deleting)|warning: using pulumi")


@dataclass
class Screen:
    """`clock_speed`: how many simulated seconds pass in one second of the wall."""

    clock_speed: float = 1.0
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    times: list[tuple[str, float, bool]] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        self.console.print()
        self.console.rule(Text(title, style="bold"), align="left", style="dim")

    def say(self, text: str) -> None:
        self.console.print(text)

    def command(self, text: str) -> None:
        self.console.print(Text(f"$ {text}", style="bold cyan"))

    def line(self, text: str) -> None:
        """One line that a command printed."""
        if not NOISE.search(text):
            self.console.print(Text(f"  {text}", style="dim"))

    def good(self, text: str) -> None:
        self.console.print(Text(f"✔ {text}", style="green"))

    def bad(self, text: str) -> None:
        self.console.print(Text(f"✘ {text}", style="bold red"))

    def time(self, what: str, ended: Ended, *, generates: bool = False) -> None:
        """Remember how long it took; `generates`: most of it was waiting for emulated GPUs."""
        self.times.append((what, ended.seconds, generates))

    def table_of_times(self) -> None:
        table = Table(title="How long it took", title_justify="left", header_style="bold")
        table.add_column("step")
        table.add_column("here", justify="right")
        table.add_column("with GPUs of this world", justify="right")
        for what, seconds, generates in self.times:
            simulated = f"about {seconds * self.clock_speed:.0f} s" if generates else "the same"
            table.add_row(what, f"{seconds:.1f} s", simulated)
        self.console.print(table)
