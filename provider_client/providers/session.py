"""One provider's HTTP: base address, credentials, retries, and every failure turned into a ProviderError."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx

from provider_client.clock import Clock
from provider_client.errors import Cancelled
from provider_client.failure_signals import Body, Signal, signal_of
from provider_client.failures import ProviderError, classify
from provider_client.retries import NEVER_CONNECTED, READ, SUBMIT, RetryPolicy, send
from provider_client.workflows import WorkflowOptions

# A proxy got no answer, or no whole one, from a server that may well have acted.
MAYBE_TAKEN = {504: "transport:timeout", 520: "transport:truncated", 524: "transport:timeout"}
# What reading an answer of another shape raises.
MALFORMED = (LookupError, TypeError, AttributeError, ValueError, httpx.InvalidURL)
# A storage that refuses says that the picture is gone or its link expired, and nothing about the provider's key.
REFUSED_BY_STORAGE = frozenset({400, 401, 403, 404, 410})


class AmbiguousSubmit(Exception):
    """A paid request went out and its answer got lost: it may or may not have been taken."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Session:
    """The requests of one piece of work, counted. `hidden` are texts that must not appear in any message."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        http: httpx.Client,
        clock: Clock,
        *,
        headers: Mapping[str, str],
        options: WorkflowOptions | None = None,
        hidden: Iterable[str] = (),
    ) -> None:
        self.provider = provider
        self.clock = clock
        self.attempts = 0
        self._base_url = base_url.rstrip("/")
        self._http = http
        self._headers = dict(headers)
        self._options = options
        self._hidden = tuple(text for text in hidden if text)

    def get(self, path: str, **query: str) -> Body:
        return self._json(self._send(self._request("GET", path, params=query), READ))

    def find(self, path: str) -> Body | None:
        """As `get`; None where the vendor knows nothing under this name."""
        response = self._send(self._request("GET", path), READ)
        return None if response.status_code == httpx.codes.NOT_FOUND else self._json(response)

    def post(self, path: str, **content: Any) -> httpx.Response:
        """A POST that may be repeated and whose answer says nothing: a cancellation."""
        return self._checked(self._send(self._request("POST", path, **content), READ))

    def upload(self, path: str, **content: Any) -> Body:
        """A POST that may be repeated, for its answer: an input picture."""
        return self._json(self._send(self._request("POST", path, **content), READ))

    def submit(self, path: str, **content: Any) -> Body:
        """A POST that costs money; raises AmbiguousSubmit when nobody knows whether it arrived."""
        request = self._request("POST", path, **content)
        try:
            response = send(self._http, request, clock=self.clock, policy=SUBMIT, on_attempt=self._count)
        except NEVER_CONNECTED as error:
            self.fail(error)
        except httpx.RequestError as error:
            raise AmbiguousSubmit(signal_of(error, self.provider).code, type(error).__name__) from None
        if response.status_code in MAYBE_TAKEN:
            raise AmbiguousSubmit(MAYBE_TAKEN[response.status_code], f"HTTP {response.status_code}")
        if response.is_success and _is_cut(response):
            raise AmbiguousSubmit("transport:truncated", "the answer ended too early")
        return self._json(response)

    def download(self, url: str, **query: str) -> httpx.Response:
        """The picture behind a path of this API (with credentials) or a signed URL elsewhere (without)."""
        elsewhere = not url.startswith("/")
        if elsewhere and not url.startswith(("http://", "https://")):
            self.fail(self.signal("result:missing", "the picture's address is not one to be fetched"))
        response = self._send(self._request("GET", url, params=query), READ)
        if response.is_redirect and response.next_request is not None:
            # Signed storage URLs carry their own right: the credentials stay behind.
            elsewhere = True
            response = self._send(self._http.build_request("GET", response.next_request.url), READ)
        if response.status_code in (REFUSED_BY_STORAGE if elsewhere else {404}):
            gone = f"the finished picture cannot be fetched (HTTP {response.status_code})"
            self.fail(self.signal("result:missing", gone))
        return self._checked(response)

    def fail(
        self, what: BaseException | httpx.Response | Mapping[str, Any] | Signal, provider_job: str | None = None
    ) -> NoReturn:
        failure = classify(what, provider=self.provider, options=self._options, secrets=self._hidden)
        # The cause would carry the request, and with it prompt and credentials, into logs.
        raise ProviderError(
            failure, provider=self.provider, provider_job=provider_job, attempts=self.attempts
        ) from None

    def fail_unknown(self, lost: AmbiguousSubmit, provider_job: str | None = None) -> NoReturn:
        """Nobody can tell whether the job was taken: sending it again might pay twice."""
        text = f"nobody knows whether the job was taken ({lost}); it was not sent again"
        self.fail(self.signal(f"submit:unknown {lost.code}", text), provider_job)

    @contextmanager
    def reconciling(self, lost: AmbiguousSubmit, provider_job: str | None = None) -> Iterator[None]:
        """Looking for a lost submit: when the look fails, the job remains unknown, whatever the look failed of."""
        try:
            yield
        except (ProviderError, *MALFORMED):
            self.fail_unknown(lost, provider_job)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """An answer of another shape than documented is the vendor's failure, not a crash of ours."""
        try:
            yield
        except MALFORMED as error:
            reason = f"an answer does not have the documented form ({type(error).__name__})"
            self.fail(self.signal("answer:not_json", reason))

    def field(self, body: Body, *path: str, code: str = "answer:not_json") -> Any:
        """The value at `path`; an answer without it is a failure, not a KeyError."""
        value: Any = body
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            self.fail(self.signal(code, f"the answer lacks {'.'.join(path)}"))
        return value

    def state(self, job: Body) -> str:
        """The vendor's word for where the job is."""
        status = job.get("status")
        if not isinstance(status, str):
            self.fail(self.signal("answer:not_json", "the answer lacks the job's status"))
        return status

    def signal(self, code: str, text: str) -> Signal:
        return Signal(self.provider, None, code, text)

    def check_cancelled(self, cancelled: threading.Event | None) -> None:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled(f"the generation at {self.provider} was cancelled")

    def _count(self) -> None:
        self.attempts += 1

    def _request(self, method: str, path: str, **content: Any) -> httpx.Request:
        elsewhere = path.startswith(("http://", "https://"))
        url = path if elsewhere else self._base_url + path
        if not content.get("params"):
            content.pop("params", None)  # an empty one would strip the query of a signed URL
        return self._http.build_request(method, url, headers=None if elsewhere else self._headers, **content)

    def _send(self, request: httpx.Request, policy: RetryPolicy) -> httpx.Response:
        try:
            return send(self._http, request, clock=self.clock, policy=policy, on_attempt=self._count)
        except httpx.RequestError as error:
            self.fail(error)

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if not response.is_success:
            self.fail(response)
        return response

    def _json(self, response: httpx.Response) -> Body:
        """All of the vendors' answers are JSON objects."""
        self._checked(response)
        try:
            body = response.json()
        except ValueError:
            self.fail(response)
        if not isinstance(body, Mapping):
            self.fail(self.signal("answer:not_json", f"the answer is a JSON {type(body).__name__}, not an object"))
        return body


def _is_cut(response: httpx.Response) -> bool:
    """Announced as JSON and none: the rest of it did not arrive."""
    if "json" not in response.headers.get("content-type", ""):
        return False
    try:
        response.json()
    except ValueError:
        return True
    return False
