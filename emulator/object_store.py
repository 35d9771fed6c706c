"""The objects of all R2 buckets, held by moto's S3 server in a thread: one store for Worker, S3 client and browser."""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from weakref import WeakValueDictionary
from xml.etree import ElementTree

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

# moto reads account and region from it and checks no signature
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=emulator/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000"
)
HTTP_METADATA_HEADERS = {
    "contentType": "Content-Type",
    "contentLanguage": "Content-Language",
    "contentDisposition": "Content-Disposition",
    "contentEncoding": "Content-Encoding",
    "cacheControl": "Cache-Control",
}
META_PREFIX = "x-amz-meta-"


@dataclass(frozen=True)
class StoredObject:
    """What is known of an object without its bytes. `uploaded` is unix time in ms; checksums are hex by algorithm."""

    key: str
    size: int
    etag: str
    uploaded: int
    version: str
    http: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """One page of keys."""

    objects: list[StoredObject]
    prefixes: list[str]
    cursor: str | None


@dataclass(frozen=True)
class _Page:
    keys: list[str]
    prefixes: list[str]
    cursor: str | None


@dataclass(frozen=True)
class _Note:
    """What S3 cannot hold: exact case of metadata names, all checksums, R2's object version."""

    etag: str
    version: str
    custom: Mapping[str, str]
    checksums: Mapping[str, str]


class MotoThread:
    """moto's S3 server. The port listens at once; requests wait in its backlog while moto is imported."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._server: BaseWSGIServer | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="moto", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class QuietRequestHandler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- werkzeug's name
                """Say nothing: URLs of objects are nobody's business."""

        self._server = make_server(
            "127.0.0.1",
            self.port,
            DomainDispatcherApplication(create_backend_app),
            threaded=True,
            request_handler=QuietRequestHandler,
            fd=self._socket.fileno(),
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        if not self._stopping:
            self._server.serve_forever(poll_interval=0.05)
        self._server.server_close()

    def stop(self) -> None:
        """End the thread and close the port."""
        self._stopping = True
        if self._server is not None:
            self._server.shutdown()
        self._thread.join()
        self._socket.close()


class ObjectStore:
    """R2's view of the objects. Writes to one key happen one after the other: moto has a race there."""

    def __init__(self) -> None:
        self._moto = MotoThread()
        self.s3_endpoint = f"http://127.0.0.1:{self._moto.port}"
        connector = aiohttp.TCPConnector(limit=64)
        self._http = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, headers={"Authorization": AUTHORIZATION}
        )
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._notes: dict[tuple[str, str], _Note] = {}
        self._buckets: set[str] = set()
        self._versions = 0

    async def close(self) -> None:
        """Forget all objects and end the server."""
        await self.reset()
        await self._http.close()
        await asyncio.to_thread(self._moto.stop)

    async def reset(self) -> None:
        """Forget all buckets and objects of this store: moto's memory belongs to the whole process."""
        self._notes.clear()
        for bucket in list(self._buckets):
            while not await self.delete_bucket(bucket):
                page = await self._page(bucket, {})
                await asyncio.gather(*(self.delete(bucket, key) for key in page.keys))

    @asynccontextmanager
    async def writing(self, bucket: str, key: str) -> AsyncIterator[None]:
        """Whoever writes this key meanwhile waits."""
        lock = self._locks.setdefault((bucket, key), asyncio.Lock())
        async with lock:
            yield

    async def create_bucket(self, bucket: str) -> None:
        """Make an empty bucket."""
        async with self._http.put(self._url(bucket)) as answer:
            answer.raise_for_status()
        self._buckets.add(bucket)

    async def delete_bucket(self, bucket: str) -> bool:
        """False when it is not empty."""
        async with self._http.delete(self._url(bucket)) as answer:
            if answer.status == 409:
                return False
            if answer.status != 404:
                answer.raise_for_status()
        self._buckets.discard(bucket)
        return True

    async def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        http: Mapping[str, str],
        custom: Mapping[str, str],
        checksums: Mapping[str, str],
    ) -> StoredObject:
        """Store an object; the caller holds `writing`."""
        headers = {
            HTTP_METADATA_HEADERS[name]: value for name, value in http.items() if name in HTTP_METADATA_HEADERS
        }
        headers.setdefault("Content-Type", "application/octet-stream")
        headers |= {
            META_PREFIX + quote(name.lower()): quote(value, safe=" /:;=,+@") for name, value in custom.items()
        }
        async with self._http.put(self._url(bucket, key), data=io.BytesIO(body), headers=headers) as answer:
            answer.raise_for_status()
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self._versions += 1
        version = hashlib.md5(f"{bucket}/{key}/{self._versions}".encode(), usedforsecurity=False).hexdigest()
        self._notes[bucket, key] = _Note(etag, version, dict(custom), {"md5": etag, **checksums})
        stored = await self.head(bucket, key)
        if stored is None:
            raise RuntimeError(f"moto lost {key} right after it was stored")
        return stored

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """What is known of an object; None when there is none."""
        async with self._http.head(self._url(bucket, key)) as answer:
            if answer.status == 404:
                return None
            answer.raise_for_status()
            return self._described(bucket, key, answer.headers, int(answer.headers["Content-Length"]))

    async def read(self, bucket: str, key: str) -> tuple[StoredObject, bytes] | None:
        """An object with its bytes."""
        async with self._http.get(self._url(bucket, key)) as answer:
            if answer.status == 404:
                return None
            answer.raise_for_status()
            body = await answer.read()
            return self._described(bucket, key, answer.headers, len(body)), body

    async def delete(self, bucket: str, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        async with self.writing(bucket, key), self._http.delete(self._url(bucket, key)) as answer:
            self._notes.pop((bucket, key), None)
            if answer.status != 404:
                answer.raise_for_status()

    async def listing(
        self, bucket: str, *, prefix: str, delimiter: str, cursor: str, start_after: str, limit: int
    ) -> Listing:
        """A page of objects in the order of their keys, with sizes and ETags only."""
        wanted = {"max-keys": str(limit), "prefix": prefix, "delimiter": delimiter}
        wanted |= {"continuation-token": cursor, "start-after": start_after}
        page = await self._page(bucket, {name: value for name, value in wanted.items() if value})
        described = await asyncio.gather(*(self.head(bucket, key) for key in page.keys))
        return Listing([item for item in described if item is not None], page.prefixes, page.cursor)

    async def _page(self, bucket: str, query: Mapping[str, str]) -> _Page:
        async with self._http.get(self._url(bucket).with_query({"list-type": "2", **query})) as answer:
            answer.raise_for_status()
            root = ElementTree.fromstring(await answer.text())  # noqa: S314 -- moto's own answer
        namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""

        def texts(path: str) -> list[str]:
            return [
                item.text or "" for item in root.findall("/".join(namespace + step for step in path.split("/")))
            ]

        return _Page(
            texts("Contents/Key"),
            texts("CommonPrefixes/Prefix"),
            root.findtext(f"{namespace}NextContinuationToken"),
        )

    def _url(self, bucket: str, key: str = "") -> URL:
        path = f"/{quote(key, safe='/~')}" if key else ""
        return URL(f"{self.s3_endpoint}/{bucket}{path}", encoded=True)

    def _described(self, bucket: str, key: str, headers: Mapping[str, str], size: int) -> StoredObject:
        etag = headers["ETag"].strip('"')
        uploaded = parsedate_to_datetime(headers["Last-Modified"]).astimezone(UTC)
        note = self._notes.get((bucket, key))
        if note is None or note.etag != etag:
            # written by an S3 client
            note = _Note(etag, etag, _custom_metadata(headers), {"md5": etag} if "-" not in etag else {})
        http = {name: headers[header] for name, header in HTTP_METADATA_HEADERS.items() if header in headers}
        return StoredObject(
            key, size, etag, int(uploaded.timestamp() * 1000), note.version, http, note.custom, note.checksums
        )


def _custom_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name[len(META_PREFIX) :].lower(): value
        for name, value in headers.items()
        if name.lower().startswith(META_PREFIX)
    }
