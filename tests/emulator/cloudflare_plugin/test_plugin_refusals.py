"""What the stand-in refuses: other machines, unknown types and properties, malformed values; and what it says aloud."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emulator.cloudflare_plugin.configuration import is_loopback
from tests.emulator.cloudflare_plugin.harness import Plugin, served_plugin

LAUNCHER = Path(__file__).parents[3] / "emulator" / "cloudflare_plugin" / "bin" / "pulumi-resource-cloudflare"
LOOPBACK = "http://127.0.0.1:1/client/v4"
BUCKET = "cloudflare:index/r2Bucket:R2Bucket"
VERSION = "cloudflare:index/workerVersion:WorkerVersion"
DEPLOYMENT = "cloudflare:index/workersDeployment:WorkersDeployment"
MANAGED = "cloudflare:index/r2ManagedDomain:R2ManagedDomain"
ACCOUNT = {"accountId": "0" * 32}


def called(rpc: str, request: dict[str, Any], base_url: str = LOOPBACK) -> dict[str, Any]:
    return called_with_log(rpc, request, base_url)[0]


def called_with_log(rpc: str, request: dict[str, Any], base_url: str = LOOPBACK) -> tuple[dict[str, Any], Plugin]:
    async def used() -> tuple[dict[str, Any], Plugin]:
        async with served_plugin(base_url) as plugin:
            return await plugin.call(rpc, request), plugin

    return asyncio.run(used())


def reasons(token: str, inputs: dict[str, Any]) -> list[str]:
    urn = f"urn:pulumi:dev::test::{token}::thing"
    answer = called("Check", {"type": token, "name": "thing", "urn": urn, "news": {**ACCOUNT, **inputs}})
    return [failure["reason"] for failure in answer["response"].get("failures", [])]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8790",
        "http://127.9.9.9",
        "http://[::1]:8790/client/v4",
        "http://localhost",
        "http://a.localhost",
    ],
)
def test_this_machine_is_accepted(url: str) -> None:
    """127.0.0.0/8, ::1, localhost and the names under it."""
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.cloudflare.com/client/v4",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://127.0.0.1@example.com",
        "http://notlocalhost",
        "ftp://localhost",
        "http://[",
        "",
    ],
)
def test_any_other_machine_is_refused(url: str) -> None:
    """Names that only look like this machine are other machines."""
    assert not is_loopback(url)


def test_refusing_another_machine_says_who_refuses_and_what_to_install() -> None:
    """Nobody takes the stand-in for the real thing, and its credentials go nowhere."""
    [error] = called("Configure", {}, "https://someone:planted-not-real@api.cloudflare.com/client/v4")["errors"]
    assert "stand-in Cloudflare plugin" in error
    assert "pulumi plugin install resource cloudflare" in error
    assert "planted-not-real" not in error


def test_without_a_base_url_the_official_address_is_refused() -> None:
    """No setting means the real Cloudflare, which the stand-in must not talk to."""
    assert "api.cloudflare.com" in called("Configure", {}, "")["errors"][0]


def test_it_announces_itself_once() -> None:
    """A run with two providers says once that the official plugin is not in use."""

    async def configured() -> list[str]:
        async with served_plugin(LOOPBACK) as plugin:
            await plugin.call("Configure", {})
            await plugin.call("Configure", {})
            return [message for _, message, _ in plugin.log]

    assert len([line for line in asyncio.run(configured()) if "stand-in Cloudflare plugin" in line]) == 1


def test_unknown_types_name_the_known_ones() -> None:
    """A program with a DNS record learns what the stand-in can do."""
    [error] = called("Check", {"type": "cloudflare:index/dnsRecord:DnsRecord", "urn": "urn:x"})["errors"]
    assert "DnsRecord" in error
    assert "WorkersDeployment" in error
    assert "official plugin" in error


def test_unknown_properties_are_not_dropped_silently() -> None:
    """Static assets are not emulated: saying so beats a deployment without them."""
    assert "'assets'" in reasons(VERSION, {"workerId": "w", "assets": {"directory": "d"}})[0]


@pytest.mark.parametrize("percentage", [0, -1, 100.5])
def test_percentages_are_between_a_hundredth_and_a_hundred(percentage: float) -> None:
    """The words are Terraform's, with six digits after the point."""
    versions = [{"versionId": "v", "percentage": 50}, {"versionId": "w", "percentage": percentage}]
    [reason] = reasons(DEPLOYMENT, {"scriptName": "s", "strategy": "percentage", "versions": versions})
    assert reason == (
        "Invalid Attribute Value. Attribute versions[1].percentage value must be between 0.010000 and 100.000000,"
        f" got: {percentage:f}. Examine values at 'thing.versions[1].percentage'."
    )


def test_enumerations_ignore_case() -> None:
    """The official plugin accepts any case, so the stand-in does."""
    assert reasons(BUCKET, {"name": "b", "location": "WEUR", "storageClass": "standard"}) == []
    assert "jurisdiction value must be one of" in reasons(BUCKET, {"name": "b", "jurisdiction": "moon"})[0]


def test_unknown_values_are_not_judged() -> None:
    """At preview a value that does not exist yet is not refused."""
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    versions = [{"versionId": unknown, "percentage": "3eeb2bf0-c639-47a8-9e75-3b44932eb421"}]
    assert reasons(DEPLOYMENT, {"scriptName": unknown, "strategy": unknown, "versions": versions}) == []


def test_a_missing_property_is_named_with_its_meaning() -> None:
    """Nested ones by their path; no hint at values, for there are none."""
    assert reasons(BUCKET, {}) == ["Missing required property 'name': Name of the bucket."]
    assert reasons(VERSION, {"workerId": "w", "bindings": [{"type": "json"}]}) == [
        "Missing required property 'bindings[0].name': A JavaScript variable name for the binding."
    ]


def test_a_value_of_another_shape_is_an_error_not_a_crash() -> None:
    """A text where a list belongs."""
    request = {"type": VERSION, "urn": "urn:x", "news": {**ACCOUNT, "workerId": "w", "bindings": "none"}}
    assert "expected a list" in called("Check", request)["errors"][0]


def test_a_token_in_an_explicit_provider_is_pointed_at_there() -> None:
    """The hint names the provider resource instead of the stack's configuration."""
    answer = called("CheckConfig", {"name": "cf", "urn": "urn:x", "news": {"apiToken": "short"}})["response"]
    assert answer["failures"][0]["reason"].endswith("Examine values at 'cf.apiToken'.")
    assert answer["inputs"]["apiToken"]["value"] == "short"


def test_a_token_of_the_right_form_passes() -> None:
    """Forty letters, digits, hyphens and underscores."""
    answer = called("CheckConfig", {"name": "default", "urn": "urn:x", "news": {"apiToken": "dummy_token-" * 4}})
    assert "failures" not in answer["response"]


def test_what_cannot_be_destroyed_warns_when_it_is_created() -> None:
    """The words are those of the official plugin."""
    request = {
        "type": MANAGED,
        "urn": "urn:m",
        "preview": True,
        "properties": {"bucketName": "b", "enabled": True},
    }
    _, plugin = called_with_log("Create", request)
    assert plugin.log[0][:2] == (
        "WARNING",
        "[WARNING] This resource cannot be destroyed from Terraform. If you create this resource, it will be present"
        " in the API until manually deleted.: Resource Destruction Considerations",
    )


def test_the_schema_lists_the_types() -> None:
    """Tools that ask for a schema get a valid, small one."""
    schema = json.loads(called("GetSchema", {})["response"]["schema"])
    assert schema["name"] == "cloudflare"
    assert VERSION in schema["resources"]


def test_the_launcher_prints_a_port_and_ends_on_a_signal(tmp_path: Path) -> None:
    """It finds the project's Python from any folder, without an activated environment."""
    environment = {**os.environ, "VIRTUAL_ENV": ""}
    with subprocess.Popen([LAUNCHER], stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_the_launcher_says_what_is_missing(tmp_path: Path) -> None:
    """Without an environment there is a sentence with the next command, and no port."""
    folder = tmp_path / "emulator" / "cloudflare_plugin" / "bin"
    folder.mkdir(parents=True)
    copy = folder / LAUNCHER.name
    copy.write_bytes(LAUNCHER.read_bytes())
    copy.chmod(0o755)
    done = subprocess.run([copy], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 1
    assert "make setup" in done.stderr
    assert done.stdout == ""
