"""The front router: picks what answers by the Host header, for Workers the version too, and passes the bytes on."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict
from yarl import URL

from emulator.faults import GENERIC_KINDS, answer_with_fault
from emulator.services.cloudflare.state import SUBDOMAIN, Account, Version, Worker
from emulator.services.r2 import BUCKET_HEADER, R2
from emulator.worker_runtime import VersionSource, WorkerFailed, WorkerRuntime
from emulator.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_LIMIT = 100 * 1024 * 1024  # Cloudflare's on the Free and Pro plans; workerd itself has none
HEADER_LIMIT = 16 << 10
OVERRIDE_HEADER = "Cloudflare-Workers-Version-Overrides"
VERSION_KEY_HEADER = "Cloudflare-Workers-Version-Key"
R2_BINDING_HOST = "fake-host"  # workerd's own name for the other end of an R2 binding
PREVIEW_LABEL = re.compile(r"([0-9a-f]{8})-(.+)")
OVERRIDE = re.compile(r'([a-z0-9_*-]+)\s*=\s*"([^"]*)"')
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """Who answers for a host."""

    kind: Literal["binding", "bucket", "worker", "nobody"]
    bucket: str = ""
    worker: Worker | None = None
    preview: Version | None = None


class BodyTooLarge(Exception):
    """A request body beyond Cloudflare's limit."""


class Front:
    """Answers every request that is not for the emulator's own host."""

    def __init__(self, world: World, account: Account, r2: R2, runtime: WorkerRuntime) -> None:
        self.world, self.account, self.r2, self.runtime = world, account, r2, runtime
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
            max_field_size=HEADER_LIMIT,
            max_line_size=HEADER_LIMIT,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections to workerd."""
        await self._http.close()

    def middleware(self) -> Middleware:
        """Answers for other hosts, and lets requests for the emulator's own host through."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            destination = destination_of(request.host, self.account)
            return await handler(request) if destination is None else await self._answer(request, destination)

        return middleware

    async def _answer(self, request: web.Request, destination: Destination) -> web.StreamResponse:
        if destination.kind == "binding" and BUCKET_HEADER in request.headers:
            return await self.r2.binding(request)
        service = "r2" if destination.kind == "bucket" else "worker"
        answer = await self._public_answer(request, destination)
        self.world.requests.add(service, request.method, request.path, answer.status, self.world.clock.time())
        return answer

    async def _public_answer(self, request: web.Request, destination: Destination) -> web.StreamResponse:
        if destination.kind == "bucket":
            cors = self.account.buckets[destination.bucket].cors
            return await self.r2.public(request, destination.bucket, cors)
        if destination.worker is None:
            return nothing_here(f"nothing is bound to {request.host}")
        version = destination.preview or self._choose(request, destination.worker)
        if version is None:
            return nothing_here(f"{destination.worker.name} has no deployment")
        fault = self.world.faults.take(
            "worker", GENERIC_KINDS, method=request.method, path=request.path, version=version.id
        )

        whole = fault is not None and fault.kind == "truncated"

        async def proxy(request: web.Request) -> web.StreamResponse:
            return await self._proxy(request, version, whole=whole)

        return await answer_with_fault(self.world, fault, request, proxy)

    def _choose(self, request: web.Request, worker: Worker) -> Version | None:
        if worker.active is None:
            return None
        version_id = choose_version(worker.active.shares, worker.name, request.headers, self.world.random.random())
        return worker.version(version_id)

    async def _proxy(self, request: web.Request, version: Version, *, whole: bool) -> web.StreamResponse:
        if (request.content_length or 0) > BODY_LIMIT:
            return too_large()
        tag = str(version.body.get("annotations", {}).get("workers/tag") or "")
        source = VersionSource(version.id, tag, version.created_on, version.body)
        try:
            async with self.runtime.process(source) as process, self._forward(request, process.port) as upstream:
                headers = kept_headers(upstream.headers)
                headers["Server"] = "cloudflare"
                if whole:
                    return web.Response(status=upstream.status, headers=headers, body=await upstream.read())
                return await stream(request, upstream, headers)
        except (WorkerFailed, aiohttp.ClientError) as error:
            if isinstance(error.__cause__, BodyTooLarge):
                return too_large()
            logger.warning("Worker %s version %s: %s", version.worker_name, version.id, error)
            return web.Response(status=500, text="error code: 1101", content_type="text/plain")

    def _forward(self, request: web.Request, port: int) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = URL(f"http://127.0.0.1:{port}{request.raw_path}", encoded=True)
        headers = kept_headers(request.headers)
        headers["CF-Connecting-IP"] = request.remote or "127.0.0.1"
        body = limited(request.content) if request.body_exists else None
        return self._http.request(request.method, url, headers=headers, data=body, allow_redirects=False)


async def stream(
    request: web.Request, upstream: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Pass an answer on as it comes. What breaks after its head cannot become another answer: the connection ends."""
    answer = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    try:
        await answer.prepare(request)
        async for chunk in upstream.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return answer


def destination_of(host: str, account: Account) -> Destination | None:
    """Who answers for this Host header; None for the emulator itself."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if name in {"127.0.0.1", "localhost", "[::1]", ""}:
        return None
    if name == R2_BINDING_HOST:
        return Destination("binding")
    if name.endswith(f".{SUBDOMAIN}.localhost"):
        return _worker_host(name.removesuffix(f".{SUBDOMAIN}.localhost"), account)
    if name.endswith(".r2.localhost"):
        label = name.removesuffix(".r2.localhost")
        found = next(
            (item for item in account.buckets.values() if item.public and item.public_label == label), None
        )
        return Destination("bucket", found.name) if found else Destination("nobody")
    return _custom_domain({name, name.removesuffix(".localhost")}, account)


def _worker_host(label: str, account: Account) -> Destination:
    worker = account.named_worker(label)
    if worker is not None:
        return Destination("worker", worker=worker) if worker.serves_subdomain else Destination("nobody")
    preview = PREVIEW_LABEL.fullmatch(label)
    worker = account.named_worker(preview[2]) if preview else None
    version = worker.version_by_prefix(preview[1]) if worker and preview else None
    if worker is None or version is None or not worker.serves_previews:
        return Destination("nobody")
    return Destination("worker", worker=worker, preview=version)


def _custom_domain(names: set[str], account: Account) -> Destination:
    """A bound domain is reached by its own name, and by that name under .localhost."""
    for domain in account.domains.values():
        if domain.hostname in names:
            return Destination("worker", worker=account.named_worker(domain.service))
    for bucket in account.buckets.values():
        if any(bucket.custom_domains.get(name, {}).get("enabled") for name in names):
            return Destination("bucket", bucket.name)
    return Destination("nobody")


def choose_version(
    shares: Mapping[str, float], worker_name: str, headers: Mapping[str, str], chance: float
) -> str:
    """The version for one request. The override counts only for a version of this deployment, 0 % included."""
    overrides: dict[str, str] = dict(OVERRIDE.findall(headers.get(OVERRIDE_HEADER, "")))
    wanted = overrides.get(worker_name)
    if wanted is not None and wanted in shares:
        return wanted
    if key := headers.get(VERSION_KEY_HEADER):
        # stable for the life of a deployment: the same key and split always give the same version
        chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    reached = 0.0
    for version_id, share in shares.items():
        reached += share
        if chance * 100 < reached:
            return version_id
    return max(shares, key=shares.__getitem__)


def kept_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """All headers but those that belong to one connection."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


async def limited(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The body as it comes, up to the limit."""
    total = 0
    async for chunk in content.iter_any():
        total += len(chunk)
        if total > BODY_LIMIT:
            raise BodyTooLarge
        yield chunk


def too_large() -> web.Response:
    """Cloudflare's answer to a body over the plan's limit."""
    return web.Response(status=413, text="<h1>413 Request Entity Too Large</h1>", content_type="text/html")


def nothing_here(why: str) -> web.Response:
    """No Worker, version or bucket answers for this host."""
    return web.Response(
        status=404, text=f"<h1>There is nothing here yet</h1><p>{why}</p>", content_type="text/html"
    )
