"""Client of the deployed Worker's public API (infra/worker/openapi.yaml).

What it promises: a request is paid for once (idempotency key), and a job that is given up is cancelled.
Retries are few, jittered, obey Retry-After, and happen inside the time that the caller measures and allows.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from provider_client.clock import Clock
from provider_client.errors import (
    ApiError,
    AuthError,
    Cancelled,
    DeadlineExceeded,
    NotFoundError,
    RateLimitedError,
    SwitchbackError,
    UnreachableError,
)
from provider_client.http import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS
from provider_client.models import Generation, GenerationRequest, GenerationStatus, Health
from provider_client.retries import retry_after_seconds

ATTEMPTS = 4
FIRST_POLL_SECONDS = 0.5
LONGEST_POLL_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0  # the gateway's own limit is per minute
CANCEL_SECONDS = 10.0
SHORTEST_READ_SECONDS = 1.0
OVERRIDE_HEADER = "Cloudflare-Workers-Version-Overrides"

Parsed = TypeVar("Parsed", bound=BaseModel)
OnProgress = Callable[[Generation], None]


@dataclass(frozen=True)
class Answer:
    """Who answered one call: what the gateway's own headers say, whatever the body claims."""

    method: str
    path: str
    status: int
    provider: str
    version_id: str


@dataclass(frozen=True)
class DownloadedAsset:
    """An asset as a browser gets it. `content_type` is without parameters."""

    content: bytes
    content_type: str
    headers: Mapping[str, str]


class WaitingState(StrEnum):
    """What a generation was doing when nobody waited any longer."""

    QUEUED = "still in the queue"
    RUNNING = "still running"
    HELD_BACK = "still held back by the provider's rate limit"


class GivenUp(DeadlineExceeded):
    """A generation was not final in time and was cancelled. `state` says what it was doing then."""

    def __init__(self, state: WaitingState) -> None:
        super().__init__(f"{state.value} when the time to wait was over; the job was cancelled")
        self.state = state


@dataclass(frozen=True)
class _Step:
    """One answer about a generation; with `retry_after` it waits for the provider's rate limit."""

    generation: Generation
    retry_after: float | None

    @property
    def state(self) -> WaitingState:
        if self.retry_after is not None:
            return WaitingState.HELD_BACK
        queued = self.generation.status is GenerationStatus.QUEUED
        return WaitingState.QUEUED if queued else WaitingState.RUNNING


@dataclass(frozen=True)
class _Patience:
    """How long the caller waits, by `clock`, and whether it was told to stop meanwhile."""

    clock: Clock
    until: float = math.inf
    cancelled: threading.Event | None = None

    @property
    def left(self) -> float:
        return max(0.0, self.until - self.clock.now())

    @property
    def stopped(self) -> bool:
        return self.cancelled is not None and self.cancelled.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end, and in short pieces where somebody may say stop."""
        end = self.clock.now() + min(seconds, self.left)
        piece = LONGEST_POLL_SECONDS if self.cancelled is not None else seconds
        while (rest := end - self.clock.now()) > 0 and not self.stopped:
            self.clock.sleep(min(rest, piece))


class GatewayClient:
    """One gateway, optionally one version of it: worker name and version id together pin every call to that version.

    What is made with purpose "verification" is deleted from the bucket after some days.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        http: httpx.Client,
        clock: Clock,
        worker_name: str | None = None,
        version_id: str | None = None,
        observe: Callable[[Answer], None] | None = None,
        purpose: Literal["verification"] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = http
        self._clock = clock
        self._observe = observe
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if worker_name and version_id:
            self._headers[OVERRIDE_HEADER] = f'{worker_name}="{version_id}"'
        if purpose:
            self._headers["Switchback-Purpose"] = purpose

    def health(self, *, deep: bool = False) -> Health:
        """One question, never retried: health is a measurement. `deep` also asks the provider."""
        response = self._send("GET", "/health", params={"deep": "1"} if deep else None)
        return _parsed(Health, response)

    def submit(self, request: GenerationRequest, *, idempotency_key: str) -> Generation:
        """Asks for one asset; the same key never pays twice, so a lost answer is asked for again."""
        return self._submit(request, idempotency_key, _Patience(self._clock)).generation

    def poll(self, generation_id: str) -> Generation:
        return self._poll(generation_id, _Patience(self._clock)).generation

    def cancel(self, generation_id: str) -> Generation:
        patience = _Patience(self._clock, self._clock.now() + CANCEL_SECONDS)
        return self._reliably("DELETE", _path_of(generation_id), patience).generation

    def generate(
        self,
        request: GenerationRequest,
        *,
        deadline_seconds: float,
        cancelled: threading.Event | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> Generation:
        """Submits and polls until the job is final, which may mean failed.

        Raises GivenUp or Cancelled after cancelling the job, so that nothing bills that nobody waits for.
        """
        patience = _Patience(self._clock, self._clock.now() + deadline_seconds, cancelled)
        first = self._submit(request, idempotency_key or uuid4().hex, patience)
        try:
            return self._follow(first, patience, on_progress)
        except BaseException:
            with contextlib.suppress(SwitchbackError):  # the reason for giving up is the error to show
                self.cancel(first.generation.id)
            raise

    def download(self, url: str) -> DownloadedAsset:
        """Fetches an asset anonymously: its address may be a public bucket, which must never see our token."""
        try:
            response = self._http.get(url, headers={"Accept": "image/*"})
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last is a host that is no name
            raise UnreachableError(f"asset {url}: {_reason(error)}") from error
        if response.status_code != httpx.codes.OK:
            raise ApiError(
                f"asset {url} answered {response.status_code}{_redirected(response)}",
                status=response.status_code,
                code="STORAGE",
            )
        content_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        return DownloadedAsset(response.content, content_type, response.headers)

    def _follow(self, step: _Step, patience: _Patience, on_progress: OnProgress | None) -> Generation:
        pause = FIRST_POLL_SECONDS
        while True:
            if on_progress:
                on_progress(step.generation)
            if step.generation.status.is_final:
                return step.generation
            if patience.stopped:
                raise Cancelled("stopped while the generation was running; the job was cancelled")
            if patience.left <= 0:
                raise GivenUp(step.state)
            patience.pause(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
            step = self._poll(step.generation.id, patience)

    def _submit(self, request: GenerationRequest, idempotency_key: str, patience: _Patience) -> _Step:
        body = request.model_dump(mode="json", exclude_none=True)
        key = {"Idempotency-Key": idempotency_key}
        return self._reliably("POST", "/v1/generations", patience, json=body, headers=key)

    def _poll(self, generation_id: str, patience: _Patience) -> _Step:
        return self._reliably("GET", _path_of(generation_id), patience)

    def _reliably(
        self,
        method: str,
        path: str,
        patience: _Patience,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Step:
        """Repeats what is safe to repeat, lost connections, 429 and 5xx, a few times while somebody waits."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._send(method, path, json=json, headers=headers, seconds=patience.left)
                return _Step(_parsed(Generation, response), retry_after_seconds(response))
            except (UnreachableError, ApiError) as error:
                wait = _pause_before_retry(error, attempt)
                if patience.stopped:
                    raise Cancelled("stopped before the gateway answered") from error
                if wait is None or attempt == ATTEMPTS or patience.left <= 0:
                    raise
            patience.pause(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = math.inf,
    ) -> httpx.Response:
        read = min(READ_TIMEOUT_SECONDS, max(SHORTEST_READ_SECONDS, seconds))
        try:
            response = self._http.request(
                method,
                self.base_url + path,
                params=params,
                json=json,
                headers={**self._headers, **(headers or {})},
                timeout=httpx.Timeout(read, connect=min(read, CONNECT_TIMEOUT_SECONDS)),
            )
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"{self.base_url} does not answer: {_reason(error)}",
                fix="check the network and the address: `switchback status` shows what is deployed",
            ) from error
        if self._observe:
            self._observe(
                Answer(
                    method,
                    path,
                    response.status_code,
                    response.headers.get("Switchback-Provider", ""),
                    response.headers.get("Switchback-Version", ""),
                )
            )
        if response.is_success:
            return response
        raise _error_of(response)


def _parsed(model: type[Parsed], response: httpx.Response) -> Parsed:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        content_type = response.headers.get("content-type", "nothing").split(";")[0]
        raise ApiError(
            f"the gateway answered {response.status_code} with {content_type} that is not a {model.__name__}"
            f" ({error.error_count()} fields wrong or missing)",
            status=response.status_code,
            code="UNKNOWN",
        ) from None  # pydantic's own text would quote the answer


def _error_of(response: httpx.Response) -> ApiError:
    """Problem+json (RFC 9457) as an exception: `code` is the failure kind, `fix` the mitigation."""
    try:
        body = response.json()
        problem = body if isinstance(body, dict) else {}
    except (ValueError, RecursionError):
        problem = {}
    status = response.status_code
    detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase) + _redirected(response)
    types: dict[int, type[ApiError]] = {401: AuthError, 403: AuthError, 404: NotFoundError, 429: RateLimitedError}
    return types.get(status, ApiError)(
        f"the gateway answered {status}: {detail}",
        status=status,
        code=str(problem.get("kind") or ""),
        retry_after=retry_after_seconds(response),
        fix=str(problem.get("mitigation") or ""),
    )


def _redirected(response: httpx.Response) -> str:
    """Redirects are told and not followed: the token must not travel, and an asset's address is its address."""
    return f", a redirect to {response.headers['location']}" if response.has_redirect_location else ""


def _pause_before_retry(error: UnreachableError | ApiError, attempt: int) -> float | None:
    """Seconds, or None where another try cannot help."""
    if isinstance(error, ApiError):
        if error.status != httpx.codes.TOO_MANY_REQUESTS and error.status < 500:
            return None
        if error.retry_after:
            return min(error.retry_after, LONGEST_RETRY_SECONDS)
    return random.uniform(0.5, 1.0) * 2.0**attempt / 2  # noqa: S311 -- jitter, not a secret


def _path_of(generation_id: str) -> str:
    return f"/v1/generations/{quote(generation_id, safe='')}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
