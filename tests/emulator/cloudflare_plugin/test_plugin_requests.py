"""What the stand-in sends, how it retries, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest

from emulator.cloudflare_plugin.api import backoff_seconds, is_retried
from tests.emulator.cloudflare_plugin.harness import Answering, Plugin, served_plugin

T = TypeVar("T")

BASE = "http://127.0.0.1:18080/client/v4"
ACCOUNT = "0123456789abcdef0123456789abcdef"
OF_ACCOUNT = {"accountId": ACCOUNT}
WORKER = "cloudflare:index/worker:Worker"
VERSION = "cloudflare:index/workerVersion:WorkerVersion"
BUCKET = "cloudflare:index/r2Bucket:R2Bucket"
CORS = "cloudflare:index/r2BucketCors:R2BucketCors"
LIFECYCLE = "cloudflare:index/r2BucketLifecycle:R2BucketLifecycle"
DOMAIN = "cloudflare:index/r2CustomDomain:R2CustomDomain"
BUCKET_STATE = {
    **OF_ACCOUNT,
    "id": "assets",
    "name": "assets",
    "location": "WEUR",
    "storageClass": "Standard",
    "jurisdiction": "default",
    "creationDate": "2026-01-01T00:00:00.000Z",
}
DOMAIN_INPUTS = {**OF_ACCOUNT, "bucketName": "assets", "domain": "d.example.com", "zoneId": "z", "enabled": True}
DOMAIN_STATE = {**DOMAIN_INPUTS, "jurisdiction": "default", "minTls": "1.0", "zoneName": "example.com"}


class Api:
    """Answers in turn and remembers the requests."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) if request.content else None for request in self.requests]


def result(value: Any) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": value})


def run(answering: Answering, use: Callable[[Plugin], Awaitable[T]]) -> T:
    async def used() -> T:
        async with served_plugin(BASE, answering) as plugin:
            await plugin.call("Configure", {})
            return await use(plugin)

    return asyncio.run(used())


def test_storage_class_changes_by_a_patch_with_a_header_and_no_body() -> None:
    """R2 takes the storage class of a bucket from a header."""
    api = Api(result({"name": "assets", "location": "WEUR", "storage_class": "InfrequentAccess"}))
    news = {**OF_ACCOUNT, "name": "assets", "location": "weur", "storageClass": "InfrequentAccess"}
    answer = run(api, lambda plugin: plugin.of(BUCKET, "Update", id="assets", olds=BUCKET_STATE, news=news))
    assert api.lines() == [f"PATCH /client/v4/accounts/{ACCOUNT}/r2/buckets/assets"]
    assert api.requests[0].headers["cf-r2-storage-class"] == "InfrequentAccess"
    assert api.requests[0].content == b""
    assert answer["properties"]["storageClass"] == "InfrequentAccess"


def test_an_update_sends_null_for_what_the_program_took_away() -> None:
    """A TLS version in state and not in the program is sent as null."""
    api = Api(result({"zoneName": "example.com", "status": {"ssl": "active", "ownership": "active"}}))
    answer = run(api, lambda plugin: plugin.of(DOMAIN, "Update", id="x", olds=DOMAIN_STATE, news=DOMAIN_INPUTS))
    assert api.bodies() == [{"domain": "d.example.com", "enabled": True, "minTLS": None, "zoneId": "z"}]
    assert "minTls" not in answer["properties"]


def test_a_missing_zone_name_is_asked_for_once() -> None:
    """An attach answer without the zone's name is followed by one read."""
    complete = result({"zoneName": "example.com", "status": {"ssl": "active", "ownership": "active"}})
    api = Api(result({}), complete)
    answer = run(api, lambda plugin: plugin.of(DOMAIN, "Create", properties=DOMAIN_INPUTS))
    assert [line.split()[0] for line in api.lines()] == ["POST", "GET"]
    assert answer["properties"]["zoneName"] == "example.com"


def test_lifecycle_sends_every_kind_of_transition() -> None:
    """Names are in camel case on the wire, and a date is sent as the day."""
    condition = {"type": "Age", "maxAge": 604800}
    rule = {
        "id": "all",
        "enabled": True,
        "conditions": {"prefix": ""},
        "abortMultipartUploadsTransition": {"condition": condition},
        "deleteObjectsTransition": {"condition": {"type": "Date", "date": "2027-01-01T00:00:00Z"}},
        "storageClassTransitions": [{"condition": condition, "storageClass": "InfrequentAccess"}],
    }
    inputs = {**OF_ACCOUNT, "bucketName": "assets", "rules": [rule]}
    api = Api(result({}))
    run(api, lambda plugin: plugin.of(LIFECYCLE, "Create", properties=inputs))
    sent = {**rule, "deleteObjectsTransition": {"condition": {"type": "Date", "date": "2027-01-01"}}}
    assert api.bodies() == [{"rules": [sent]}]


def test_a_jurisdiction_travels_in_the_header() -> None:
    """A bucket of another jurisdiction is addressed there."""
    api = Api(result({"name": "assets", "creation_date": "2026-01-01T00:00:00.000Z", "location": "WEUR"}))
    inputs = {**OF_ACCOUNT, "name": "assets", "jurisdiction": "eu"}
    answer = run(api, lambda plugin: plugin.of(BUCKET, "Create", properties=inputs))
    assert api.requests[0].headers["cf-r2-jurisdiction"] == "eu"
    assert api.bodies() == [{"name": "assets", "storageClass": "Standard"}]
    assert answer["properties"]["location"] == "WEUR"


def test_modules_are_read_from_files(tmp_path: Any) -> None:
    """`contentFile` is sent as base64 and kept as a path in state."""
    file = tmp_path / "index.js"
    file.write_text("export default {}")
    module = {"name": "index.js", "contentType": "application/javascript+module", "contentFile": str(file)}
    api = Api(result({"id": "v1", "number": 1}))
    inputs = {**OF_ACCOUNT, "workerId": "w1", "modules": [module]}
    answer = run(api, lambda plugin: plugin.of(VERSION, "Create", properties=inputs))
    assert api.bodies()[0]["modules"][0]["content_base64"] == "ZXhwb3J0IGRlZmF1bHQge30="
    assert answer["properties"]["modules"][0]["contentFile"] == str(file)
    assert "contentBase64" not in answer["properties"]["modules"][0]


def test_drift_shows_in_inputs_that_were_set_and_in_outputs() -> None:
    """What changed behind Pulumi's back is in both; what was never an input stays out of the inputs."""
    live = {
        "id": "web",
        "allowed": {"methods": ["GET"], "origins": ["https://b.example.com"]},
        "maxAgeSeconds": 10,
    }
    api = Api(result({"rules": [live, {**live, "id": "more"}]}))
    rule = {"id": "web", "allowed": {"methods": ["GET"], "origins": ["https://a.example.com"]}}
    inputs = {**OF_ACCOUNT, "bucketName": "assets", "rules": [rule]}
    state = {**inputs, "jurisdiction": "default"}
    answer = run(api, lambda plugin: plugin.of(CORS, "Read", id="missing ID", properties=state, inputs=inputs))
    assert [rule["id"] for rule in answer["properties"]["rules"]] == ["web", "more"]
    assert answer["inputs"]["rules"] == [{"id": "web", "allowed": live["allowed"]}]


def test_an_import_by_id_reads_twice_and_takes_the_inputs_from_the_schema() -> None:
    """Computed and empty values are no inputs; the id is made of url-encoded segments."""
    live = {"id": "w1", "name": "gateway", "logpush": False, "tags": ["a"], "created_on": "2026-01-01T00:00:00.5Z"}
    api = Api(result(live))
    answer = run(api, lambda plugin: plugin.of(WORKER, "Read", id=f"{ACCOUNT}/w1"))
    assert api.lines() == [f"GET /client/v4/accounts/{ACCOUNT}/workers/workers/w1"] * 2
    assert answer["id"] == "w1"
    assert answer["inputs"] == {**OF_ACCOUNT, "name": "gateway", "tags": ["a"]}
    assert answer["properties"]["createdOn"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("token", "import_id", "words"),
    [
        (WORKER, "w1", 'invalid ID: expected urlencoded segments "<account_id>/<worker_id>", got "w1"'),
        (BUCKET, f"{ACCOUNT}/assets", "<account_id>/<bucket_name>/<jurisdiction>"),
        (CORS, f"{ACCOUNT}/assets", "Resource Import Not Implemented"),
    ],
)
def test_an_import_id_of_another_form_is_refused(token: str, import_id: str, words: str) -> None:
    """The message names the form that is expected."""

    async def imported(plugin: Plugin) -> dict[str, Any]:
        return await plugin.call("Read", {"id": import_id, "type": token, "name": "x", "urn": "urn:x::x"})

    assert words in run(Api(result({})), imported)["errors"][0]


def test_a_version_keeps_the_texts_that_the_api_never_returns() -> None:
    """After a refresh secrets are as in state, marked secret, in the order of state."""
    bindings = [
        {"name": "B", "type": "secret_text", "text": "planted-not-real"},
        {"name": "A", "type": "json", "json": '{"a": 1}'},
    ]
    inputs = {**OF_ACCOUNT, "workerId": "w1", "bindings": bindings}
    state = {**inputs, "id": "v1"}
    api = Api(
        result(
            {
                "id": "v1",
                "bindings": [
                    {"name": "A", "type": "json", "json": {"a": 1}},
                    {"name": "B", "type": "secret_text"},
                ],
            }
        )
    )
    answer = run(api, lambda plugin: plugin.of(VERSION, "Read", id="v1", properties=state, inputs=inputs))
    assert [binding["name"] for binding in answer["inputs"]["bindings"]] == ["B", "A"]
    assert answer["inputs"]["bindings"][0]["text"]["value"] == "planted-not-real"
    assert answer["inputs"]["bindings"][1]["json"] == '{"a": 1}'


@pytest.mark.parametrize("status", [401, 403, 400, 404])
def test_a_refusal_is_not_retried(status: int) -> None:
    """A delete that finds nothing is an error like any other."""
    api = Api(httpx.Response(status, text='{"success": false}'))

    async def deleted(plugin: Plugin) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
        request = {"type": BUCKET, "name": "b", "urn": "urn:b", "id": "assets", "properties": BUCKET_STATE}
        return await plugin.call("Delete", request), plugin.log

    answer, log = run(api, deleted)
    assert len(api.requests) == 1
    assert f'/r2/buckets/assets": {status} ' in answer["errors"][0]
    assert answer["errors"][0].startswith("rpc error: code = Unknown desc = failed to make http request: DELETE ")
    assert log[-1][0] == "ERROR"
    assert log[-1][1].endswith('{"success": false}: failed to make http request')


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"retry-after": "0"}, [0.0]),
        ({"retry-after": "7"}, [7.0]),
        ({"retry-after-ms": "250", "retry-after": "7"}, [0.25]),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT"}, [9.0]),
        ({"retry-after": "Thu, 01 Jan 1970 01:00:00 GMT"}, None),
        ({"retry-after": "90"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retries_obey_retry_after_below_a_minute(headers: dict[str, str], waits: list[float] | None) -> None:
    """In seconds, milliseconds or as a date; a longer, missing or unreadable one gives the Go client's own delays."""
    api = Api(httpx.Response(429, headers=headers, text="{}"), result({}))

    async def deleted(plugin: Plugin) -> list[float]:
        await plugin.of(BUCKET, "Delete", id="assets", properties=BUCKET_STATE)
        return plugin.waits

    waited = run(api, deleted)
    assert len(api.requests) == 2
    assert api.requests[1].headers["x-stainless-retry-count"] == "1"
    assert waited == waits if waits is not None else 1.5 <= waited[0] <= 2.0


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "upstream error", ""])
def test_of_an_error_that_is_no_json_the_status_alone_is_told(body: str) -> None:
    """The Go client prints the body as its JSON parser sees it."""
    api = Api(httpx.Response(400, text=body))

    async def deleted(plugin: Plugin) -> dict[str, Any]:
        return await plugin.call("Delete", {"type": BUCKET, "urn": "urn:b", "properties": BUCKET_STATE})

    assert run(api, deleted)["errors"][0].endswith('/r2/buckets/assets": 400 Bad Request ')


def test_retries_end_after_ten() -> None:
    """A server that never recovers is reported after eleven requests."""
    api = Api(httpx.Response(500, text="{}"))

    async def deleted(plugin: Plugin) -> list[float]:
        await plugin.call("Delete", {"type": BUCKET, "urn": "urn:b", "properties": BUCKET_STATE})
        return plugin.waits

    waits = run(api, deleted)
    assert len(api.requests) == 11
    assert 157 <= sum(waits) <= 210


def test_the_server_decides_with_x_should_retry() -> None:
    """The header overrules the status, both ways."""
    assert is_retried(400, {"x-should-retry": "true"})
    assert not is_retried(503, {"x-should-retry": "false"})
    assert is_retried(409, {})
    assert not is_retried(404, {})


def test_delays_double_up_to_half_a_minute_less_a_quarter() -> None:
    """2, 4, 8, 16, 30, 30 seconds."""
    assert [backoff_seconds(retries, 0) for retries in range(6)] == [2, 4, 8, 16, 30, 30]
    assert backoff_seconds(5, 1) == 22.5


def test_a_resource_without_account_names_the_missing_parameter() -> None:
    """Neither the program nor CLOUDFLARE_ACCOUNT_ID names an account: no request is made."""
    api = Api(result({}))

    async def created(plugin: Plugin) -> dict[str, Any]:
        return await plugin.call("Create", {"type": WORKER, "urn": "urn:w", "properties": {"name": "gateway"}})

    assert "missing required account_id parameter" in run(api, created)["errors"][0]
    assert api.requests == []
