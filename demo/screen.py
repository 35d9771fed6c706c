"""What the demo prints: chapters, the commands with their output, and the table of times at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.condensed import Condensed
from demo.project import Ended


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

    def pulumi_lines(self) -> Callable[[str], None]:
        """Prints the output of one `pulumi` command, condensed."""
        condensed = Condensed()

        def line(text: str) -> None:
            shown = condensed.line(text)
            if shown:
                self.console.print(Text(f"  {shown}", style="red" if "FAILED" in shown else "dim"))

        return line

    def good(self, text: str) -> None:
        self.console.print(Text(f"✔ {text}", style="green"))

    def bad(self, text: str) -> None:
        self.console.print(Text(f"✘ {text}", style="bold red"))

    def time(self, what: str, ended: Ended, *, generates: bool = False) -> None:
        """Remember how long it took; `generates`: most of it was waiting for emulated GPUs."""
        self.times.append((what, ended.seconds, generates))

    def table_of_times(self) -> None:
        table = Table(title="How long it took", title_justify="left", header_style="bold", box=SIMPLE_HEAD)
        table.add_column("step")
        table.add_column("here", justify="right")
        table.add_column("with real GPUs", justify="right")
        for what, seconds, generates in self.times:
            simulated = f"about {seconds * self.clock_speed:.0f} s" if generates else "the same"
            table.add_row(what, f"{seconds:.1f} s", simulated)
        self.console.print(table)
