"""Sending one request again when that is right: bounded, jittered, Retry-After obeyed, every attempt counted.

Two policies. READ may repeat anything that changes nothing. SUBMIT is for requests that cost money: it repeats
only what the other side surely did not act on (it refused with 429, or no connection came about). A submit whose
answer got lost is never repeated here; whoever sent it looks first whether it arrived.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from provider_client.clock import Clock

NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When to repeat and how long to wait, in seconds. A longer Retry-After ends the attempts at once."""

    statuses: frozenset[int]
    exceptions: tuple[type[httpx.RequestError], ...]
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0

    def repeats(self, outcome: httpx.Response | httpx.RequestError) -> bool:
        if isinstance(outcome, httpx.Response):
            return outcome.status_code in self.statuses
        return isinstance(outcome, self.exceptions)

    def wait(self, attempt: int, outcome: httpx.Response | httpx.RequestError, jitter: float) -> float | None:
        """Seconds before the next attempt; None means to give up. `jitter` is 0 to 1 (full jitter above half)."""
        if attempt >= self.attempts or not self.repeats(outcome):
            return None
        asked = retry_after_seconds(outcome) if isinstance(outcome, httpx.Response) else None
        if asked is not None:
            return asked if asked <= self.longest_retry_after else None
        return float(min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)) * (0.5 + jitter / 2))


READ = RetryPolicy(
    statuses=frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}),
    exceptions=(httpx.RequestError,),
)
SUBMIT = RetryPolicy(statuses=frozenset({429}), exceptions=NEVER_CONNECTED)


def retry_after_seconds(response: httpx.Response, now: datetime | None = None) -> float | None:
    """What Retry-After asks for, in seconds, from both of its forms (RFC 9110, 10.2.3); None when absent."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # an HTTP date is always GMT
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def send(
    http: httpx.Client,
    request: httpx.Request,
    *,
    clock: Clock,
    policy: RetryPolicy,
    on_attempt: Callable[[], None] = lambda: None,
    jitter: Callable[[], float] = random.random,
) -> httpx.Response:
    """The answer to `request`, after repeating it as the policy allows; raises the last httpx.RequestError."""
    attempt = 0
    while True:
        attempt += 1
        on_attempt()
        outcome: httpx.Response | httpx.RequestError
        try:
            outcome = http.send(request)
        except httpx.RequestError as error:
            outcome = error
        wait = policy.wait(attempt, outcome, jitter())
        if wait is not None:
            clock.sleep(wait)
        elif isinstance(outcome, httpx.RequestError):
            raise outcome
        else:
            return outcome
