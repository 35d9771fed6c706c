"""Runs checks side by side, each with its own deadline; one that hangs or breaks hides none of the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from provider_client.doctor.findings import Finding, problem, problem_from
from provider_client.errors import SwitchbackError

# One call to a vendor, with its retries, and a whole check: a silent vendor is named within 5 s, start-up included.
CALL_SECONDS = 2.5
CHECK_SECONDS = 3.0
FIRST_PROGRESS_SECONDS = 2.0
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """`find` yields findings as it goes; what it has yielded counts even when the deadline ends it."""

    name: str
    find: Callable[[], Iterable[Finding]]
    deadline_seconds: float = CHECK_SECONDS


class _Started:
    """A check in a thread of its own. A daemon: nobody waits for a vendor that keeps a connection open."""

    def __init__(self, check: Check, ended: queue.Queue[_Started]) -> None:
        self.check = check
        self._findings: list[Finding] = []
        self._ended = ended
        self._lock = threading.Lock()
        self._given_up = False
        threading.Thread(target=self._run, name=f"doctor {check.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            for finding in self.check.find():
                self._add(finding)
        except SwitchbackError as error:
            self._add(problem_from(self.check.name, error))
        except Exception as error:  # noqa: BLE001 - its text may quote anything, a secret too
            what = f"the check itself failed: unexpected {type(error).__name__}"
            self._add(problem(self.check.name, what, "report it, with the output of switchback --version"))
        self._ended.put(self)

    def _add(self, finding: Finding) -> None:
        with self._lock:
            if not self._given_up:
                self._findings.append(finding)

    def give_up(self) -> None:
        seconds = self.check.deadline_seconds
        what = f"no answer within {seconds:g} s"
        with self._lock:
            self._given_up = True
            self._findings.append(
                problem(self.check.name, what, "check the network and the address, then run it again")
            )

    def findings(self) -> list[Finding]:
        with self._lock:
            return list(self._findings)


def run_checks(
    checks: Sequence[Check], *, still_running: Callable[[list[str], float], None] | None = None
) -> list[Finding]:
    """All findings in the order of `checks`; `still_running` is told the names and the seconds while it takes long."""
    begun, told = time.monotonic(), 0.0
    ended: queue.Queue[_Started] = queue.Queue()
    started = [_Started(check, ended) for check in checks]
    running = list(started)
    while running:
        seconds = time.monotonic() - begun
        for late in [one for one in running if seconds >= one.check.deadline_seconds]:
            late.give_up()
            running.remove(late)
        next_word = max(FIRST_PROGRESS_SECONDS, told + PROGRESS_SECONDS) if told else FIRST_PROGRESS_SECONDS
        if still_running and running and seconds >= next_word:
            still_running([one.check.name for one in running], seconds)
            told = seconds
        _take_one(ended, running, begun)
    return [finding for one in started for finding in one.findings()]


def _take_one(ended: queue.Queue[_Started], running: list[_Started], begun: float) -> None:
    if not running:
        return
    until = min(one.check.deadline_seconds for one in running) - (time.monotonic() - begun)
    try:
        done = ended.get(timeout=max(0.0, min(until, 0.5)))
    except queue.Empty:
        return
    if done in running:
        running.remove(done)
