"""Client of the deployed Worker's public API (infra/worker/openapi.yaml).

What it promises: a request is paid for once (idempotency key), and a job that is given up is cancelled.
Retries are few, jittered, obey Retry-After, and happen inside the time that the caller measures.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
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
from provider_client.models import Generation, GenerationRequest, GenerationStatus, Health

ATTEMPTS = 4
FIRST_POLL_SECONDS = 0.5
LONGEST_POLL_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0  # the gateway's own limit is per minute
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


class GatewayClient:
    """One gateway, optionally one version of it: worker name and version id together pin every call to that version."""

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
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = http
        self._clock = clock
        self._observe = observe
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if worker_name and version_id:
            self._headers[OVERRIDE_HEADER] = f'{worker_name}="{version_id}"'

    def health(self, *, deep: bool = False) -> Health:
        """One question, never retried: health is a measurement. `deep` also asks the provider."""
        response = self._send("GET", "/health", params={"deep": "1"} if deep else None)
        return _parsed(Health, response)

    def submit(self, request: GenerationRequest, *, idempotency_key: str) -> Generation:
        """Asks for one asset; the same key never pays twice, so a lost answer is asked for again."""
        return self._reliably(
            lambda: _parsed(
                Generation,
                self._send(
                    "POST",
                    "/v1/generations",
                    json=request.model_dump(mode="json", exclude_none=True),
                    headers={"Idempotency-Key": idempotency_key},
                ),
            )
        )

    def poll(self, generation_id: str) -> Generation:
        return self._reliably(lambda: _parsed(Generation, self._send("GET", f"/v1/generations/{generation_id}")))

    def cancel(self, generation_id: str) -> Generation:
        return self._reliably(
            lambda: _parsed(Generation, self._send("DELETE", f"/v1/generations/{generation_id}"))
        )

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

        Raises DeadlineExceeded or Cancelled after cancelling the job, so that nothing bills that nobody waits for.
        """
        started = self._clock.now()
        generation = self.submit(request, idempotency_key=idempotency_key or uuid4().hex)
        try:
            return self._follow(generation, started + deadline_seconds, cancelled, on_progress)
        except BaseException:
            with contextlib.suppress(SwitchbackError):  # the reason for giving up is the error to show
                self.cancel(generation.id)
            raise

    def download(self, url: str) -> DownloadedAsset:
        """Fetches an asset anonymously: its address may be a public bucket, which must never see our token."""
        try:
            response = self._http.get(url, headers={"Accept": "image/*"})
        except httpx.HTTPError as error:
            raise UnreachableError(f"asset {url}: {_reason(error)}") from error
        if response.status_code != httpx.codes.OK:
            raise ApiError(
                f"asset {url} answered {response.status_code}", status=response.status_code, code="STORAGE"
            )
        content_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        return DownloadedAsset(response.content, content_type, response.headers)

    def _follow(
        self,
        generation: Generation,
        deadline: float,
        cancelled: threading.Event | None,
        on_progress: OnProgress | None,
    ) -> Generation:
        pause = FIRST_POLL_SECONDS
        while True:
            if on_progress:
                on_progress(generation)
            if generation.status.is_final:
                return generation
            if cancelled is not None and cancelled.is_set():
                raise Cancelled("stopped while the generation was running; the job was cancelled")
            remaining = deadline - self._clock.now()
            if remaining <= 0:
                state = "still in the queue" if generation.status is GenerationStatus.QUEUED else "still running"
                raise DeadlineExceeded(f"{state} when the time to wait was over; the job was cancelled")
            self._clock.sleep(min(pause, remaining))
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
            generation = self.poll(generation.id)

    def _reliably(self, call: Callable[[], Parsed]) -> Parsed:
        """Repeats what is safe to repeat: lost connections, 429 and 5xx, each a few times."""
        for attempt in range(1, ATTEMPTS):
            try:
                return call()
            except UnreachableError:
                self._clock.sleep(_pause(attempt))
            except ApiError as error:
                if error.status != httpx.codes.TOO_MANY_REQUESTS and error.status < 500:
                    raise
                self._clock.sleep(min(error.retry_after or _pause(attempt), LONGEST_RETRY_SECONDS))
        return call()

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            response = self._http.request(
                method,
                self.base_url + path,
                params=params,
                json=json,
                headers={**self._headers, **(headers or {})},
            )
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self.base_url} does not answer: {_reason(error)}") from error
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
    except ValueError:
        problem = {}
    status = response.status_code
    detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    types: dict[int, type[ApiError]] = {401: AuthError, 403: AuthError, 404: NotFoundError, 429: RateLimitedError}
    return types.get(status, ApiError)(
        f"the gateway answered {status}: {detail}",
        status=status,
        code=str(problem.get("kind") or ""),
        retry_after=_retry_after(response),
        fix=str(problem.get("mitigation") or ""),
    )


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _pause(attempt: int) -> float:
    return random.uniform(0.5, 1.0) * 2.0**attempt / 2  # noqa: S311 -- jitter, not a secret


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
