"""What kind of failure is this? One table, provider_client/failure_kinds.json, for Python and the Worker.

A failure is brought into one form (failure_signals.py) and matched against the table's patterns in order.
Whoever adds a kind or a pattern edits the table alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from provider_client.errors import ExitCode, SwitchbackError
from provider_client.failure_signals import Signal, declared_kind, signal_of
from provider_client.redaction import redact, without_server_paths
from provider_client.workflows import WorkflowOptions, model_sources

TABLE_FILE = Path(__file__).parent / "failure_kinds.json"
LONGEST_MESSAGE = 300
LONGEST_TEXT = 20_000  # a traceback or a tensor that slipped in must not slow the patterns down


class FailureKind(StrEnum):
    """Every way to fail that is worth telling apart: each has its own mitigation."""

    AUTH = "AUTH"
    QUOTA = "QUOTA"
    RATE_LIMITED = "RATE_LIMITED"
    BAD_REQUEST = "BAD_REQUEST"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMEOUT = "TIMEOUT"
    COLD_START = "COLD_START"
    UNAVAILABLE = "UNAVAILABLE"
    STORAGE = "STORAGE"
    EMPTY_RESULT = "EMPTY_RESULT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Failure:
    """One classified failure. `message` says what happened, `mitigation` what to do; neither holds a secret."""

    kind: FailureKind
    message: str
    provider_code: str | None
    mitigation: str
    retryable: bool
    counts_toward_rollback: bool


EXIT_CODES = {FailureKind.AUTH: ExitCode.AUTH, FailureKind.TIMEOUT: ExitCode.TIMEOUT}


class ProviderError(SwitchbackError):
    """A provider could not do what was asked: `failure` says why, `attempts` counts the requests it took."""

    def __init__(
        self, failure: Failure, *, provider: str, provider_job: str | None = None, attempts: int = 1
    ) -> None:
        super().__init__(f"{provider}: {failure.kind.value}: {failure.message}", fix=failure.mitigation)
        self.failure = failure
        self.provider = provider
        self.provider_job = provider_job
        self.attempts = attempts
        self.exit_code = EXIT_CODES.get(failure.kind, ExitCode.RESOURCE)


@dataclass(frozen=True)
class Pattern:
    """One row of the table; `overrides` are the values of its kind that it changes."""

    kind: FailureKind
    provider: str
    status: frozenset[int] | None
    code: re.Pattern[str] | None
    text: re.Pattern[str] | None
    overrides: Mapping[str, Any]

    def matches(self, signal: Signal) -> bool:
        return (
            self.provider in ("*", signal.provider)
            and (self.status is None or signal.status in self.status)
            and (self.code is None or self.code.search(signal.code) is not None)
            and (self.text is None or self.text.search(signal.text) is not None)
        )


@dataclass(frozen=True)
class Table:
    """failure_kinds.json, read once."""

    kinds: Mapping[str, Mapping[str, Any]]
    patterns: tuple[Pattern, ...]
    titles: Mapping[str, str]


@cache
def _table() -> Table:
    table = json.loads(TABLE_FILE.read_text(encoding="utf-8"))
    return Table(table["kinds"], tuple(_pattern(row) for row in table["patterns"]), table["titles"])


def _pattern(row: Mapping[str, Any]) -> Pattern:
    # ASCII: \b and \d then mean what they mean in JavaScript.
    expressions = {key: re.compile(row[key], re.IGNORECASE | re.ASCII) for key in ("code", "text") if key in row}
    matched_on = ("kind", "provider", "status", "code", "text")
    return Pattern(
        kind=FailureKind(row["kind"]),
        provider=row["provider"],
        status=frozenset(row["status"]) if "status" in row else None,
        code=expressions.get("code"),
        text=expressions.get("text"),
        overrides={key: value for key, value in row.items() if key not in matched_on},
    )


def classify(
    what: BaseException | httpx.Response | Mapping[str, Any] | str | Signal,
    *,
    provider: str = "gateway",
    options: WorkflowOptions | None = None,
    secrets: Iterable[str] = (),
) -> Failure:
    """The failure behind an exception, an HTTP answer, or the body of a job, a history entry or an error.

    `provider` says who answered; `options` are named in the mitigation; `secrets` (the prompt too) never
    appear in the message.
    """
    if isinstance(what, ProviderError):
        return what.failure
    signal = what if isinstance(what, Signal) else signal_of(what, provider)
    declared = FailureKind.__members__.get(declared_kind(what) or "")
    signal = Signal(signal.provider, signal.status, signal.code[:LONGEST_TEXT], signal.text[:LONGEST_TEXT])
    table = _table()
    candidates = (row for row in table.patterns if declared in (None, row.kind))
    pattern = next((row for row in candidates if row.matches(signal)), None)
    kind = declared or (pattern.kind if pattern else FailureKind.UNKNOWN)
    traits = {**table.kinds[kind], **(pattern.overrides if pattern else {})}
    return Failure(
        kind=kind,
        message=_message(signal, pattern, secrets),
        provider_code=signal.code.split(" ")[0] or (str(signal.status) if signal.status else None),
        mitigation=_mitigation(traits, signal, options or WorkflowOptions()),
        retryable=traits["retryable"],
        counts_toward_rollback=traits["counts_toward_rollback"],
    )


def failure_of(
    kind: FailureKind,
    message: str,
    *,
    provider: str = "gateway",
    options: WorkflowOptions | None = None,
    secrets: Iterable[str] = (),
) -> Failure:
    """The failure of a kind that is known already, for example from the gateway's own answer."""
    traits = _table().kinds[kind]
    signal = Signal(provider, None, "", message)
    return Failure(
        kind=kind,
        message=_message(signal, None, secrets),
        provider_code=None,
        mitigation=_mitigation(traits, signal, options or WorkflowOptions()),
        retryable=traits["retryable"],
        counts_toward_rollback=traits["counts_toward_rollback"],
    )


def _message(signal: Signal, pattern: Pattern | None, secrets: Iterable[str]) -> str:
    """The lines that say why; a long dump is cut to the sentence or quotation in which the pattern matched."""
    text = signal.text.partition(". Raw response:")[0]
    match = pattern.text.search(text) if pattern and pattern.text else None
    if match and len(text) > LONGEST_MESSAGE:
        start = max(text.rfind(mark, 0, match.start()) + len(mark) for mark in ("\n", '"', ". ", "Message: "))
        text = re.split(r'["\n]', text[start:], maxsplit=1)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = "; ".join(lines) or _plain(signal)
    message = without_server_paths(redact(message, secrets))
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"


def _plain(signal: Signal) -> str:
    """What can be said of a failure that nobody put into words."""
    if signal.code.startswith("job:"):
        return f"the job ended as {signal.code.removeprefix('job:')}"
    return f"HTTP {signal.status} without a message" if signal.status else signal.code or "no message"


def _mitigation(traits: Mapping[str, Any], signal: Signal, options: WorkflowOptions) -> str:
    template: str = traits.get("mitigation_at", {}).get(signal.provider, traits["mitigation"])
    text = template.replace("{provider}", _table().titles.get(signal.provider, signal.provider))
    text = text.replace("{checkpoint}", options.checkpoint)
    text = text.replace("{background_removal_model}", options.background_removal_model)
    if "models_manifest" not in template:
        return text
    for name, (folder, source) in model_sources().items():
        if f"'{name}'" in signal.text:
            text += f" {name} belongs in models/{folder}; get it from {source}."
    return text
