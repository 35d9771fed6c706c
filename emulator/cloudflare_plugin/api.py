"""Calls to the Cloudflare API with the headers, retries and error texts of the official plugin's Go client."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

MAXIMUM_RETRIES: Final = 10
LONGEST_OBEYED_RETRY_AFTER_SECONDS: Final = 60.0
_FIRST_DELAY_SECONDS: Final = 2.0
_LONGEST_DELAY_SECONDS: Final = 30.0
_RETRIED_STATUSES: Final = (408, 409, 429)
_STATUS_TIMEOUT_SECONDS: Final = 60.0
_SKIPPED_BEFORE_JSON: Final = "".join(map(chr, range(33)))

HEADERS: Final[Mapping[str, str]] = {  # of a recorded first call
    "user-agent": (
        "terraform-provider-cloudflare/pulumi terraform-plugin-framework/1.19.0 terraform/pulumi-terraform-bridge"
    ),
    "accept": "application/json",
    "x-stainless-arch": "x64",
    "x-stainless-lang": "Terraform",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "pulumi",
    "x-stainless-runtime": "terraform-plugin-framework",
    "x-stainless-runtime-version": "1.19.0",
}

Sleep = Callable[[float], Awaitable[None]]


class ProviderError(Exception):
    """What the official plugin prints as an error: a summary and a detail, each in its words."""

    def __init__(self, summary: str, detail: str) -> None:
        super().__init__(f"{summary}: {detail}")
        self.summary = summary
        self.detail = detail


class RequestFailedError(ProviderError):
    """The API refused or could not be reached."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__("failed to make http request", detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One API call, relative to the base URL."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] | None = None
    body: Any = None  # None: no body


class CloudflareClient:
    """Sends requests; `sleep`, `jitter` (0 to 1) and `wall` (seconds since 1970) are for tests."""

    def __init__(
        self,
        base_url: str,
        authorization: Mapping[str, str],
        *,
        account_id: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/") + "/"
        self._authorization = dict(authorization)
        self.account_id = account_id  # where a resource names none
        self._transport = transport
        self._sleep = sleep
        self._jitter = jitter
        self._wall = wall
        self._http: httpx.AsyncClient | None = None

    async def send(self, request: Request) -> Any:
        """Return `result` of the answer; RequestFailedError for a refusal or when nothing answers."""
        retries = 0
        while True:
            outcome = await self._attempt(request, retries)
            if outcome.delay is None or retries >= MAXIMUM_RETRIES:
                return outcome.result()
            await self._sleep(outcome.delay(retries, self._jitter()))
            retries += 1

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _attempt(self, request: Request, retries: int) -> _Outcome:
        import httpx  # a preview without calls must not pay for it

        if self._http is None:
            self._http = httpx.AsyncClient(
                transport=self._transport, timeout=_STATUS_TIMEOUT_SECONDS, trust_env=False, follow_redirects=True
            )
        url = self._base_url + request.path + (f"?{request.query}" if request.query else "")
        headers = {
            **HEADERS,
            **self._authorization,
            "x-stainless-retry-count": str(retries),
            **(request.headers or {}),
        }
        content = None
        if request.body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(request.body, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
        try:
            response = await self._http.request(request.method, url, headers=headers, content=content)
        except httpx.TransportError as error:
            return _Outcome(
                failure=RequestFailedError(_unreachable(request.method, url, error)), delay=backoff_seconds
            )
        return _read(request.method, url, response, self._wall())


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    failure: RequestFailedError | None = None
    delay: Callable[[int, float], float] | None = None  # None: final

    def result(self) -> Any:
        if self.failure is not None:
            raise self.failure
        return self.value


def _read(method: str, url: str, response: httpx.Response, now: float) -> _Outcome:
    status = response.status_code
    if status >= HTTPStatus.BAD_REQUEST:
        text = f'{method} "{url}": {status} {_phrase(status)} {_document(response.text)}'
        delay = _asked_delay(response.headers, now) if is_retried(status, response.headers) else None
        return _Outcome(failure=RequestFailedError(text, status), delay=delay)
    try:
        document = json.loads(response.content) if response.content else {}
    except ValueError:
        text = f'{method} "{url}": the answer is not JSON'
        return _Outcome(failure=RequestFailedError(text, status))
    return _Outcome(value=document.get("result") if isinstance(document, dict) else None)


def _document(body: str) -> str:
    """Return what the Go client shows of an error's body: a JSON document, and of any other nothing.

    Source: cloudflare-go internal/apierror, which prints what gjson's Parse leaves as raw.
    """
    found = body.lstrip(_SKIPPED_BEFORE_JSON)
    return found if found.startswith(("{", "[")) else ""


def is_retried(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the Go client would send the request again."""
    asked = headers.get("x-should-retry")
    if asked in ("true", "false"):
        return asked == "true"
    return status in _RETRIED_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def backoff_seconds(retries: int, jitter: float) -> float:
    """Return 2, 4, 8, 16, 30, 30 … seconds, less up to a quarter."""
    return min(_FIRST_DELAY_SECONDS * 2.0**retries, _LONGEST_DELAY_SECONDS) * (1 - jitter / 4)


def _asked_delay(headers: Mapping[str, str], now: float) -> Callable[[int, float], float]:
    seconds = _asked_seconds(headers, now)
    if seconds is None or not 0 <= seconds < LONGEST_OBEYED_RETRY_AFTER_SECONDS:
        return backoff_seconds
    return lambda _retries, _jitter: seconds


def _asked_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Retry-After-Ms goes before Retry-After, which may be a date (cloudflare-go internal/requestconfig)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            return float(headers[name]) * unit
    with suppress(KeyError, ValueError):
        return parsedate_to_datetime(headers["retry-after"]).timestamp() - now
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _unreachable(method: str, url: str, error: httpx.TransportError) -> str:
    """Return Go's words for a request that got no answer."""
    place = urlsplit(url)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            reason = f"dial tcp {place.hostname}:{place.port}: connect: connection refused"
            return f'{method.capitalize()} "{url}": {reason}'
        cause = cause.__cause__ or cause.__context__
    words = "EOF" if "disconnected" in str(error) else str(error) or type(error).__name__
    return f'{method.capitalize()} "{url}": {words}'
