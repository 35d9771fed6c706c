"""Cloudflare's API v4: moving traffic between versions of one Worker, taking it over, emptying its bucket.

Only `deploy`, `set_subdomain` and `delete_object` change anything. A call is tried again when that is harmless:
reads always, the others only after a 429, which says that nothing was done. Every wait ends with the call's
deadline. Paths and shapes: developers.cloudflare.com/api, workers/scripts deployments and versions.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from provider_client.clock import Clock
from provider_client.cloudflare_models import (
    Deployment,
    VersionShare,
    Worker,
    WorkerVersion,
    deployment_of,
    version_of,
    worker_of,
)
from provider_client.errors import (
    ApiError,
    AuthError,
    ConfigError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
)
from provider_client.retries import retry_after_seconds

__all__ = ["CloudflareApi", "Deployment", "VersionShare", "Worker", "WorkerVersion"]

DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"
BAD_HEADERS = (
    "6003"  # with HTTP 400: the token has not even the form of one (github.com/jeessy2/ddns-go/issues/916)
)
DEADLINE_SECONDS = 30.0
ATTEMPTS = 4
TOKENS_PAGE = "https://dash.cloudflare.com/profile/api-tokens"


class CloudflareApi:
    """Calls for one account. Raises ApiError and its kinds, or UnreachableError, each with the next step."""

    def __init__(
        self,
        account_id: str,
        token: str,
        *,
        http: httpx.Client,
        base_url: str = DEFAULT_BASE_URL,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
        token_source: str = "",
    ) -> None:
        if not (token.isascii() and token.isprintable() and token and " " not in token):
            # httpx would quote the whole header in its own error
            raise ConfigError(
                "The Cloudflare API token holds characters that no token has (a space, a line end, an accent).",
                fix="set CLOUDFLARE_API_TOKEN again, without quotes and without a line end",
            )
        self._account_id = account_id
        self._token = token
        self._token_source = token_source  # where the token was found: said when Cloudflare refuses it
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._deadline_seconds = deadline_seconds

    def deployments(self, worker: str) -> list[Deployment]:
        """The deployment history, newest first; the first one is active."""
        result = self._call("GET", f"workers/scripts/{quote(worker)}/deployments")
        return [deployment_of(item) for item in result.get("deployments") or ()]

    def active_deployment(self, worker: str) -> Deployment | None:
        """What serves now; None before the first deployment, or when there is no such Worker."""
        try:
            deployments = self.deployments(worker)
        except NotFoundError:
            return None
        return deployments[0] if deployments else None

    def deploy(self, worker: str, versions: Sequence[VersionShare], message: str) -> Deployment:
        """Give the traffic to these versions: the one call that changes anything.

        `force` because Cloudflare otherwise refuses (10220) a version with other secrets than the live one,
        which is just what a rollback across a rotated secret needs; our own checks come before this call.
        """
        body = {
            "strategy": "percentage",
            "versions": [{"version_id": share.version_id, "percentage": share.percent} for share in versions],
            "annotations": {"workers/message": message},
        }
        path = f"workers/scripts/{quote(worker)}/deployments"
        result = self._call("POST", path, params={"force": "true"}, body=body)
        return deployment_of({"versions": body["versions"], "annotations": body["annotations"], **result})

    def versions(self, worker: str, *, deployable: bool = False) -> list[WorkerVersion]:
        """Uploaded versions, newest first; `deployable` leaves out those that can get no traffic any more."""
        params = {"deployable": "true"} if deployable else {}
        result = self._call("GET", f"workers/scripts/{quote(worker)}/versions", params=params)
        return [version_of(item) for item in result.get("items") or ()]

    def version(self, worker: str, version_id: str) -> WorkerVersion:
        """One version with its bindings and, from the newer API, its preview URLs."""
        try:
            found = self._call("GET", f"workers/workers/{quote(worker)}/versions/{quote(version_id)}")
        except NotFoundError:
            found = self._call("GET", f"workers/scripts/{quote(worker)}/versions/{quote(version_id)}")
        return version_of(found)

    def worker(self, worker: str) -> Worker | None:
        """By name or id; None when there is none."""
        try:
            found = self._call("GET", f"workers/workers/{quote(worker)}")
        except NotFoundError:
            return None
        return worker_of(found)

    def set_subdomain(self, worker: str, *, workers_dev: bool, previews: bool) -> None:
        """Whether the Worker answers on workers.dev, and its versions on preview addresses there."""
        body = {"enabled": workers_dev, "previews_enabled": previews}
        self._call("POST", f"workers/scripts/{quote(worker)}/subdomain", body=body)

    def has_bucket(self, bucket: str) -> bool:
        """Whether the account has an R2 bucket of this name."""
        try:
            self._call("GET", f"r2/buckets/{quote(bucket)}")
        except NotFoundError:
            return False
        return True

    def worker_behind(self, hostname: str) -> str | None:
        """The name of the Worker that a custom domain is bound to."""
        domains = self._call("GET", "workers/domains", params={"hostname": hostname}).get("items") or ()
        return next((str(domain["service"]) for domain in domains if domain.get("hostname") == hostname), None)

    def subdomain(self) -> str:
        """The account's name under workers.dev."""
        return str(self._call("GET", "workers/subdomain").get("subdomain") or "")

    def object_keys(self, bucket: str) -> list[str]:
        """Keys of up to 1,000 objects of an R2 bucket; empty when there is no such bucket.

        Source: Cloudflare's API reference, R2 objects; the form of a listing is that of public clients of it.
        """
        try:
            found = self._call("GET", f"r2/buckets/{quote(bucket)}/objects", params={"per_page": "1000"})
        except NotFoundError:
            return []
        return [str(item["key"]) for item in found.get("items") or ()]

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete one object; one that is gone already is no error."""
        try:
            self._call("DELETE", f"r2/buckets/{quote(bucket)}/objects/{quote(key, safe='')}")
        except NotFoundError:
            return

    def _call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: object | None = None
    ) -> Mapping[str, Any]:
        end = self._clock.now() + self._deadline_seconds
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(method, path, params, body, end - self._clock.now())
            except (ApiError, UnreachableError) as error:
                wait = _pause_before_retry(error, attempt)
                harmless = method == "GET" or isinstance(error, RateLimitedError)
                if wait is None or not harmless or attempt == ATTEMPTS or self._clock.now() + wait >= end:
                    raise
            self._clock.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(
        self, method: str, path: str, params: Mapping[str, str] | None, body: object | None, seconds: float
    ) -> Mapping[str, Any]:
        url = f"{self._base_url}/accounts/{quote(self._account_id)}/{path}"
        try:
            response = self._http.request(
                method,
                url,
                params=params,
                json=body,
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=httpx.Timeout(max(0.1, seconds), connect=min(5.0, max(0.1, seconds))),
            )
        except httpx.HTTPError as error:
            host = httpx.URL(self._base_url).host
            raise UnreachableError(
                f"Cloudflare's API at {host} gave no answer to {method} {path} ({type(error).__name__}).",
                fix="check the network and CLOUDFLARE_BASE_URL; www.cloudflarestatus.com shows outages",
            ) from error
        result = _result(response)
        if result is None:
            _raise_api_error(response, f"{method} {path}", self._account_id, self._token_source)
        return result


def _result(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        envelope = response.json()
    except ValueError:
        return None
    if not response.is_success or not isinstance(envelope, dict) or envelope.get("success") is not True:
        return None
    result = envelope.get("result")
    if isinstance(result, list):
        return {"items": result}
    return result if isinstance(result, dict) else {}


def _errors(response: httpx.Response) -> tuple[str, str]:
    """Cloudflare's own words and its first code; nothing else of the body is ever shown."""
    try:
        errors = [error for error in response.json().get("errors") or () if isinstance(error, dict)]
    except (ValueError, AttributeError):
        return "the answer is not JSON", ""
    words = "; ".join(f"{error.get('message', '')} [{error.get('code', '?')}]" for error in errors)
    return words or "no reason given", str(errors[0].get("code", "")) if errors else ""


def _raise_api_error(response: httpx.Response, call: str, account_id: str, token_source: str) -> NoReturn:
    words, code = _errors(response)
    origin = f" (from {token_source})" if token_source else ""
    status = response.status_code
    said = f"{words} (HTTP {status}, {call})"
    if status == 401 or code == BAD_HEADERS:
        raise AuthError(
            f"Cloudflare does not accept the API token{origin}: {said}",
            status=status,
            code=code,
            fix="set CLOUDFLARE_API_TOKEN to a token that is active and has not expired",
            help_url=TOKENS_PAGE,
        )
    if status == 403:
        permission = "Workers R2 Storage Write" if " r2/" in call else "Workers Scripts Write"
        raise AuthError(
            f"Cloudflare's API token{origin} may not do this: {said}",
            status=status,
            code=code,
            fix=f"give the token the permission {permission} on account {account_id}",
            help_url=TOKENS_PAGE,
        )
    if status == 404:
        raise NotFoundError(
            f"Not found in Cloudflare account {account_id}: {said}",
            status=status,
            code=code,
            fix="check the account id and the Worker's name; before the first `pulumi up` there is no Worker",
        )
    if status == 429:
        raise RateLimitedError(
            f"Cloudflare's API takes no more requests for now: {said}",
            status=status,
            code=code,
            retry_after=retry_after_seconds(response),
            fix="wait five minutes: the limit is 1200 requests in 5 minutes for all tokens of one user",
        )
    trouble = "has trouble of its own" if status >= 500 else "refused the request"
    fix = "try again; www.cloudflarestatus.com shows outages" if status >= 500 else ""
    raise ApiError(f"Cloudflare's API {trouble}: {said}", status=status, code=code, fix=fix)


def _pause_before_retry(error: ApiError | UnreachableError, attempt: int) -> float | None:
    """Seconds to wait, or None where another try cannot help."""
    if isinstance(error, ApiError):
        if error.retry_after is not None:
            return error.retry_after
        if error.status != 429 and error.status < 500:
            return None
    backoff: float = 0.25 * 2 ** (attempt - 1)
    return backoff * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
