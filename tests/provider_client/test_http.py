"""The one way out: bodies that would not end are ended."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from provider_client import http as way_out
from provider_client.http import LocalhostTransport, open_client

Serve = Callable[[Callable[[socketserver.StreamRequestHandler], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answers every connection with a head of 200 and whatever the given function writes."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(write: Callable[[socketserver.StreamRequestHandler], None]) -> str:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n\r\n")
                write(self)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def drip(connection: socketserver.StreamRequestHandler) -> None:
    try:
        for _ in range(1000):
            connection.wfile.write(b".")
            time.sleep(0.02)
    except OSError:
        return  # the client has left, which is what is tested


def test_a_body_that_comes_drop_by_drop_is_given_up(serve: Serve) -> None:
    address, began = serve(drip), time.monotonic()
    with open_client(transport=LocalhostTransport(body_seconds=0.2)) as http, pytest.raises(httpx.ReadTimeout):
        http.get(address)
    assert time.monotonic() - began < 5


def test_a_body_without_end_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_out, "LONGEST_BODY_BYTES", 1000)
    address = serve(lambda connection: connection.wfile.write(bytes(1_000_000)) and None)
    with open_client() as http, pytest.raises(httpx.ReadError, match="longer than"):
        http.get(address)
