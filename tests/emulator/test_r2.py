"""R2 seen by a Worker on real workerd, by an S3 client and by a browser: the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.emulator.cloudflare_calls import Cloud

# runs the function sent to it with the bucket in its hands, so that each test says in JavaScript what a Worker does
BUCKET_WORKER = """
const show = (object) => object && ({
  key: object.key, size: object.size, etag: object.etag, version: object.version, custom: object.customMetadata,
  http: object.httpMetadata, checksums: object.checksums?.toJSON(), hasBody: object.body !== undefined,
  range: object.range,
});
export default {
  async fetch(request, { ASSETS }) {
    const url = new URL(request.url);
    const { options = {}, keys } = JSON.parse(url.searchParams.get("with") ?? "{}");
    const key = decodeURIComponent(url.pathname.slice(1));
    try {
      switch (url.searchParams.get("do")) {
        case "put": return Response.json(show(await ASSETS.put(key, request.body ?? "", options)));
        case "head": return Response.json(show(await ASSETS.head(key)));
        case "list": {
          const page = await ASSETS.list(options);
          return Response.json({ ...page, objects: page.objects.map(show) });
        }
        case "delete": await ASSETS.delete(keys ?? key); return Response.json(null);
        case "describe": return Response.json(show(await ASSETS.get(key, options)));
        default: {
          const object = await ASSETS.get(key, options);
          return object ? new Response(object.body) : new Response(null, { status: 404 });
        }
      }
    } catch (error) {
      return Response.json({ error: error.message }, { status: 500 });
    }
  },
};
"""


class Bucket:
    """A Worker's bucket, called from outside."""

    def __init__(self, cloud: Cloud) -> None:
        cloud.bucket("assets")
        cloud.serve(BUCKET_WORKER, bindings=[{"name": "ASSETS", "type": "r2_bucket", "bucket_name": "assets"}])
        self.cloud = cloud

    def call(self, action: str, key: str = "", body: bytes | None = None, **arguments: Any) -> httpx.Response:
        query = {"do": action, "with": json.dumps(arguments)}
        method = "GET" if body is None else "POST"
        return self.cloud.http.request(method, f"{self.cloud.gateway}/{key}", params=query, content=body)

    def put(self, key: str, body: bytes = b"body", **options: Any) -> Any:
        answer = self.call("put", key, body, options=options)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def bucket(cloud: Cloud) -> Bucket:
    return Bucket(cloud)


def s3_client(cloud: Cloud) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=cloud.environment["R2_S3_ENDPOINT"],
        region_name="auto",
        aws_access_key_id=cloud.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud.environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )


def test_what_the_worker_stores_all_three_see(bucket: Bucket) -> None:
    body = os.urandom(200_000)
    stored = bucket.put(
        "games/knight 1.png",
        body,
        httpMetadata={"contentType": "image/png", "cacheControl": "public, max-age=60"},
        customMetadata={"jobId": "grün", "seed": "7"},
        sha256=hashlib.sha256(body).hexdigest(),
    )
    assert stored["etag"] == hashlib.md5(body).hexdigest()
    assert stored["checksums"] == {"md5": stored["etag"], "sha256": hashlib.sha256(body).hexdigest()}
    assert stored["custom"] == {"jobId": "grün", "seed": "7"}
    assert bucket.call("get", "games/knight 1.png").content == body

    cloud = bucket.cloud
    domain = cloud.result("PUT", "/r2/buckets/assets/domains/managed", json={"enabled": True})["domain"]
    public = cloud.http.get(f"http://{domain}/games/knight%201.png")
    assert public.content == body
    assert public.headers["Content-Type"] == "image/png"
    assert public.headers["Cache-Control"] == "public, max-age=60"
    assert public.headers["ETag"] == f'"{stored["etag"]}"'

    s3 = s3_client(cloud)
    found = s3.get_object(Bucket="assets", Key="games/knight 1.png")
    with found["Body"] as stream:
        assert stream.read() == body
    assert (found["ContentType"], found["Metadata"]["seed"]) == ("image/png", "7")
    s3.close()


def test_what_an_s3_client_stores_the_worker_sees(bucket: Bucket) -> None:
    s3 = s3_client(bucket.cloud)
    s3.put_object(Bucket="assets", Key="from-s3", Body=b"hello", ContentType="text/plain", Metadata={"a": "b"})
    s3.close()
    assert bucket.call("get", "from-s3").content == b"hello"
    described = bucket.call("head", "from-s3").json()
    assert (described["http"]["contentType"], described["custom"]) == ("text/plain", {"a": "b"})


def test_a_missing_key_is_null_for_the_worker(bucket: Bucket) -> None:
    assert bucket.call("head", "nothing").json() is None
    assert bucket.call("describe", "nothing").json() is None


def test_put_only_when_the_key_is_new(bucket: Bucket) -> None:
    """The conditional put by which two polls store and pay once."""
    first = bucket.put("job", b"first", onlyIf={"etagDoesNotMatch": "*"})
    assert bucket.put("job", b"second", onlyIf={"etagDoesNotMatch": "*"}) is None
    assert bucket.call("get", "job").content == b"first"
    assert bucket.put("job", b"third", onlyIf={"etagMatches": "0" * 32}) is None
    assert bucket.put("job", b"third", onlyIf={"etagMatches": first["etag"]})["size"] == 5
    assert bucket.put("new", b"x", onlyIf={"etagMatches": first["etag"]}) is None


def test_of_many_conditional_puts_at_once_one_wins(bucket: Bucket) -> None:
    def put(number: int) -> bool:
        return bucket.put("job", b"%d" % number, onlyIf={"etagDoesNotMatch": "*"}) is not None

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(put, range(24))) == 1


def test_puts_of_one_key_at_once_all_succeed(bucket: Bucket) -> None:
    """moto alone loses some of them (local_stack.md 2)."""
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(lambda number: bucket.put("key", b"%d" % number * 1000), range(48)))


def test_get_with_a_condition_gives_the_object_without_a_body(bucket: Bucket) -> None:
    etag = bucket.put("key")["etag"]
    assert (
        bucket.call("describe", "key", options={"onlyIf": {"etagDoesNotMatch": etag}}).json()["hasBody"] is False
    )
    assert bucket.call("describe", "key", options={"onlyIf": {"etagMatches": etag}}).json()["hasBody"] is True


@pytest.mark.parametrize(
    ("asked", "content"),
    [
        ({"offset": 2, "length": 3}, b"234"),
        ({"offset": 7}, b"789"),
        ({"suffix": 2}, b"89"),
        ({"offset": 8, "length": 100}, b"89"),
    ],
)
def test_ranges(bucket: Bucket, asked: dict[str, int], content: bytes) -> None:
    bucket.put("digits", b"0123456789")
    assert bucket.call("get", "digits", options={"range": asked}).content == content


def test_a_range_beyond_the_end_is_an_error(bucket: Bucket) -> None:
    bucket.put("digits", b"0123456789")
    assert "10039" in bucket.call("get", "digits", options={"range": {"offset": 10}}).json()["error"]


def test_a_wrong_checksum_is_refused(bucket: Bucket) -> None:
    answer = bucket.call("put", "key", b"body", options={"sha256": "0" * 64})
    assert "10037" in answer.json()["error"]
    assert bucket.call("head", "key").json() is None


@pytest.mark.parametrize(
    ("key", "options", "code"),
    [("k" * 1025, {}, "10020"), ("key", {"customMetadata": {"a": "b" * 8192}}, "10012")],
)
def test_the_limits_of_r2_hold(bucket: Bucket, key: str, options: dict[str, Any], code: str) -> None:
    assert code in bucket.call("put", key, b"body", options=options).json()["error"]


def test_delete_one_and_many(bucket: Bucket) -> None:
    for key in ("a", "b", "c"):
        bucket.put(key)
    bucket.call("delete", "a")
    bucket.call("delete", keys=["b", "missing"])
    assert [item["key"] for item in bucket.call("list").json()["objects"]] == ["c"]


def test_list_in_pages_by_prefix_and_folder(bucket: Bucket) -> None:
    for key in ("a/1", "a/2", "a/b/3", "c"):
        bucket.put(key, customMetadata={"Name": key})
    page = bucket.call("list", options={"prefix": "a/", "delimiter": "/", "include": ["customMetadata"]}).json()
    assert [(item["key"], item["custom"]) for item in page["objects"]] == [
        ("a/1", {"Name": "a/1"}),
        ("a/2", {"Name": "a/2"}),
    ]
    assert (page["delimitedPrefixes"], page["truncated"]) == (["a/b/"], False)
    first = bucket.call("list", options={"limit": 3}).json()
    rest = bucket.call("list", options={"limit": 3, "cursor": first["cursor"]}).json()
    assert first["truncated"]
    assert [item["key"] for item in [*first["objects"], *rest["objects"]]] == ["a/1", "a/2", "a/b/3", "c"]


def test_large_objects_survive(bucket: Bucket) -> None:
    body = os.urandom(10 * 1024 * 1024)
    assert bucket.put("large", body)["etag"] == hashlib.md5(body).hexdigest()
    assert bucket.call("get", "large").content == body


def test_a_public_bucket_serves_ranges_and_revalidation(bucket: Bucket) -> None:
    cloud = bucket.cloud
    etag = bucket.put("digits", b"0123456789")["etag"]
    url = f"http://{cloud.result('PUT', '/r2/buckets/assets/domains/managed', json={'enabled': True})['domain']}/digits"
    part = cloud.http.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert cloud.http.get(url, headers={"If-None-Match": f'"{etag}"'}).status_code == 304
    assert cloud.http.head(url).headers["Content-Length"] == "10"
    assert cloud.http.put(url, content=b"x").status_code == 405
    assert cloud.http.get(url.replace("/digits", "/missing")).status_code == 404


def test_a_bucket_is_private_until_it_is_opened(bucket: Bucket) -> None:
    cloud = bucket.cloud
    bucket.put("key")
    domain = cloud.result("GET", "/r2/buckets/assets/domains/managed")["domain"]
    assert cloud.http.get(f"http://{domain}/key").status_code == 404
    cloud.result("PUT", "/r2/buckets/assets/domains/managed", json={"enabled": True})
    assert cloud.http.get(f"http://{domain}/key").status_code == 200


def test_a_custom_domain_serves_the_bucket(bucket: Bucket) -> None:
    cloud = bucket.cloud
    bucket.put("key")
    body = {"domain": "assets.example.com", "enabled": True, "minTLS": "1.2", "zoneId": "f" * 32}
    created = cloud.result("POST", "/r2/buckets/assets/domains/custom", json=body)
    assert created == cloud.result("GET", "/r2/buckets/assets/domains/custom/assets.example.com")
    answer = cloud.http.get(f"{cloud.emulator.base_url}/key", headers={"Host": "assets.example.com"})
    assert answer.content == b"body"
    cloud.result("DELETE", "/r2/buckets/assets/domains/custom/assets.example.com")
    assert cloud.refused("GET", "/r2/buckets/assets/domains/custom/assets.example.com")[0] == 404


def test_browsers_of_allowed_origins_only_get_cors_headers(bucket: Bucket) -> None:
    cloud = bucket.cloud
    bucket.put("key")
    allowed = {"headers": ["range"], "methods": ["GET", "HEAD"], "origins": ["https://game.example.com"]}
    rule = {"allowed": allowed, "exposeHeaders": ["etag"], "id": "web", "maxAgeSeconds": 3600}
    cloud.result("PUT", "/r2/buckets/assets/cors", json={"rules": [rule]})
    url = (
        f"http://{cloud.result('PUT', '/r2/buckets/assets/domains/managed', json={'enabled': True})['domain']}/key"
    )
    good = cloud.http.get(url, headers={"Origin": "https://game.example.com"})
    assert good.headers["Access-Control-Allow-Origin"] == "https://game.example.com"
    assert good.headers["Access-Control-Expose-Headers"] == "etag"
    bad = cloud.http.get(url, headers={"Origin": "https://other.example.com"})
    assert "Access-Control-Allow-Origin" not in bad.headers
    asking = {"Origin": "https://game.example.com", "Access-Control-Request-Method": "GET"}
    preflight = cloud.http.options(url, headers=asking)
    assert (preflight.status_code, preflight.headers["Access-Control-Max-Age"]) == (204, "3600")


def test_only_an_empty_bucket_can_be_deleted(bucket: Bucket) -> None:
    """Recording 50-destroy, and R2's refusal 10008 that must not be retried."""
    cloud = bucket.cloud
    bucket.put("key")
    answer = cloud.call("DELETE", "/r2/buckets/assets")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, 10008)
    assert answer.headers["x-should-retry"] == "false"
    bucket.call("delete", "key")
    cloud.result("DELETE", "/r2/buckets/assets")
    assert cloud.refused("GET", "/r2/buckets/assets") == (404, 10006)


def test_bucket_settings_are_kept(cloud: Cloud) -> None:
    cloud.bucket("assets")
    rules = {"rules": [{"id": "expire", "enabled": True, "conditions": {"prefix": "_verification/"}}]}
    cloud.result("PUT", "/r2/buckets/assets/lifecycle", json=rules)
    assert cloud.result("GET", "/r2/buckets/assets/lifecycle") == rules
    cloud.result("PATCH", "/r2/buckets/assets", headers={"cf-r2-storage-class": "InfrequentAccess"})
    assert cloud.result("GET", "/r2/buckets/assets")["storage_class"] == "InfrequentAccess"
    assert cloud.refused("GET", "/r2/buckets/assets/cors")[0] == 404


@pytest.mark.parametrize("name", ["Bad_Name", "a", "-x-", "x" * 64])
def test_bad_bucket_names_are_refused(cloud: Cloud, name: str) -> None:
    assert cloud.refused("POST", "/r2/buckets", json={"name": name}) == (400, 10005)


def test_a_failing_r2_is_an_exception_in_the_worker(bucket: Bucket) -> None:
    bucket.cloud.control("POST", "faults", {"service": "r2", "kind": "status", "status": 503})
    answer = bucket.call("put", "key", b"body")
    assert (answer.status_code, "10001" in answer.text) == (500, True)
    assert bucket.put("key")["size"] == 4
