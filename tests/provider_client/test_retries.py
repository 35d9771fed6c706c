"""Retries are bounded, spread, counted and obedient; what costs money is not repeated on a guess."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.retries import READ, SUBMIT, RetryPolicy, retry_after_seconds, send

Outcome = httpx.Response | httpx.RequestError


def ask(outcomes: list[Outcome], policy: RetryPolicy) -> tuple[Outcome, int, float]:
    """The final outcome, the number of attempts, and the seconds waited (with the longest jitter)."""
    answers: Iterator[Outcome] = iter(outcomes)
    attempts: list[None] = []
    clock = ManualClock()

    def answer(request: httpx.Request) -> httpx.Response:
        outcome = next(answers)
        if isinstance(outcome, httpx.RequestError):
            raise outcome
        return outcome

    http = httpx.Client(transport=httpx.MockTransport(answer))
    request = http.build_request("POST", "http://vendor.localhost/run", json={"a": 1})
    final: Outcome
    try:
        final = send(
            http, request, clock=clock, policy=policy, on_attempt=lambda: attempts.append(None), jitter=lambda: 1.0
        )
    except httpx.RequestError as error:
        final = error
    return final, len(attempts), clock.now()


def test_a_read_is_repeated_until_it_works_with_growing_waits() -> None:
    final, attempts, waited = ask([httpx.ReadTimeout("x"), httpx.Response(503), httpx.Response(200)], READ)
    assert isinstance(final, httpx.Response)
    assert (final.status_code, attempts, waited) == (200, 3, 1.5)


def test_a_body_that_cannot_be_unpacked_is_read_again() -> None:
    assert ask([httpx.DecodingError("bad gzip"), httpx.Response(200)], READ)[1] == 2


def test_the_number_of_attempts_is_bounded() -> None:
    final, attempts, _ = ask([httpx.Response(503)] * 9, READ)
    assert isinstance(final, httpx.Response)
    assert attempts == READ.attempts


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_an_answer_that_will_not_change_is_not_asked_for_again(status: int) -> None:
    assert ask([httpx.Response(status)], READ)[1] == 1


@pytest.mark.parametrize(
    "outcome",
    [
        httpx.ReadTimeout("x"),
        httpx.ReadError("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.Response(500),
        httpx.Response(502),
    ],
)
def test_a_submit_is_not_repeated_when_it_may_have_been_taken(outcome: Outcome) -> None:
    assert ask([outcome], SUBMIT)[1] == 1


@pytest.mark.parametrize("outcome", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.Response(429)])
def test_a_submit_is_repeated_when_it_was_surely_not_taken(outcome: Outcome) -> None:
    assert ask([outcome, httpx.Response(200)], SUBMIT)[1] == 2


def test_retry_after_is_obeyed_to_the_second() -> None:
    assert ask([httpx.Response(429, headers={"retry-after": "17"}), httpx.Response(200)], SUBMIT)[2] == 17


def test_a_retry_after_beyond_patience_ends_the_attempts_at_once() -> None:
    final, attempts, waited = ask([httpx.Response(429, headers={"retry-after": "3600"})], READ)
    assert isinstance(final, httpx.Response)
    assert (final.status_code, attempts, waited) == (429, 1, 0)


def test_jitter_spreads_the_waits_over_half_of_their_length() -> None:
    waits = {jitter: READ.wait(3, httpx.Response(503), jitter) for jitter in (0.0, 0.5, 1.0)}
    assert waits == {0.0: 1.0, 0.5: 1.5, 1.0: 2.0}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0), ("0.5", 0.5), ("-3", 0.0), ("", None), ("soon", None),
        ("Mon, 23 Nov 2026 06:00:30 GMT", 30.0), ("Mon, 23 Nov 2026 05:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 06:00:30", 30.0), ("Mon, 23 Nov 2026 06:00:30 -0000", 30.0), ("nan", 0.0),
    ],
)  # fmt: skip
def test_both_forms_of_retry_after(value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)
    assert retry_after_seconds(httpx.Response(429, headers={"retry-after": value}), now) == seconds
