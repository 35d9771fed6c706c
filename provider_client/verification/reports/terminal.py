"""The terminal: a live table for a person, plain stable lines for a pipe, the same verdict at the end of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from provider_client.verification.events import (
    MARKS,
    AssetFinished,
    AssetStarted,
    Event,
    Started,
    Stopped,
    Waiting,
    describe,
)
from provider_client.verification.measurement import Outcome, brief
from provider_client.verification.report import Report

COLOURS = {
    Outcome.SUCCESSFUL: "green",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.ERROR: "red",
    Outcome.FAILED: "red",
}


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Event], None]]:
    """A progress callback: live where there is a terminal, one line per finished thing where there is none."""
    if not console.is_terminal:
        yield lambda event: _plain(console, event)
        return
    board = _Board()
    with Live(board.render(), console=console, refresh_per_second=8, transient=True) as live:

        def show(event: Event) -> None:
            board.take(event)
            live.update(board.render())

        yield show


def _plain(console: Console, event: Event) -> None:
    if not isinstance(event, AssetStarted):
        console.print(escape(describe(event)))


class _Board:
    """What the live display shows: a bar, what is running, what is finished."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._task = self._bar.add_task("verifying", total=None)
        self._running: dict[int, str] = {}
        self._finished: list[AssetFinished] = []
        self._note = ""

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self._bar.update(self._task, description=f"verifying {event.provider}", total=event.planned)
            case AssetStarted():
                self._running[event.number] = f"{event.operation} {event.name}"
            case AssetFinished():
                self._running.pop(event.number, None)
                self._finished.append(event)
                self._bar.update(self._task, completed=event.done, total=event.planned)
        self._note = describe(event) if isinstance(event, Waiting | Stopped) else ""

    def render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for event in self._finished:
            table.add_row(*_row(event.outcome, event.name, event.operation, event.seconds, event.sentence))
        for running in self._running.values():
            table.add_row("[dim]…", f"[dim]{escape(running)}")
        return Group(table, self._bar, escape(self._note))


def print_report(console: Console, report: Report, place: str) -> None:
    """The final word: every asset, the verdict, what it claims, what comes next, where the pictures are."""
    table = Table.grid(padding=(0, 2))
    for asset in report.assets:
        problem = asset.problems[0].sentence if asset.problems else ""
        name, operation = asset.planned.name, asset.planned.operation
        table.add_row(*_row(asset.outcome, name, operation, asset.seconds, problem))
    console.print(table)
    verdict, colour = report.verdict, COLOURS[report.verdict.outcome]
    word = "STOPPED" if report.cancelled else verdict.outcome
    console.print(f"[bold {colour}]{word}[/] {escape(verdict.sentence)}")
    for label, text in (("to mend it", verdict.mitigation), ("next", verdict.next_step)):
        if text:
            console.print(f"  {label}: {escape(text)}")
    for line in (*verdict.claims, *verdict.remarks):
        console.print(f"  {escape(line)}", style="dim")
    failing = next((asset for asset in report.assets if asset.problems), None)
    if failing is not None:
        console.print(f"  reproduce: {escape(failing.reproduce)}", soft_wrap=True)
    spent = "not known" if report.spent_usd is None else f"${report.spent_usd:.3f}"
    console.print(f"  spent: {spent}; pictures: {escape(place)}", soft_wrap=True)


def _row(outcome: Outcome, name: str, operation: str, seconds: float | None, problem: str) -> tuple[str, ...]:
    time = "" if seconds is None else f"{seconds:.1f} s"
    return f"[{COLOURS[outcome]}]{MARKS[outcome]}[/]", escape(name), operation, time, escape(brief(problem))
