"""The one way out: an httpx client with our name, our time-outs, and `*.localhost` taken as loopback."""

from __future__ import annotations

import httpx

from provider_client import __version__

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0


class LocalhostTransport(httpx.HTTPTransport):
    """Sends `anything.localhost` to 127.0.0.1 with the Host header kept.

    RFC 6761 section 6.3 reserves these names for loopback, but not every system resolver knows it.
    The emulator gives each Worker version a host of this kind, as Cloudflare gives it one under workers.dev.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host.endswith(".localhost"):
            request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


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
