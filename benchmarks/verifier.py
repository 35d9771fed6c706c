"""How quick the verifier is: looking at pictures, asking for health, keeping generations in flight."""

from __future__ import annotations

import io
import json
import multiprocessing
import socketserver
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import httpx
from PIL import Image, ImageDraw

from benchmarks.figures import Figure
from provider_client.clock import SystemClock
from provider_client.gateway import GatewayClient
from provider_client.http import open_client
from provider_client.models import GenerationRequest, Operation
from provider_client.verification.images import inspect

PROBES = 2000
THREADS = 16
IN_FLIGHT = 64
HEALTH = json.dumps({"status": "ok", "provider": "runpod", "version": {"id": "v"}}).encode()


def run() -> Iterator[Figure]:
    for kind in ("PNG", "WEBP", "JPEG"):
        yield Figure(f"checking a picture, {kind} 1024 x 1024, median", f"{_look(kind) * 1000:.0f} ms", "<= 40 ms")
    yield Figure("health probes per second, one process", f"{_probes_per_second():.0f}", ">= 500")
    yield Figure("generations in flight at once", str(_in_flight()), "64")


def _look(kind: str) -> float:
    image = Image.effect_noise((1024, 1024), 6).convert("RGB")  # the grain of a painted picture
    ImageDraw.Draw(image).ellipse((200, 200, 800, 800), fill="teal")
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return statistics.median(_seconds_of(buffer.getvalue()) for _ in range(9))


def _seconds_of(content: bytes) -> float:
    began = time.perf_counter()
    inspect(content)
    return time.perf_counter() - began


def _probes_per_second() -> float:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        with open_client() as http, ThreadPoolExecutor(THREADS) as pool:
            client = GatewayClient(f"http://127.0.0.1:{here.recv()}", "", http=http, clock=SystemClock())
            began = time.perf_counter()
            list(pool.map(lambda _: client.health(), range(PROBES)))
            return PROBES / (time.perf_counter() - began)
    finally:
        server.terminate()
        server.join()


class _Answer(socketserver.StreamRequestHandler):
    """The least that is an HTTP server: keep-alive, one answer."""

    def handle(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(HEALTH)
        while line := self.rfile.readline():
            if line == b"\r\n":
                self.wfile.write(head + HEALTH)


def _serve(ready: Connection) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answer) as server:
        ready.send(server.server_address[1])
        server.serve_forever()


def _in_flight() -> int:
    """Every submit waits until all have been submitted; a client that could not hold them would run out of time."""
    together = threading.Barrier(IN_FLIGHT, timeout=20)

    def answer(_: httpx.Request) -> httpx.Response:
        together.wait()
        body = {"id": "job", "status": "succeeded", "provider": "runpod", "operation": "txt2img"}
        return httpx.Response(202, json=body)

    wanted = GenerationRequest(operation=Operation.TXT2IMG, prompt="A knight")
    with httpx.Client(transport=httpx.MockTransport(answer)) as http, ThreadPoolExecutor(IN_FLIGHT) as pool:
        client = GatewayClient("http://gateway.test", "", http=http, clock=SystemClock())
        done = pool.map(lambda _: client.generate(wanted, deadline_seconds=20), range(IN_FLIGHT))
        return sum(generation.status.is_final for generation in done)
