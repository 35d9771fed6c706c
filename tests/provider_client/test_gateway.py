"""The gateway client: paid once, cancelled when given up, errors that name what happened."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.errors import (
    ApiError,
    AuthError,
    Cancelled,
    DeadlineExceeded,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
)
from provider_client.gateway import Answer, GatewayClient, GivenUp
from provider_client.http import open_client
from provider_client.models import GenerationRequest, GenerationStatus, Operation

Handler = Callable[[httpx.Request], httpx.Response]
REQUEST = GenerationRequest(operation=Operation.TXT2IMG, prompt="A knight")
TOKEN = "dummy-token-of-the-gateway"


def generation(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "job", "status": status, "provider": "runpod", "operation": "txt2img", **more}


def client(handler: Handler, clock: ManualClock | None = None, **options: Any) -> GatewayClient:
    http = httpx.Client(transport=httpx.MockTransport(handler))
    return GatewayClient("https://gateway.test/", TOKEN, http=http, clock=clock or ManualClock(), **options)


class Script:
    """Answers one after the other; the last one stays."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(status: str) -> httpx.Response:
    return httpx.Response(200, json=generation(status))


def test_generate_polls_until_the_job_is_final() -> None:
    script = Script(ok("queued"), ok("queued"), ok("running"), ok("succeeded"))
    seen: list[GenerationStatus] = []
    done = client(script).generate(
        REQUEST, deadline_seconds=60, on_progress=lambda state: seen.append(state.status)
    )
    assert done.status is GenerationStatus.SUCCEEDED
    assert seen == ["queued", "queued", "running", "succeeded"]
    assert [request.method for request in script.requests] == ["POST", "GET", "GET", "GET"]


def test_a_failed_job_is_an_answer_and_no_exception() -> None:
    failed = httpx.Response(
        200, json=generation("failed", error={"kind": "OUT_OF_MEMORY", "message": "no memory"})
    )
    assert client(Script(failed)).generate(REQUEST, deadline_seconds=60).error.kind == "OUT_OF_MEMORY"  # type: ignore[union-attr]


def test_a_lost_answer_is_asked_for_again_with_the_same_key_so_that_it_is_paid_once() -> None:
    script = Script(httpx.ReadTimeout("slow"), httpx.Response(502, text="bad gateway"), ok("succeeded"))
    client(script).generate(REQUEST, deadline_seconds=60)
    keys = {request.headers["Idempotency-Key"] for request in script.requests}
    assert len(script.requests) == 3
    assert len(keys) == 1


def test_two_generations_have_two_keys() -> None:
    script = Script(ok("succeeded"))
    gateway = client(script)
    gateway.generate(REQUEST, deadline_seconds=60)
    gateway.generate(REQUEST, deadline_seconds=60)
    assert len({request.headers["Idempotency-Key"] for request in script.requests}) == 2


@pytest.mark.parametrize("in_seconds", [True, False])
def test_retry_after_is_obeyed(in_seconds: bool) -> None:
    clock = ManualClock()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=18), usegmt=True)
    headers = {"Retry-After": "17" if in_seconds else date}
    script = Script(httpx.Response(429, headers=headers, json={"kind": "RATE_LIMITED"}), ok("succeeded"))
    client(script, clock).submit(REQUEST, idempotency_key="key")
    assert 16 <= clock.now() <= 18


def test_retries_are_few() -> None:
    script = Script(httpx.Response(503, json={"kind": "UNAVAILABLE", "detail": "down"}))
    with pytest.raises(ApiError) as caught:
        client(script).submit(REQUEST, idempotency_key="key")
    assert (len(script.requests), caught.value.code) == (4, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthError), (403, AuthError), (404, NotFoundError), (422, ApiError)]
)
def test_what_a_retry_cannot_help_is_not_retried(status: int, kind: type[ApiError]) -> None:
    problem = {"title": "No", "detail": "that is why", "kind": "BAD_REQUEST", "mitigation": "do this"}
    script = Script(httpx.Response(status, json=problem))
    with pytest.raises(kind, match="that is why") as caught:
        client(script).submit(REQUEST, idempotency_key="key")
    assert len(script.requests) == 1
    assert (caught.value.status, caught.value.code, caught.value.fix) == (status, "BAD_REQUEST", "do this")


def test_a_rate_limit_that_stays_is_its_own_error() -> None:
    with pytest.raises(RateLimitedError):
        client(Script(httpx.Response(429))).submit(REQUEST, idempotency_key="key")


def test_a_deadline_cancels_the_job() -> None:
    clock, script = ManualClock(), Script(ok("queued"))
    with pytest.raises(DeadlineExceeded, match="still in the queue"):
        client(script, clock).generate(REQUEST, deadline_seconds=30)
    assert script.requests[-1].method == "DELETE"
    assert clock.now() == pytest.approx(30)


def test_a_cancel_cancels_the_job() -> None:
    cancelled, script = threading.Event(), Script(ok("running"))
    cancelled.set()
    with pytest.raises(Cancelled):
        client(script).generate(REQUEST, deadline_seconds=30, cancelled=cancelled)
    assert script.requests[-1].method == "DELETE"


def test_ctrl_c_cancels_the_job() -> None:
    def interrupt(state: object) -> None:
        raise KeyboardInterrupt

    script = Script(ok("running"))
    with pytest.raises(KeyboardInterrupt):
        client(script).generate(REQUEST, deadline_seconds=30, on_progress=interrupt)
    assert script.requests[-1].method == "DELETE"


def test_a_stop_ends_the_retries_of_a_gateway_that_hangs() -> None:
    cancelled, clock = threading.Event(), ManualClock()

    def hang(request: httpx.Request) -> httpx.Response:
        cancelled.set()
        raise httpx.ReadTimeout("slow")

    with pytest.raises(Cancelled):
        client(hang, clock).generate(REQUEST, deadline_seconds=60, cancelled=cancelled)
    assert clock.now() == 0


def test_no_request_and_no_retry_outlasts_the_deadline() -> None:
    clock, timeouts = ManualClock(), []

    def hang(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"]["read"])
        clock.sleep(timeouts[-1])
        raise httpx.ReadTimeout("slow")

    with pytest.raises(UnreachableError):
        client(hang, clock).generate(REQUEST, deadline_seconds=5)
    assert timeouts == [5]


def test_a_job_that_is_given_up_at_a_hanging_gateway_is_let_go_within_ten_seconds() -> None:
    clock = ManualClock()

    def hang(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            clock.sleep(request.extensions["timeout"]["read"])
            raise httpx.ReadTimeout("slow")
        return ok("queued")

    with pytest.raises(GivenUp):
        client(hang, clock).generate(REQUEST, deadline_seconds=30)
    assert clock.now() == pytest.approx(40)


def test_the_reason_for_giving_up_wins_over_a_failing_cancel() -> None:
    script = Script(ok("running"), httpx.ConnectError("gone"))
    with pytest.raises(UnreachableError, match="gone"):
        client(script).generate(REQUEST, deadline_seconds=30)


def test_a_page_instead_of_json_is_named_and_not_quoted() -> None:
    page = httpx.Response(200, html="<html>secret words of a login page</html>")
    with pytest.raises(ApiError, match="text/html that is not a Health") as caught:
        client(Script(page)).health()
    assert "secret words" not in str(caught.value)


def test_health_is_asked_once_because_it_is_a_measurement() -> None:
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="refused"):
        client(script).health()
    assert len(script.requests) == 1


def test_deep_health_asks_the_provider_too() -> None:
    script = Script(httpx.Response(200, json={"status": "ok", "provider": "runpod", "version": {"id": "v"}}))
    client(script).health(deep=True)
    assert script.requests[0].url.params["deep"] == "1"


def test_worker_name_and_version_together_pin_every_call() -> None:
    script = Script(ok("succeeded"))
    client(script, worker_name="api", version_id="abc").poll("job")
    client(script, worker_name="api").poll("job")
    pinned = [request.headers.get("Cloudflare-Workers-Version-Overrides") for request in script.requests]
    assert pinned == ['api="abc"', None]


def test_every_answer_says_who_gave_it() -> None:
    seen: list[Answer] = []
    headers = {"Switchback-Provider": "runpod", "Switchback-Version": "v1"}
    client(Script(httpx.Response(200, json=generation("succeeded"), headers=headers)), observe=seen.append).poll(
        "job"
    )
    assert seen == [Answer("GET", "/v1/generations/job", 200, "runpod", "v1")]


def test_a_download_is_anonymous_and_not_parsed() -> None:
    script = Script(httpx.Response(200, content=b"bytes", headers={"content-type": "image/PNG; charset=x"}))
    asset = client(script).download("https://assets.test/picture.png")
    assert (asset.content, asset.content_type) == (b"bytes", "image/png")
    assert "authorization" not in script.requests[0].headers


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(302, headers={"location": "https://x.test"})]
)
def test_an_asset_that_does_not_resolve_is_an_error(answer: httpx.Response) -> None:
    with pytest.raises(ApiError, match=str(answer.status_code)):
        client(Script(answer)).download("https://assets.test/picture.png")


def test_an_asset_without_a_real_address_is_an_error() -> None:
    with pytest.raises(UnreachableError, match="port"):
        client(Script()).download("https://assets.test:port/picture.png")


def test_no_error_holds_the_token() -> None:
    for answer in (httpx.Response(401, json={"detail": "no"}), httpx.ConnectError("refused")):
        with pytest.raises((ApiError, UnreachableError)) as caught:
            client(Script(answer)).submit(REQUEST, idempotency_key="key")
        assert TOKEN not in str(caught.value) + repr(caught.value)


def test_a_job_that_the_providers_rate_limit_holds_back_says_so() -> None:
    held_back = httpx.Response(200, json=generation("queued"), headers={"Retry-After": "5"})
    with pytest.raises(GivenUp, match="held back by the provider's rate limit"):
        client(Script(held_back)).generate(REQUEST, deadline_seconds=30)


@pytest.mark.parametrize(
    "url", ["http://[::1/x.png", "http://\x00", "http://xn--/", "/assets/x.png", "file:///etc/hosts"]
)
def test_an_asset_whose_address_is_none_is_an_error(url: str) -> None:
    with open_client() as http, pytest.raises(UnreachableError, match="asset"):
        GatewayClient("https://gateway.test", TOKEN, http=http, clock=ManualClock()).download(url)


def test_an_id_cannot_lead_to_another_path() -> None:
    script = Script(ok("running"))
    for generation_id in ("../../health", "job\r\nX: y", "jöb"):
        client(script).poll(generation_id)
    assert {request.url.path.count("/") for request in script.requests} <= {3, 5}
    assert script.requests[0].url.raw_path == b"/v1/generations/..%2F..%2Fhealth"


def test_an_error_nested_too_deeply_to_read_is_still_an_error() -> None:
    with pytest.raises(ApiError, match="answered 422"):
        client(Script(httpx.Response(422, content=b"[" * 100_000))).submit(REQUEST, idempotency_key="key")


def test_a_redirect_is_told_and_not_followed() -> None:
    script = Script(httpx.Response(302, headers={"location": "https://login.test/"}))
    with pytest.raises(ApiError, match=r"302: Found, a redirect to https://login\.test/"):
        client(script).health()
    assert len(script.requests) == 1


@pytest.mark.parametrize("milliseconds", ["-5", "NaN", "Infinity", '"soon"'])
def test_a_duration_that_cannot_be_one_counts_as_not_said(milliseconds: str) -> None:
    body = json.dumps(generation("succeeded", timings={"run_ms": "*"})).replace('"*"', milliseconds)
    answer = client(Script(httpx.Response(200, content=body))).poll("job")
    assert answer.timings.run_ms is None


def test_operations_that_a_newer_gateway_offers_do_not_make_its_health_unreadable() -> None:
    health = {"status": "ok", "provider": "runpod", "version": {"id": "v"}, "operations": ["txt2img", "upscale"]}
    assert Operation.TXT2IMG in client(Script(httpx.Response(200, json=health))).health().operations


def test_whoever_cancels_does_not_wait_for_the_end_of_a_retry_after() -> None:
    clock, cancelled = ManualClock(), threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        cancelled.set()
        return httpx.Response(429, headers={"retry-after": "3600"})

    with pytest.raises(Cancelled):
        client(answer, clock).generate(REQUEST, deadline_seconds=900, cancelled=cancelled)
    assert clock.now() == 0
