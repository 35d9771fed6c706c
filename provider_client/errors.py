"""Every error a caller can meet, and the exit code it ends in.

SwitchbackError
├── ConfigError           a setting is missing or wrong: names the key, where its value came from, the fix
├── ApiError              an API answered with an error
│   ├── AuthError         401 or 403: the credential is wrong or lacks a right
│   ├── NotFoundError     404
│   └── RateLimitedError  429
├── UnreachableError      no answer: DNS, connection, TLS, time-out
├── VerificationFailed    the verdict was FAILED
├── Inconclusive          the verdict was INCONCLUSIVE
├── RollbackRefused       the way back is known to be closed
├── RollbackFailed        the way back was tried and is not confirmed
├── TrafficRefused        a move of traffic would undo an emergency rollback
├── LockedError           the stack is locked by another update
├── DeadlineExceeded      a wait ran out
└── Cancelled             the user stopped it
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """0 to 9 mean what Pulumi's exit codes mean (sdk/go/common/util/cmdutil/exit.go); 10 and up are ours."""

    OK = 0
    GENERIC = 1
    CONFIG = 2
    AUTH = 3
    RESOURCE = 4
    POLICY = 5
    STACK_NOT_FOUND = 6
    NO_CHANGES = 7
    CANCELLED = 8
    TIMEOUT = 9
    VERIFICATION_FAILED = 10
    INCONCLUSIVE = 11
    ROLLED_BACK = 12
    ROLLBACK_FAILED = 13
    LOCKED = 14


class SwitchbackError(Exception):
    """An error to show to a person: what happened, and the next step. Never holds a secret."""

    exit_code = ExitCode.GENERIC

    def __init__(self, message: str, *, fix: str = "", help_url: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.help_url = help_url

    def __str__(self) -> str:
        lines = [self.message]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        if self.help_url:
            lines.append(f"  see: {self.help_url}")
        return "\n".join(lines)


class ConfigError(SwitchbackError):
    exit_code = ExitCode.CONFIG


class ApiError(SwitchbackError):
    """`status` is the HTTP status; `code` the vendor's own error code where it has one."""

    exit_code = ExitCode.RESOURCE

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        retry_after: float | None = None,
        fix: str = "",
        help_url: str = "",
    ) -> None:
        super().__init__(message, fix=fix, help_url=help_url)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class AuthError(ApiError):
    exit_code = ExitCode.AUTH


class NotFoundError(ApiError):
    pass


class RateLimitedError(ApiError):
    pass


class UnreachableError(SwitchbackError):
    exit_code = ExitCode.RESOURCE


class VerificationFailed(SwitchbackError):
    exit_code = ExitCode.VERIFICATION_FAILED


class Inconclusive(SwitchbackError):
    exit_code = ExitCode.INCONCLUSIVE


class RollbackRefused(SwitchbackError):
    exit_code = ExitCode.ROLLBACK_FAILED


class RollbackFailed(SwitchbackError):
    exit_code = ExitCode.ROLLBACK_FAILED


class TrafficRefused(SwitchbackError):
    exit_code = ExitCode.RESOURCE


class LockedError(SwitchbackError):
    exit_code = ExitCode.LOCKED


class DeadlineExceeded(SwitchbackError):
    exit_code = ExitCode.TIMEOUT


class Cancelled(SwitchbackError):
    exit_code = ExitCode.CANCELLED
