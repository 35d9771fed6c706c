"""R2 as a Worker and a browser see it: workerd's R2 binding protocol, and public bucket addresses.

The binding's wire form was tried on workerd 2026-11-17 (reference local_stack.md 1.6).
"""

from __future__ import annotations

import hashlib
import json

from aiohttp import web

from emulator.faults import GENERIC_KINDS, answer_with_fault
from emulator.object_store import StoredObject
from emulator.services.r2_rules import (
    CHECKSUM_FIELDS,
    NO_SUCH_KEY,
    PRECONDITION_FAILED,
    BindingError,
    Query,
    check_limits,
    cors_headers,
    described,
    holds,
    requested_range,
)
from emulator.world import World

BUCKET_HEADER = "X-Bucket"
LIST_LIMIT = 1000


class R2:
    """Reached by Host, not by path: the front calls `binding` and `public`."""

    name = "r2"

    def __init__(self, world: World) -> None:
        self.world = world
        self.puts = self.gets = 0

    def routes(self) -> list[web.RouteDef]:
        """None on the emulator's own host."""
        return []

    def reset(self) -> None:
        """Forget the counters; the objects go with the object store."""
        self.puts = self.gets = 0

    def summary(self) -> dict[str, object]:
        """Counters of binding calls."""
        return {"puts": self.puts, "gets": self.gets}

    async def binding(self, request: web.Request) -> web.StreamResponse:
        """One call of a Worker's R2 binding."""
        fault = self.world.faults.take(self.name, GENERIC_KINDS, method=request.method)
        if fault is not None and fault.kind in {"status", "rate_limited", "unauthorized"}:
            status = int(fault.number("status", 429 if fault.kind == "rate_limited" else 503))
            return refused(BindingError(status, 10001, "We encountered an internal error. Please try again."))
        return await answer_with_fault(self.world, fault, request, self._binding)

    async def _binding(self, request: web.Request) -> web.StreamResponse:
        query, value = await _decoded(request)
        bucket = request.headers[BUCKET_HEADER]
        method = str(query["method"])
        try:
            if method == "put":
                return answer(await self._put(bucket, query, value))
            if method == "get":
                return await self._get(bucket, query)
            if method == "head":
                return answer(await self._head(bucket, query))
            if method == "list":
                return answer_json(await self._list(bucket, query))
            if method == "delete":
                for key in query.get("objects") or [query["object"]]:
                    await self.world.objects.delete(bucket, key)
                return answer_json({})
        except BindingError as error:
            return refused(error)
        return refused(BindingError(501, 10001, f"{method} is not emulated"))

    async def _put(self, bucket: str, query: Query, value: bytes) -> StoredObject:
        self.puts += 1
        key = str(query["object"])
        given = {name: str(query[name]).lower() for name in CHECKSUM_FIELDS if query.get(name)}
        for name, expected in given.items():
            if hashlib.new(name, value, usedforsecurity=False).hexdigest() != expected:
                raise BindingError(
                    400, 10037, f"The {name} checksum you specified did not match what we received."
                )
        custom = {str(item["k"]): str(item["v"]) for item in query.get("customFields") or ()}
        check_limits(key, custom)
        http = {str(name): str(text) for name, text in (query.get("httpFields") or {}).items()}
        async with self.world.objects.writing(bucket, key):
            if "onlyIf" in query and not holds(query["onlyIf"], await self.world.objects.head(bucket, key)):
                raise BindingError(*PRECONDITION_FAILED)
            return await self.world.objects.put(bucket, key, value, http=http, custom=custom, checksums=given)

    async def _head(self, bucket: str, query: Query) -> StoredObject:
        stored = await self.world.objects.head(bucket, str(query["object"]))
        if stored is None:
            raise BindingError(*NO_SUCH_KEY)
        return stored

    async def _get(self, bucket: str, query: Query) -> web.Response:
        self.gets += 1
        found = await self.world.objects.read(bucket, str(query["object"]))
        if found is None:
            raise BindingError(*NO_SUCH_KEY)
        stored, body = found
        if "onlyIf" in query and not holds(query["onlyIf"], stored):
            raise BindingError(*PRECONDITION_FAILED, stored)
        span = requested_range(query, len(body))
        if span is None:
            return answer(stored, body)
        offset, length = span
        return answer(stored, body[offset : offset + length], span)

    async def _list(self, bucket: str, query: Query) -> Query:
        page = await self.world.objects.listing(
            bucket,
            prefix=str(query.get("prefix") or ""),
            delimiter=str(query.get("delimiter") or ""),
            cursor=str(query.get("cursor") or ""),
            start_after=str(query.get("startAfter") or ""),
            limit=min(int(query.get("limit") or LIST_LIMIT), LIST_LIMIT),
        )
        included = query.get("include") or []
        objects = [described(item, http=0 in included, custom=1 in included) for item in page.objects]
        result = {"objects": objects, "truncated": page.cursor is not None, "delimitedPrefixes": page.prefixes}
        return {**result, "cursor": page.cursor} if page.cursor else result

    async def public(self, request: web.Request, bucket: str, cors: Query | None) -> web.StreamResponse:
        """GET and HEAD of an object at a bucket's public address, under the bucket's CORS policy."""
        fault = self.world.faults.take(self.name, GENERIC_KINDS, method=request.method, path=request.path)

        async def read(request: web.Request) -> web.Response:
            asked = request.headers.get("Access-Control-Request-Method", request.method)
            allowed = cors_headers(cors, request.headers.get("Origin"), asked)
            answer = (
                web.Response(status=204) if request.method == "OPTIONS" else await self._public(request, bucket)
            )
            answer.headers.update(allowed)
            return answer

        return await answer_with_fault(self.world, fault, request, read)

    async def _public(self, request: web.Request, bucket: str) -> web.Response:
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, text="<h1>405 Method Not Allowed</h1>", content_type="text/html")
        key = request.path.removeprefix("/")
        found = await self.world.objects.read(bucket, key) if key else None
        if found is None:
            return web.Response(status=404, text="<h1>404 Not Found</h1>", content_type="text/html")
        stored, body = found
        headers = _public_headers(stored)
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        try:
            span = requested_range({"rangeHeader": request.headers.get("Range")}, len(body))
        except BindingError:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        if span is None:
            return web.Response(body=body, headers=headers)
        offset, length = span
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{len(body)}"
        return web.Response(status=206, body=body[offset : offset + length], headers=headers)


def _public_headers(stored: StoredObject) -> dict[str, str]:
    names = {"cacheControl": "Cache-Control", "contentDisposition": "Content-Disposition"}
    headers = {header: stored.http[name] for name, header in names.items() if name in stored.http}
    content_type = stored.http.get("contentType", "application/octet-stream")
    return {"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes", "Content-Type": content_type, **headers}


async def _decoded(request: web.Request) -> tuple[Query, bytes]:
    if request.method == "GET":
        return json.loads(request.headers["CF-R2-Request"]), b""
    raw = await request.read()
    size = int(request.headers["CF-R2-Metadata-Size"])
    return json.loads(raw[:size]), raw[size:]


def answer(stored: StoredObject, body: bytes = b"", span: tuple[int, int] | None = None) -> web.Response:
    """An object's description, then its bytes."""
    description = described(stored)
    if span is not None:
        description["range"] = {"offset": str(span[0]), "length": str(span[1])}
    return answer_json(description, body)


def answer_json(description: Query, body: bytes = b"") -> web.Response:
    """The binding's answer form."""
    raw = json.dumps(description).encode()
    return web.Response(body=raw + body, headers={"CF-R2-Metadata-Size": str(len(raw))})


def refused(error: BindingError) -> web.Response:
    """The binding's error form."""
    headers = {"CF-R2-Error": json.dumps({"version": 1, "v4code": error.code, "message": error.message})}
    raw = json.dumps(described(error.stored)).encode() if error.stored else b""
    if raw:
        headers["CF-R2-Metadata-Size"] = str(len(raw))
    return web.Response(status=error.status, body=raw, headers=headers)
