"""The fault kinds that any vendor can show: they act on the wire, before or after the vendor's own answer."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

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


def service_of(path: str) -> str:
    """Which vendor a path on the emulator's own host belongs to; "" for none."""
    return next((name for prefix, name in SERVICE_PREFIXES if path.startswith(prefix)), "")


def fault_middleware(world: World) -> Middleware:
    """Lets armed faults of the generic kinds happen to requests of the vendors' APIs."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        service = service_of(request.path)
        if not service:
            return await handler(request)
        fault = world.faults.take(service, GENERIC_KINDS, method=request.method, path=request.path)
        return await answer_with_fault(world, fault, request, handler)

    return middleware


async def answer_with_fault(
    world: World, fault: Fault | None, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """The handler's answer, or what the fault makes of it."""
    if fault is None:
        return await handler(request)
    if fault.kind == "latency":
        await _wait(world, fault)
        return await handler(request)
    if fault.kind == "truncated":
        return await _cut_short(request, await handler(request))
    if fault.kind in {"reset", "down"}:
        return reset_connection(request)
    if fault.kind == "hang":
        await asyncio.Event().wait()
    return _refusal(fault, request)


async def _wait(world: World, fault: Fault) -> None:
    seconds = fault.number("seconds", 1.0)
    await (world.clock.sleep(seconds) if fault.params.get("simulated") else asyncio.sleep(seconds))


def reset_connection(request: web.Request) -> web.StreamResponse:
    """A TCP reset instead of an answer."""
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            # linger 0 makes the kernel send RST, not FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=499)


async def _cut_short(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b"{}" * 32
    cut = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


def _refusal(fault: Fault, request: web.Request) -> web.Response:
    if fault.kind == "html":
        return web.Response(status=int(fault.number("status", 502)), text=HTML_PAGE, content_type="text/html")
    standard = {"rate_limited": 429, "unauthorized": 401}.get(fault.kind, 503)
    status = int(fault.number("status", standard))
    headers = {}
    if "retry_after" in fault.params or fault.kind == "rate_limited":
        headers["Retry-After"] = f"{fault.number('retry_after', 1):g}"
    body = fault.params.get("body") or _vendor_error(service_of(request.path), status)
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def _vendor_error(service: str, status: int) -> dict[str, object]:
    words = {401: "Authentication error", 403: "Authentication error", 429: "rate limited"}.get(
        status, "an internal error occurred"
    )
    if service == "cloudflare":
        code = {401: 10000, 403: 10000, 429: 10429}.get(status, 10013)
        errors = [{"code": code, "message": words}]
        return {"success": False, "errors": errors, "messages": [], "result": None}
    return {"error": words}
