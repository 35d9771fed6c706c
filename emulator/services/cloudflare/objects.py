"""`/r2/buckets/{bucket}/objects`: what is in a bucket, and out with it.

Deleting one object is in Cloudflare's API reference; the form of a listing (`result` a list, `result_info` with
`cursor` and `is_truncated`) is that of public clients of the API, read 2026-11-23.
"""

from __future__ import annotations

from aiohttp import web

from emulator.object_store import StoredObject
from emulator.services.cloudflare.envelope import success
from emulator.services.cloudflare.state import Account

LARGEST_PAGE = 1000


class Objects:
    """Handlers over the world's object store."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def listing(self, request: web.Request) -> web.Response:
        """GET .../objects?per_page=&cursor=&prefix=."""
        query = request.query
        page = await self.account.world.objects.listing(
            self._bucket(request),
            prefix=query.get("prefix", ""),
            delimiter="",
            cursor=query.get("cursor", ""),
            start_after="",
            limit=max(1, min(LARGEST_PAGE, int(query.get("per_page", LARGEST_PAGE)))),
        )
        more = {"cursor": page.cursor or "", "is_truncated": bool(page.cursor), "per_page": LARGEST_PAGE}
        return success([_view(item) for item in page.objects], result_info=more)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE .../objects/{key}."""
        key = request.match_info["key"]
        await self.account.world.objects.delete(self._bucket(request), key)
        return success({"key": key})

    def _bucket(self, request: web.Request) -> str:
        return self.account.bucket(request.match_info["bucket"]).name


def _view(item: StoredObject) -> dict[str, object]:
    return {"key": item.key, "size": item.size, "etag": item.etag}
