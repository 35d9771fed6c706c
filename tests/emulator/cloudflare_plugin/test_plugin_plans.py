"""What the stand-in plans: defaults, unknowns, changed properties and replacements."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator.cloudflare_plugin.catalog import resource_type
from emulator.cloudflare_plugin.planning import Plan, content_digest, plan
from emulator.cloudflare_plugin.properties import UNKNOWN_STRING, plain, sort_set, to_attributes, to_properties
from emulator.cloudflare_plugin.schema import UNKNOWN
from tests.emulator.cloudflare_plugin.harness import served_plugin

ACCOUNT = {"accountId": "0" * 32}
WORKER = "cloudflare:index/worker:Worker"
VERSION = "cloudflare:index/workerVersion:WorkerVersion"
BUCKET = "cloudflare:index/r2Bucket:R2Bucket"
DOMAIN = "cloudflare:index/r2CustomDomain:R2CustomDomain"
MANAGED = "cloudflare:index/r2ManagedDomain:R2ManagedDomain"
WORKER_DOMAIN = "cloudflare:index/workersCustomDomain:WorkersCustomDomain"
CRON = "cloudflare:index/workersCronTrigger:WorkersCronTrigger"
WORKER_INPUTS = {**ACCOUNT, "name": "gateway", "observability": {"enabled": True}, "subdomain": {"enabled": True}}
WORKER_STATE = {
    **WORKER_INPUTS,
    "id": "w1",
    "createdOn": "2026-01-01T00:00:00Z",
    "updatedOn": "2026-01-01T00:00:00Z",
    "logpush": False,
    "tags": [],
    "tailConsumers": [],
    "observability": {
        "enabled": True,
        "headSamplingRate": 1,
        "traces": {"enabled": False, "headSamplingRate": 1, "persist": True},
    },
    "subdomain": {"enabled": True, "previewsEnabled": True},
    "references": {"domains": []},
}
BUCKET_STATE = {
    **ACCOUNT,
    "id": "assets",
    "name": "assets",
    "location": "WEUR",
    "storageClass": "Standard",
    "jurisdiction": "default",
    "creationDate": "2026-01-01T00:00:00.000Z",
}


def planned(token: str, prior: dict[str, Any] | None, inputs: dict[str, Any]) -> Plan:
    type_ = resource_type(token)
    state = None if prior is None else to_attributes(type_.fields, prior)
    return plan(type_, state, to_attributes(type_.fields, plain(inputs)))


def properties(token: str, result: Plan) -> dict[str, Any]:
    return to_properties(resource_type(token).fields, result.values)


def test_previews_default_to_the_workers_dev_switch() -> None:
    """`previews_enabled` is whatever `enabled` is, unless the program says otherwise."""
    off = {**WORKER_INPUTS, "subdomain": {"enabled": True, "previewsEnabled": False}}
    assert properties(WORKER, planned(WORKER, None, WORKER_INPUTS))["subdomain"]["previewsEnabled"] is True
    assert properties(WORKER, planned(WORKER, None, off))["subdomain"]["previewsEnabled"] is False


def test_unchanged_inputs_are_no_change() -> None:
    """Neither defaults nor computed values make a difference by themselves."""
    assert planned(WORKER, WORKER_STATE, WORKER_INPUTS).changed == ()
    assert planned(BUCKET, BUCKET_STATE, {**ACCOUNT, "name": "assets"}).changed == ()


def test_renaming_a_worker_updates_it_in_place_and_keeps_its_id() -> None:
    """The id and the creation time stay known, so that nothing that refers to them is replaced."""
    result = planned(WORKER, WORKER_STATE, {**WORKER_INPUTS, "name": "renamed"})
    assert result.changed == ("name", "observability", "references", "updatedOn")
    assert result.replaced == ()
    assert result.values["id"] == "w1"
    assert result.values["created_on"] == "2026-01-01T00:00:00Z"


def test_storage_class_is_the_only_change_of_a_bucket_in_place() -> None:
    """Creation date and location keep their values; a location in other letters is no change at all."""
    inputs = {**ACCOUNT, "name": "assets", "location": "weur"}
    assert planned(BUCKET, BUCKET_STATE, {**inputs, "storageClass": "InfrequentAccess"}).changed == (
        "storageClass",
    )
    assert planned(BUCKET, BUCKET_STATE, inputs).changed == ()


def test_a_location_nobody_asked_for_is_open_again_when_something_changes() -> None:
    """Only a location in the program is held to the state's; the API may answer another one otherwise."""
    inputs = {**ACCOUNT, "name": "assets"}
    assert planned(BUCKET, BUCKET_STATE, {**inputs, "storageClass": "InfrequentAccess"}).changed == (
        "location",
        "storageClass",
    )
    assert planned(BUCKET, BUCKET_STATE, {**inputs, "location": "eeur"}).changed == ()


def test_a_custom_domain_of_another_worker_is_another_custom_domain() -> None:
    """The API has no update of an attached domain, so every change replaces."""
    inputs = {**ACCOUNT, "hostname": "api.example.com", "service": "gateway", "zoneId": "z"}
    state = {**inputs, "id": "d1", "environment": "production", "zoneName": "example.com"}
    result = planned(WORKER_DOMAIN, state, {**inputs, "service": "renamed"})
    assert result.replaced == ("service",)
    assert result.changed == ("certId", "environment", "service", "zoneName")


def test_public_access_is_switched_in_place() -> None:
    """r2.dev access and the jurisdiction of its bucket are updates."""
    inputs = {**ACCOUNT, "bucketName": "b", "enabled": True}
    state = {**inputs, "jurisdiction": "default", "bucketId": "1", "domain": "pub-1.r2.dev"}
    assert planned(MANAGED, state, {**inputs, "enabled": False}).replaced == ()
    assert planned(MANAGED, state, {**inputs, "jurisdiction": "eu"}).replaced == ()


def test_an_input_that_is_taken_away_is_a_change() -> None:
    """A domain whose TLS version came from the API drifts when the program sets none."""
    inputs = {**ACCOUNT, "bucketName": "b", "domain": "d.example.com", "zoneId": "z", "enabled": True}
    state = {
        **inputs,
        "jurisdiction": "default",
        "minTls": "1.0",
        "zoneName": "example.com",
        "status": {"ssl": "active"},
    }
    assert planned(DOMAIN, state, inputs).changed == ("minTls", "status", "zoneName")


def test_an_unknown_input_is_a_change_and_forces_the_replacement() -> None:
    """A version of a Worker that is itself being replaced is replaced."""
    inputs = {**ACCOUNT, "workerId": "w1", "mainModule": "a.js"}
    state = {**inputs, "id": "v1", "usageModel": "standard"}
    result = planned(VERSION, state, {**inputs, "workerId": UNKNOWN_STRING})
    assert "workerId" in result.replaced


def test_bindings_without_recorded_text_do_not_force_a_replacement_by_themselves() -> None:
    """After an import the text of a secret is unknown to state; setting it is not a reason to replace."""
    binding = {"name": "KEY", "type": "secret_text", "databaseId": "d"}
    inputs = {**ACCOUNT, "workerId": "w1", "bindings": [{**binding, "text": "planted-not-real"}]}
    state = {**ACCOUNT, "workerId": "w1", "id": "v1", "usageModel": "standard", "bindings": [binding]}
    assert planned(VERSION, state, inputs).replaced == ()
    other = {**inputs, "bindings": [{**binding, "name": "OTHER"}]}
    assert planned(VERSION, state, other).replaced == ("bindings",)


def test_nested_unknowns_stay_where_they_are() -> None:
    """An unknown bucket name makes one property unknown, not the list of bindings."""
    inputs = {
        **ACCOUNT,
        "workerId": "w1",
        "bindings": [{"name": "ASSETS", "type": "r2_bucket", "bucketName": UNKNOWN_STRING}],
    }
    binding = properties(VERSION, planned(VERSION, None, inputs))["bindings"][0]
    assert binding["bucketName"] == UNKNOWN_STRING
    assert binding["name"] == "ASSETS"


def test_module_digest_follows_base64_files_and_unknowns(tmp_path: Any) -> None:
    """A module has the same digest whether its content comes from text or from a file."""
    file = tmp_path / "index.js"
    file.write_bytes(b"hello")
    by_file = content_digest({"content_file": str(file), "content_base64": None})
    assert by_file == content_digest({"content_file": None, "content_base64": "aGVsbG8="})
    assert content_digest({"content_base64": UNKNOWN}) is UNKNOWN
    with pytest.raises(ValueError, match="Error decoding base64"):
        content_digest({"content_base64": "not base64!"})


def test_cron_times_of_the_state_survive_an_unchanged_plan() -> None:
    """Computed parts inside a list of the program's own are taken from the former element at the same place."""
    inputs = {**ACCOUNT, "scriptName": "s", "schedules": [{"cron": "* * * * *"}]}
    former = {"cron": "* * * * *", "createdOn": "2026-01-01", "modifiedOn": "2026-01-01"}
    state = {**inputs, "id": "s", "schedules": [former]}
    assert planned(CRON, state, inputs).changed == ()
    more = {**inputs, "schedules": [{"cron": "* * * * *"}, {"cron": "0 * * * *"}]}
    assert planned(CRON, state, more).changed == ("schedules",)


def test_sets_are_ordered_like_go_cty() -> None:
    """Strings by value; objects by their attributes in alphabetical order, null after any string."""
    assert sort_set(["b", "a", "c"]) == ["a", "b", "c"]
    first, second = {"content": "Z", "name": "b"}, {"content": "a", "name": "a"}
    assert sort_set([second, first, {"content": None, "name": "a"}])[:2] == [first, second]


def test_ignored_changes_take_the_value_of_the_state() -> None:
    """`ignoreChanges` hides a change of a nested property from the diff."""

    async def differing(paths: list[str]) -> dict[str, Any]:
        news = {**WORKER_INPUTS, "observability": {"enabled": False}}
        async with served_plugin("http://127.0.0.1:1/client/v4") as plugin:
            return await plugin.of(WORKER, "Diff", id="w1", olds=WORKER_STATE, news=news, ignoreChanges=paths)

    assert asyncio.run(differing([]))["changes"] == "DIFF_SOME"
    assert asyncio.run(differing(["observability.enabled"])) == {"changes": "DIFF_NONE"}


def test_update_preview_shows_the_plan_and_makes_no_call() -> None:
    """A preview of an update returns known values, and the reserved string where only the API knows."""

    async def previewed() -> dict[str, Any]:
        news = {**WORKER_INPUTS, "tags": ["a"]}
        async with served_plugin("http://127.0.0.1:1/client/v4") as plugin:
            return await plugin.of(WORKER, "Update", id="w1", olds=WORKER_STATE, news=news, preview=True)

    shown = asyncio.run(previewed())["properties"]
    assert shown["tags"] == ["a"]
    assert shown["id"] == "w1"
    assert shown["updatedOn"] == UNKNOWN_STRING
