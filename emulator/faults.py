"""The fault kinds that any vendor can show: they act on the wire, before or after the vendor's own answer."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from emulator.services.base import HasErrorBody, Service
from emulator.world import Fault, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GENERIC_KINDS = frozenset(
    {"latency", "status", "rate_limited", "unauthorized", "reset", "truncated", "hang", "html", "down"}
)
GENERATION_KINDS = frozenset(
    {
        "model_not_found",
        "out_of_memory",
        "no_image",
        "blank",
        "noise",
        "wrong_size",
        "wrong_picture",
        "opaque",
        "slow",
        "truncated_image",
        "partial",
        "stuck",
        "crash",
        "timed_out",
        "wrong_format",
    }
)
SERVICE_PREFIXES = (
    ("/client/v4/", "cloudflare"),
    ("/runpod-jobs/", "runpod_jobs"),
    ("/runpod/", "runpod"),
    ("/scenario/", "scenario"),
    ("/comfyui/", "comfyui"),
)
FAULT_SERVICES = frozenset({name for _, name in SERVICE_PREFIXES} | {"r2", "worker"})
HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
)

CLIENT_CLOSED_REQUEST = 499  # in the request log; nobody receives it


def service_of(path: str) -> str:
    """Which vendor a path on the emulator's own host belongs to; "" for none."""
    return next((name for prefix, name in SERVICE_PREFIXES if path.startswith(prefix)), "")


def fault_middleware(world: World, services: Iterable[Service]) -> Middleware:
    """Lets armed faults of the generic kinds happen to requests of the vendors' APIs."""
    error_bodies = {service.name: service.error_body for service in services if isinstance(service, HasErrorBody)}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        service = service_of(request.path)
        if not service:
            return await handler(request)
        fault = world.faults.take(service, GENERIC_KINDS, method=request.method, path=request.path)
        return await answer_with_fault(world, fault, request, handler, error_bodies.get(service, plain_error_body))

    return middleware


def plain_error_body(status: int) -> object:
    """For vendors without words of their own."""
    return {"error": HTTPStatus(status).phrase}


async def answer_with_fault(
    world: World,
    fault: Fault | None,
    request: web.Request,
    handler: Handler,
    error_body: Callable[[int], object] = plain_error_body,
) -> web.StreamResponse:
    """The handler's answer, or what the fault makes of it."""
    if fault is None:
        return await handler(request)
    if fault.kind == "latency":
        seconds = fault.number("seconds", 1.0)
        await (world.clock.sleep(seconds) if fault.params.get("simulated") else asyncio.sleep(seconds))
        return await handler(request)
    if fault.kind == "truncated":
        return await _cut_short(request, await handler(request))
    if fault.kind == "hang":
        await _until_client_leaves(request)
    if fault.kind in {"reset", "down", "hang"}:
        return reset_connection(request)
    return _refusal(fault, error_body)


def reset_connection(request: web.Request) -> web.StreamResponse:
    """A TCP reset instead of an answer."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            # linger 0 makes the kernel send RST, not FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=CLIENT_CLOSED_REQUEST)


async def _until_client_leaves(request: web.Request) -> None:
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.05)


async def _cut_short(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    whole = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    whole = whole or b"{}"
    cut = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    cut.content_length = len(whole)
    await cut.prepare(request)
    await cut.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


def _refusal(fault: Fault, error_body: Callable[[int], object]) -> web.Response:
    if fault.kind == "html":
        return web.Response(status=int(fault.number("status", 502)), text=HTML_PAGE, content_type="text/html")
    usual = {"rate_limited": 429, "unauthorized": 401}.get(fault.kind, 503)
    status = int(fault.number("status", usual))
    headers = {}
    if "retry_after" in fault.params or fault.kind == "rate_limited":
        headers["Retry-After"] = f"{fault.number('retry_after', 1):g}"
    body = fault.params.get("body") or error_body(status)
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
