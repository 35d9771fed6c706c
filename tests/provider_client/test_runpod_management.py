from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.errors import (
    ApiError,
    AuthError,
    ConfigError,
    NotFoundError,
    RateLimitedError,
    SwitchbackError,
    UnreachableError,
)
from provider_client.runpod_management import RunPodManagementApi, default_base_url

KEY = "dummy-runpod-key"
Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers in turn, the last one for ever; remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def api(script: Script, clock: ManualClock | None = None, **options: Any) -> RunPodManagementApi:
    http = httpx.Client(transport=httpx.MockTransport(script))
    return RunPodManagementApi(
        KEY, http=http, clock=clock or ManualClock(), base_url="https://runpod.invalid/v2", **options
    )


def problem(status: int, detail: str = "", **fields: Any) -> httpx.Response:
    return httpx.Response(status, json={"title": "T", "status": status, "detail": detail, **fields})


RESET = httpx.ReadError("connection reset by peer")
HANG = httpx.ReadTimeout("")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            problem(401, "missing bearer token"),
            AuthError,
            ["401", "missing bearer token", "pulumi config set --secret"],
        ),
        (problem(403, "access denied"), AuthError, ["access denied", "write access"]),
        (problem(404, "endpoint not found"), NotFoundError, ["endpoint not found", "pulumi refresh"]),
        (
            problem(400, "excludedTypes must lie in pools"),
            ApiError,
            ["excludedTypes must lie in pools", "correct"],
        ),
        (
            problem(422, "Request validation failed.", errors=["$: missing property 'image'", "$: additional"]),
            ApiError,
            ["Request validation failed.", "- $: missing property 'image'", "- $: additional"],
        ),
        (problem(429, "rate limit exceeded for the minute window"), RateLimitedError, ["minute window", "wait"]),
        (problem(500, "boom"), ApiError, ["500", "RunPod has a problem of its own"]),
        (httpx.Response(502, text="<html>bad gateway</html>"), ApiError, ["502", "run it again"]),
        (httpx.Response(410, json={"error": "Gone"}), ApiError, ["410", "REST v2", "api.runpod.io/v2"]),
        (httpx.Response(400, json={"error": "x", "status": 400}), ApiError, ["not REST v2"]),
        (httpx.Response(200, text="<html>captive portal</html>"), UnreachableError, ["not JSON"]),
        (httpx.Response(200, text='{"id": "ep1", "na'), UnreachableError, ["not JSON"]),
        (httpx.Response(200, json=[]), UnreachableError, ["no JSON object"]),
        (httpx.Response(200, json={}), UnreachableError, ["no endpoint", "REST v2"]),
        (httpx.Response(200, json={"id": None}), UnreachableError, ["no endpoint"]),
        (problem(422, "validation failed", errors="all of it"), ApiError, ["validation failed"]),
        (RESET, UnreachableError, ["the connection broke", "runpod.invalid"]),
        (HANG, UnreachableError, ["no answer in time"]),
        (httpx.ConnectError("[Errno 111]"), UnreachableError, ["no connection"]),
    ],
)
@pytest.mark.parametrize("method", ["read", "create"])
def test_every_failure_has_cause_and_next_step_inside_the_deadline(
    answer: httpx.Response | Exception, kind: type[SwitchbackError], words: list[str], method: str
) -> None:
    clock, script = ManualClock(), Script(answer)
    client = api(script, clock, deadline_seconds=20)
    with pytest.raises(kind) as caught:
        client.endpoint("ep1") if method == "read" else client.create_endpoint({"name": "a"})
    told = str(caught.value)
    assert all(word in told for word in words), told
    assert "fix: " in told
    assert KEY not in told
    assert clock.now() <= 20


def test_a_read_is_repeated_until_it_works() -> None:
    script = Script(RESET, problem(503), httpx.Response(200, json={"id": "ep1"}))
    assert api(script).endpoint("ep1") == {"id": "ep1"}
    assert len(script.requests) == 3


@pytest.mark.parametrize("answer", [RESET, HANG, problem(500), problem(503)])
def test_a_create_whose_answer_may_be_lost_is_not_repeated(answer: httpx.Response | Exception) -> None:
    script = Script(answer, httpx.Response(201, json={"id": "second"}))
    with pytest.raises(SwitchbackError):
        api(script).create_endpoint({"name": "a"})
    assert len(script.requests) == 1


def test_retry_after_is_obeyed_and_a_create_is_repeated_after_429() -> None:
    clock = ManualClock()
    limited = httpx.Response(429, json={"detail": "minute"}, headers={"Retry-After": "12"})
    script = Script(limited, httpx.Response(201, json={"id": "ep1"}))
    assert api(script, clock).create_endpoint({"name": "a"}) == {"id": "ep1"}
    assert clock.now() == 12


def test_a_retry_after_beyond_the_deadline_ends_at_once() -> None:
    clock = ManualClock()
    limited = httpx.Response(429, json={"detail": "hour"}, headers={"Retry-After": "3000"})
    with pytest.raises(RateLimitedError) as caught:
        api(Script(limited), clock).endpoints()
    assert (caught.value.retry_after, clock.now()) == (3000, 0)
    assert "wait 3000 s" in caught.value.fix


@pytest.mark.parametrize(("answer", "was_there"), [(httpx.Response(204), True), (problem(404), False)])
def test_delete_counts_gone_as_done(answer: httpx.Response, was_there: bool) -> None:
    assert api(Script(answer)).delete_endpoint("ep1") is was_there


def test_the_key_travels_in_the_header_alone() -> None:
    script = Script(httpx.Response(200, json={"endpoints": []}))
    api(script).endpoints()
    request = script.requests[0]
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(request.url)


@pytest.mark.parametrize("key", ["", "dummy key", "dummy\nkey", "dümmy"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunPodManagementApi(key, http=httpx.Client(), clock=ManualClock())
    assert not key or key not in str(caught.value)


def test_availability_asks_with_the_product_that_include_needs() -> None:
    script = Script(httpx.Response(200, json={"gpus": [{"id": "NVIDIA L40", "availability": "LOW"}]}))
    assert api(script).gpu_availability(2) == {"NVIDIA L40": "LOW"}
    assert dict(script.requests[0].url.params) == {
        "include": "AVAILABILITY",
        "product": "SERVERLESS",
        "count": "2",
    }


def test_the_base_url_is_the_one_that_runpods_own_tools_read() -> None:
    assert default_base_url({}) == "https://api.runpod.io/v2"
    assert default_base_url({"RUNPOD_REST_API_URL": "http://127.0.0.1:1/v2/"}) == "http://127.0.0.1:1/v2"


@pytest.mark.parametrize("body", [{}, {"endpoints": None, "gpus": 3}, {"endpoints": ["ep"], "gpus": [{}]}])
def test_a_list_that_is_none_is_not_taken_for_an_empty_one(body: dict[str, Any]) -> None:
    """Were it, an interrupted create would not find what it left, and make a second endpoint."""
    for ask in (
        RunPodManagementApi.endpoints,
        RunPodManagementApi.gpu_catalog,
        RunPodManagementApi.gpu_availability,
    ):
        with pytest.raises(UnreachableError, match="no list"):
            ask(api(Script(httpx.Response(200, json=body))))
