"""RunPod's management API, REST v2 (https://api.runpod.io/v2; not the job API at api.runpod.ai).

Every call ends within its deadline, in an answer or in an error of `provider_client.errors` that a person can
act on. Source of routes, codes and shapes: RunPod's openapi.json for v2, 2026-08-18.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from provider_client.clock import Clock
from provider_client.errors import (
    ApiError,
    AuthError,
    ConfigError,
    NotFoundError,
    RateLimitedError,
    SwitchbackError,
    UnreachableError,
)
from provider_client.gpu_catalog import GpuCatalog, live_catalog
from provider_client.retries import READ, SUBMIT, retry_after_seconds

DEFAULT_BASE_URL = "https://api.runpod.io/v2"
DEFAULT_DEADLINE_SECONDS = 30.0
SECONDS_PER_ATTEMPT = 10.0
HELP_URL = "https://docs.runpod.io/serverless/endpoints/endpoint-configurations"

Json = dict[str, Any]


def default_base_url(environment: Mapping[str, str] = os.environ) -> str:
    """RUNPOD_REST_API_URL, the name RunPod's own tools read, else the public address."""
    return environment.get("RUNPOD_REST_API_URL", DEFAULT_BASE_URL).rstrip("/")


class RunPodManagementApi:
    """Endpoints, their workers and releases, and the GPU catalog. Thread-safe as far as its httpx client is.

    Answers come back as the wire's own objects: what they mean is decided by pure functions elsewhere.
    """

    def __init__(
        self,
        key: str,
        *,
        http: httpx.Client,
        clock: Clock,
        base_url: str | None = None,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
    ) -> None:
        """`deadline_seconds` bounds each call with its retries; `clock` is wall time."""
        if not key:
            raise ConfigError(
                "no key for RunPod's management API",
                fix="pulumi config set --secret runpodApiKey <key> (or export RUNPOD_API_KEY)",
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            # httpx would quote the whole header in its own error
            raise ConfigError(
                "RunPod's management key holds characters that no key has (a space, a line end, an accent)",
                fix="pulumi config set --secret runpodManagementApiKey <key>, without quotes or line end",
            )
        self._key = key
        self._http = http
        self._clock = clock
        self._base_url = (base_url or default_base_url()).rstrip("/")
        self._deadline_seconds = deadline_seconds

    def endpoints(self) -> list[Json]:
        return self._list("GET", "/serverless", "endpoints")

    def endpoint(self, endpoint_id: str) -> Json:
        """NotFoundError when it does not exist (any more)."""
        return self._endpoint("GET", _of(endpoint_id))

    def create_endpoint(self, body: Mapping[str, object]) -> Json:
        """Not repeated after a lost answer: v2 has no idempotency key, the caller must look for what it made."""
        return self._endpoint("POST", "/serverless", body)

    def update_endpoint(self, endpoint_id: str, changes: Mapping[str, object]) -> Json:
        return self._endpoint("PATCH", _of(endpoint_id), changes)

    def delete_endpoint(self, endpoint_id: str) -> bool:
        """False when it was gone already."""
        try:
            self._send("DELETE", _of(endpoint_id), None)
        except NotFoundError:
            return False
        return True

    def workers(self, endpoint_id: str) -> Json:
        return self._json("GET", f"{_of(endpoint_id)}/workers")

    def releases(self, endpoint_id: str) -> Json:
        return self._json("GET", f"{_of(endpoint_id)}/releases")

    def gpu_catalog(self) -> GpuCatalog:
        """Live pools and prices, stamped with today's date (UTC)."""
        gpus = self._list("GET", "/catalog/gpus", "gpus")
        return live_catalog(gpus, datetime.now(UTC).date().isoformat())

    def gpu_availability(self, gpu_count: int = 1) -> dict[str, str]:
        """GPU type → NONE, LOW, MEDIUM or HIGH, as RunPod sees its serverless stock now."""
        query = f"/catalog/gpus?include=AVAILABILITY&product=SERVERLESS&count={gpu_count}"
        return {str(gpu["id"]): str(gpu.get("availability", "")) for gpu in self._list("GET", query, "gpus")}

    def _endpoint(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """An empty object taken for an endpoint would be one that lost all its settings."""
        answer = self._json(method, path, body)
        if not isinstance(answer.get("id"), str):
            raise self._unreadable(method, path, "that is no endpoint")
        return answer

    def _list(self, method: str, path: str, name: str) -> list[Json]:
        found = self._json(method, path).get(name)
        if not isinstance(found, list) or not all(isinstance(item, dict) and item.get("id") for item in found):
            raise self._unreadable(method, path, f"that holds no list of {name}")
        return found

    def _json(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        response = self._send(method, path, body)
        try:
            answer = response.json()
        except ValueError:
            raise self._unreadable(method, path, "that is not JSON") from None
        if not isinstance(answer, dict):
            raise self._unreadable(method, path, "that is no JSON object")
        return answer

    def _unreadable(self, method: str, path: str, what: str) -> UnreachableError:
        return UnreachableError(
            f"RunPod answered {method} {path.partition('?')[0]} with something {what}",
            fix=f"check that {self._base_url} is RunPod's management API (REST v2)",
        )

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> httpx.Response:
        """One call with its bounded retries; a POST only after 429, which RunPod answers before it acts."""
        policy = SUBMIT if method == "POST" else READ
        ends = self._clock.now() + self._deadline_seconds
        for attempt in itertools.count(1):
            outcome = self._once(method, path, body, ends - self._clock.now())
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            wait = policy.wait(attempt, outcome, random.random())  # noqa: S311 - jitter, not a secret
            if wait is None or self._clock.now() + wait >= ends:
                raise self._error(outcome, method, path)
            self._clock.sleep(wait)
        raise AssertionError("the policy ends the attempts")

    def _error(self, outcome: httpx.Response | httpx.RequestError, method: str, path: str) -> SwitchbackError:
        if isinstance(outcome, httpx.Response):
            return error_from_response(outcome, method, path)
        return UnreachableError(
            f"RunPod's management API did not answer {method} {path} at {self._base_url} ({_cause(outcome)})",
            fix="run it again; if it stays so, check the network and the address",
        )

    def _once(
        self, method: str, path: str, body: Mapping[str, object] | None, seconds: float
    ) -> httpx.Response | httpx.RequestError:
        patience = max(0.1, min(seconds, SECONDS_PER_ATTEMPT))
        try:
            return self._http.request(
                method,
                f"{self._base_url}{path}",
                json=body,
                headers={"Authorization": f"Bearer {self._key}"},
                timeout=httpx.Timeout(patience, connect=min(patience, 5.0)),
            )
        except httpx.RequestError as error:
            return error


def _of(endpoint_id: str) -> str:
    """The endpoint's path; an id comes from a person, who may have pasted a whole address."""
    return f"/serverless/{quote(endpoint_id, safe='')}"


def error_from_response(response: httpx.Response, method: str, path: str) -> ApiError:
    """What a response other than 2xx means, with RunPod's own words and the next step."""
    status = response.status_code
    problem = _problem(response)
    detail = str(problem.get("detail") or problem.get("error") or problem.get("title") or response.reason_phrase)
    lines = [f"RunPod answered {status} to {method} {path.partition('?')[0]}: {detail}"]
    errors = problem.get("errors")
    lines += [f"  - {line}" for line in errors] if isinstance(errors, list) else []
    kind, fix = _kind_and_fix(status, problem)
    wait = retry_after_seconds(response)
    if kind is RateLimitedError and wait is not None:
        fix = f"RunPod asks to wait {wait:.0f} s; then run it again"
    return kind(
        "\n".join(lines),
        status=status,
        code=str(problem.get("title", "")),
        retry_after=wait,
        fix=fix,
        help_url=HELP_URL if status in (400, 422) else "",
    )


def _kind_and_fix(status: int, problem: Mapping[str, object]) -> tuple[type[ApiError], str]:
    if status == 401:
        return AuthError, "the key is wrong or revoked: pulumi config set --secret runpodManagementApiKey <key>"
    if status == 403:
        return AuthError, (
            "the key is valid but may not do this: give it write access to Serverless in RunPod's console, "
            "or set another one with pulumi config set --secret runpodManagementApiKey <key>"
        )
    if status == 404:
        return (
            NotFoundError,
            "what is named there was deleted, or belongs to another account; pulumi refresh shows what is left",
        )
    if status == 429:
        return RateLimitedError, "wait for the limit's window to pass, then run it again"
    if status == 410 or "error" in problem:
        return ApiError, (
            f"this is not REST v2: pulumi config set --path baseUrls.runpodManagement {DEFAULT_BASE_URL}"
        )
    if status >= 500:
        return ApiError, "RunPod has a problem of its own: run it again in a while"
    return ApiError, "correct the named property in the stack's runpod configuration"


def _problem(response: httpx.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _cause(error: httpx.RequestError) -> str:
    """The kind of failure in words; httpx's own text may name more than a person wants."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return "the connection broke"
