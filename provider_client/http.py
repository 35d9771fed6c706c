"""The one way out: an httpx client with our name, our time-outs, and `*.localhost` taken as loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

from provider_client import __version__

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
BODY_SECONDS = 120.0
LONGEST_BODY_BYTES = 256 * 2**20


class _EndingBody(httpx.SyncByteStream):
    """A body that comes to an end: httpx's time-outs are per read, so one drop at a time would last for ever."""

    def __init__(self, body: httpx.SyncByteStream, seconds: float) -> None:
        self._body = body
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        ends_at, received = time.monotonic() + self._seconds, 0
        for chunk in self._body:
            received += len(chunk)
            if time.monotonic() > ends_at:
                raise httpx.ReadTimeout(f"the answer was not complete after {self._seconds:g} s")
            if received > LONGEST_BODY_BYTES:
                raise httpx.ReadError(f"the answer is longer than {LONGEST_BODY_BYTES // 2**20} MB")
            yield chunk

    def close(self) -> None:
        self._body.close()


class LocalhostTransport(httpx.HTTPTransport):
    """Ends every body after `body_seconds`, and sends `anything.localhost` to 127.0.0.1 with the Host header kept.

    RFC 6761 section 6.3 reserves these names for loopback, but not every system resolver knows it.
    The emulator gives each Worker version a host of this kind, as Cloudflare gives it one under workers.dev.
    """

    def __init__(self, *, body_seconds: float = BODY_SECONDS, **options: Any) -> None:
        super().__init__(**options)
        self._body_seconds = body_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host.endswith(".localhost"):
            request.url = request.url.copy_with(host="127.0.0.1")
        response = super().handle_request(request)
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _EndingBody(response.stream, self._body_seconds)
        return response


def open_client(
    *,
    timeout: float = READ_TIMEOUT_SECONDS,
    connections: int = 100,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client for any number of threads; close it when done. `timeout` is per read, in seconds."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.Client(
        transport=transport or LocalhostTransport(limits=limits, trust_env=True, retries=0),
        timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_SECONDS),
        headers={"User-Agent": f"switchback/{__version__}"},
        follow_redirects=False,
    )
