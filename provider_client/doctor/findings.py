"""What a check found, and what the whole comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from provider_client.errors import AuthError, ExitCode, SwitchbackError


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`fix` is a command or a sentence; `exit_code` is OK for all but problems. Never holds a secret."""

    check: str
    level: Level
    what: str
    fix: str = ""
    exit_code: ExitCode = ExitCode.OK


def ok(check: str, what: str) -> Finding:
    return Finding(check=check, level=Level.OK, what=what)


def warning(check: str, what: str, fix: str = "") -> Finding:
    return Finding(check=check, level=Level.WARNING, what=what, fix=fix)


def problem(check: str, what: str, fix: str, code: ExitCode = ExitCode.RESOURCE) -> Finding:
    return Finding(check=check, level=Level.PROBLEM, what=what, fix=fix, exit_code=code)


def not_checked(check: str, why: str, fix: str = "") -> Finding:
    return Finding(check=check, level=Level.NOT_CHECKED, what=why, fix=fix)


def problem_from(check: str, error: SwitchbackError, fix: str = "") -> Finding:
    """An error of ours as a problem; its exit code is one of config, auth and resource."""
    known = error.exit_code in (ExitCode.CONFIG, ExitCode.AUTH)
    code = error.exit_code if known else ExitCode.RESOURCE
    return problem(check, error.message, fix or error.fix, code)


def refused(error: SwitchbackError) -> bool:
    """The credential is accepted, but may not do this."""
    return isinstance(error, AuthError) and error.status == 403


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """0 without a problem, else the smallest of 2, 3 and 4, which is also the order in which to mend them.

    A wrong configuration may be the cause of a refused credential (another key was meant), a refused credential
    that of a missing resource (it cannot be seen): the first in this chain is the worst, because nothing after it
    can be trusted until it is mended.
    """
    codes = [finding.exit_code for finding in findings if finding.level is Level.PROBLEM]
    return min(codes, default=ExitCode.OK)
