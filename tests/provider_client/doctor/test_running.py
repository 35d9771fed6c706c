"""Checks run side by side; what one does never hides another, and the exit code says what to mend first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from provider_client.doctor import Check, Finding, Level, exit_code, run_checks
from provider_client.doctor.findings import not_checked, ok, problem, warning
from provider_client.errors import ConfigError, ExitCode


def finding(name: str) -> Check:
    return Check(name, lambda: [ok(name, "fine")])


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that nobody sets while the test runs."""
    event = threading.Event()
    yield event
    event.set()


def test_findings_come_in_the_order_of_the_checks(never: threading.Event) -> None:
    """Whoever ends first: the page reads the same every time."""

    def slow() -> Iterator[Finding]:
        never.wait(0.05)
        yield ok("slow", "fine")

    assert [found.check for found in run_checks([Check("slow", slow), finding("quick")])] == ["slow", "quick"]


def test_a_check_that_hangs_is_named_at_its_deadline(never: threading.Event) -> None:
    """What it found before counts, what it finds later does not, and nobody waits for it."""

    def hangs() -> Iterator[Finding]:
        yield ok("vendor", "the first half")
        never.wait(30)
        yield ok("vendor", "too late")

    began = time.monotonic()
    found = run_checks([Check("vendor", hangs, deadline_seconds=0.1), finding("other")])
    assert time.monotonic() - began < 5
    assert [(one.check, one.level) for one in found] == [
        ("vendor", Level.OK),
        ("vendor", Level.PROBLEM),
        ("other", Level.OK),
    ]
    assert "0.1 s" in found[1].what
    assert found[1].exit_code is ExitCode.RESOURCE


def test_checks_run_at_the_same_time() -> None:
    """Each of two waits for the other; one after the other they would both run into the deadline."""
    meeting = threading.Barrier(2)

    def meets() -> Iterator[Finding]:
        meeting.wait(5)
        yield ok("meeting", "met")

    found = run_checks([Check("one", meets, 5), Check("two", meets, 5)])
    assert [one.level for one in found] == [Level.OK, Level.OK]


def test_an_error_of_ours_becomes_a_problem_with_its_fix() -> None:
    """Message and fix as they are."""

    def refuses() -> Iterator[Finding]:
        raise ConfigError("wrong", fix="right")
        yield

    [found] = run_checks([Check("config", refuses)])
    assert (found.what, found.fix, found.exit_code) == ("wrong", "right", ExitCode.CONFIG)


def test_the_text_of_an_unforeseen_error_is_not_shown() -> None:
    """It may quote a secret: its kind must do."""

    def breaks() -> Iterator[Finding]:
        raise RuntimeError("dummy-secret")
        yield

    [found] = run_checks([Check("vendor", breaks)])
    assert "RuntimeError" in found.what
    assert "dummy-secret" not in repr(found)


def test_progress_names_what_is_still_running(never: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told once it takes longer than the limit, not before."""
    monkeypatch.setattr("provider_client.doctor.running.FIRST_PROGRESS_SECONDS", 0.05)
    told: list[list[str]] = []

    def hangs() -> Iterator[Finding]:
        never.wait(30)
        yield ok("vendor", "")

    run_checks(
        [Check("vendor", hangs, deadline_seconds=1.2), finding("quick")],
        still_running=lambda names, seconds: told.append(names),
    )
    assert told == [["vendor"]]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], ExitCode.OK),
        ([ExitCode.RESOURCE], ExitCode.RESOURCE),
        ([ExitCode.RESOURCE, ExitCode.AUTH], ExitCode.AUTH),
        ([ExitCode.AUTH, ExitCode.CONFIG, ExitCode.RESOURCE], ExitCode.CONFIG),
    ],
)
def test_the_exit_code_is_the_first_thing_to_mend(codes: list[ExitCode], expected: ExitCode) -> None:
    """Configuration before credentials before everything else."""
    assert exit_code([ok("a", ""), *(problem("b", "", "", code) for code in codes)]) is expected


def test_warnings_and_what_was_not_checked_stop_nothing() -> None:
    """Only problems count."""
    assert exit_code([warning("a", ""), not_checked("b", "")]) is ExitCode.OK
