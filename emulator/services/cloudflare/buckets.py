"""`/r2/buckets` with CORS, lifecycle and public domains (cloudflare.md 2.8; recordings 01-create, 50-destroy)."""

from __future__ import annotations

import re

from aiohttp import web

from emulator.services.cloudflare.envelope import Refusal, bad_request, json_object, not_found, success
from emulator.services.cloudflare.state import Account, Bucket, JSONObject

BUCKET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
CUSTOM_DOMAIN_FIELDS = ("domain", "zoneId", "enabled", "minTLS", "ciphers")


class Buckets:
    """Handlers over the account's buckets; the objects are in the world's object store."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def create(self, request: web.Request) -> web.Response:
        """POST /r2/buckets."""
        body = await json_object(request)
        name = str(body.get("name") or "")
        if not BUCKET_NAME.fullmatch(name):
            raise bad_request("The specified bucket name is not valid.", 10005)
        if name in self.account.buckets:
            raise Refusal(409, 10004, "The bucket you tried to create already exists, and you own it.")
        bucket = Bucket(
            id=self.account.new_id(),
            name=name,
            creation_date=self.account.timestamp(),
            location=str(body.get("locationHint") or "weur").upper(),
            storage_class=str(body.get("storageClass") or "Standard"),
            jurisdiction=request.headers.get("cf-r2-jurisdiction", "default"),
        )
        await self.account.world.objects.create_bucket(name)
        self.account.buckets[name] = bucket
        return success(bucket_view(bucket))

    async def listing(self, _request: web.Request) -> web.Response:
        """GET /r2/buckets."""
        return success({"buckets": [bucket_view(bucket) for bucket in self.account.buckets.values()]})

    async def read(self, request: web.Request) -> web.Response:
        """GET /r2/buckets/{bucket}."""
        return success(bucket_view(self._bucket(request)))

    async def update(self, request: web.Request) -> web.Response:
        """PATCH /r2/buckets/{bucket}: no body, the storage class is in a header."""
        bucket = self._bucket(request)
        bucket.storage_class = request.headers.get("cf-r2-storage-class", bucket.storage_class)
        return success(bucket_view(bucket))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /r2/buckets/{bucket}: only when it is empty."""
        bucket = self._bucket(request)
        if not await self.account.world.objects.delete_bucket(bucket.name):
            raise Refusal(409, 10008, "The bucket you tried to delete is not empty.")
        del self.account.buckets[bucket.name]
        return success({})

    async def cors(self, request: web.Request) -> web.Response:
        """GET, PUT, DELETE .../cors."""
        bucket = self._bucket(request)
        if request.method == "PUT":
            bucket.cors = await json_object(request)
            return success({})
        if request.method == "DELETE":
            bucket.cors = None
            return success({})
        if bucket.cors is None:
            raise not_found("The CORS configuration does not exist.", 10059)
        return success(bucket.cors)

    async def lifecycle(self, request: web.Request) -> web.Response:
        """GET, PUT .../lifecycle: rules are kept, never carried out."""
        bucket = self._bucket(request)
        if request.method == "PUT":
            bucket.lifecycle = await json_object(request)
            return success({})
        return success(bucket.lifecycle)

    async def managed_domain(self, request: web.Request) -> web.Response:
        """GET, PUT .../domains/managed: the r2.dev host."""
        bucket = self._bucket(request)
        if request.method == "PUT":
            bucket.public = bool((await json_object(request)).get("enabled"))
        host = f"{bucket.public_label}.r2.localhost:{self.account.world.port}"
        return success({"bucketId": bucket.id, "domain": host, "enabled": bucket.public})

    async def create_custom_domain(self, request: web.Request) -> web.Response:
        """POST .../domains/custom."""
        bucket, body = self._bucket(request), await json_object(request)
        domain = str(body.get("domain") or "")
        if not domain or any(domain in other.custom_domains for other in self.account.buckets.values()):
            raise Refusal(409, 0, f"The domain {domain!r} is already in use.")
        bucket.custom_domains[domain] = {name: body[name] for name in CUSTOM_DOMAIN_FIELDS if name in body}
        return success(self._custom_domain_view(bucket, domain))

    async def custom_domains(self, request: web.Request) -> web.Response:
        """GET .../domains/custom."""
        bucket = self._bucket(request)
        return success({"domains": [self._custom_domain_view(bucket, name) for name in bucket.custom_domains]})

    async def custom_domain(self, request: web.Request) -> web.Response:
        """GET, PUT, DELETE .../domains/custom/{domain}."""
        bucket, domain = self._bucket(request), request.match_info["domain"]
        if domain not in bucket.custom_domains:
            raise not_found(f"The domain {domain!r} is not connected to this bucket.")
        if request.method == "PUT":
            bucket.custom_domains[domain].update(await json_object(request))
        if request.method == "DELETE":
            del bucket.custom_domains[domain]
            return success({})
        return success(self._custom_domain_view(bucket, domain))

    def _bucket(self, request: web.Request) -> Bucket:
        return self.account.bucket(request.match_info["bucket"])

    def _custom_domain_view(self, bucket: Bucket, domain: str) -> JSONObject:
        status = {"ownership": "active", "ssl": "active"}
        return {**bucket.custom_domains[domain], "status": status, "zoneName": self.account.zone_name(domain)}


def bucket_view(bucket: Bucket) -> JSONObject:
    """A bucket as the API shows it."""
    return {
        "creation_date": bucket.creation_date,
        "jurisdiction": bucket.jurisdiction,
        "location": bucket.location,
        "name": bucket.name,
        "storage_class": bucket.storage_class,
    }
