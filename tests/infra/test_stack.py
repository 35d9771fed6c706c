"""The shape of the graph: what is declared under which name, which inputs are secret, what follows what.

With Pulumi's mocks, so nothing of our own or of a vendor runs; tests/end_to_end proves what the resources do.
"""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, rpc, settings

from provider_client.config import StackConfig, load

PULUMI_NOISE = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_cloudflare"),  # its import warns of itself
    # the mocks leave an event loop in each of their threads to the garbage collector, whenever that comes
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
pytestmark = PULUMI_NOISE

NAMES = {  # a name that changes is a resource that is made anew
    "assets",
    "assets-bucket",
    "assets-contents",
    "assets-cors",
    "assets-lifecycle",
    "cloudflare",
    "gateway",
    "gateway-comfyui",
    "gateway-runpod",
    "gateway-scenario",
    "gateway-worker",
    "image-generation",
    "preflight",
    "runpod",
    "switchback",
    "traffic",
    "verify-scenario",
}
SECRETS = {
    "scenarioApiKey": "planted-scenario-key",
    "scenarioSecretApiKey": "planted-scenario-secret",
    "runpodApiKey": "planted-runpod-key",
    "comfyuiEndpoint": "https://planted-comfyui.example.com",
    "gatewayTokens": '["planted-gateway-token"]',
    "jobSigningKeys": '["planted-signing-key"]',
}
VALUES = {
    "accountId": "0123456789abcdef0123456789abcdef",
    "runpod": json.dumps(
        {"image": "registry.example.com/comfyui:1", "env": {"TOKEN": "planted-container-secret"}}
    ),
    **SECRETS,
}
Declared = dict[str, mocks.MockResourceArgs]


class Recorder(mocks.Mocks):
    """Every resource that the program registers, by name."""

    def __init__(self) -> None:
        self.resources: Declared = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources[args.name] = args
        outputs = {name: value for name, value in args.inputs.items() if value is not None}
        if args.typ.endswith(":WorkerVersion"):
            outputs["urls"] = [f"https://{args.name[:8]}-preview.example.com"]
        if args.typ.endswith(":RunPodEndpoint"):
            outputs |= {"endpointId": "endpoint", "containerDigest": "digest"}
        if args.typ.endswith(":R2ManagedDomain"):
            outputs["domain"] = "pub-1.r2.dev"
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"{args.token} was called")


@pytest.fixture(autouse=True)
def _no_stack_left() -> Iterator[None]:
    """Mocks and the event loop are module state of the SDK: they are taken back after each test."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    settings.reset_options()
    asyncio.set_event_loop(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the mocks leave an event loop in each of their threads
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        gc.collect()


def config(**changes: str) -> StackConfig:
    return load({**VALUES, **changes}, stack="dev", secret_keys={*SECRETS, "runpodManagementApiKey"})


def declared(configured: StackConfig, *, preview: bool = False) -> Declared:
    """What the program registers for this configuration."""
    from infra.stack import ImageGenerationStack

    recorder = Recorder()
    mocks.set_mocks(recorder, project="image-generation", stack="dev", preview=preview)

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        return pulumi.Output.from_input(dict(ImageGenerationStack("image-generation", configured).outputs))

    program()
    return recorder.resources


def plain(value: object) -> Iterator[str]:
    """Every text in an input that is not inside a secret."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return
        for item in value.values():
            yield from plain(item)
    elif isinstance(value, list):
        for item in value:
            yield from plain(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])
def test_names_are_stable(preview: bool) -> None:
    """Also in a preview, where the program must run with what is not known yet."""
    assert set(declared(config(), preview=preview)) == NAMES


def test_every_secret_is_secret_in_every_input() -> None:
    """Planted in every key that is stored encrypted, and in RunPod's environment: found in none that is not."""
    leaking = {
        name: [text for text in plain(args.inputs) if "planted" in text]
        for name, args in declared(config(runpodManagementApiKey="planted-management-key")).items()
    }
    assert {name: texts for name, texts in leaking.items() if texts} == {}


def test_a_candidate_is_verified_and_shares_the_traffic() -> None:
    found = declared(config(candidateProvider="runpod", candidatePercent="10"))
    assert set(found) - NAMES == {"verify-runpod"}
    split = {v["provider"]: v["percent"] for v in found["traffic"].inputs["versions"]}
    assert split == {"scenario": 90, "runpod": 10}


def test_only_what_is_taken_over_is_imported() -> None:
    """With the ids that the official plugin documents: account/worker and account/bucket/jurisdiction."""
    account = VALUES["accountId"]
    adopted = declared(config(adoptWorkerId="5" * 32, assetBucket="legacy", adoptBucket="legacy"))
    imported = {name: args.resource_id for name, args in adopted.items() if args.resource_id}
    assert imported == {"gateway-worker": f"{account}/{'5' * 32}", "assets-bucket": f"{account}/legacy/default"}
    assert not any(args.resource_id for args in declared(config()).values())


@pytest.mark.parametrize(
    ("access", "resource", "base_url"),
    [
        ("worker", None, ""),
        ("r2dev", "assets-r2dev", "https://pub-1.r2.dev"),
        ("assets.example.com", "assets-domain", "https://assets.example.com"),
    ],
)
def test_assets_are_published_in_one_place(access: str, resource: str | None, base_url: str) -> None:
    found = declared(config(assetPublicAccess=access, zoneId="f" * 32))
    assert set(found) - NAMES == ({resource} if resource else set())
    assert base_url in json.dumps(found["gateway-scenario"].inputs["bindings"])


def test_lifecycle_rules_come_in_the_order_in_which_the_official_plugin_keeps_them() -> None:
    rules = declared(config(assetRetentionDays="30"))["assets-lifecycle"].inputs["rules"]
    ids = [rule["id"] for rule in rules]
    assert ids == sorted(ids)
    assert len(ids) == 5


def test_a_custom_domain_is_the_gateways_address_only_where_workers_dev_is_off() -> None:
    both = declared(config(customDomain="images.example.com", zoneId="f" * 32))
    assert both["gateway-domain"].inputs["hostname"] == "images.example.com"
    assert both["traffic"].inputs["gatewayUrl"] != "https://images.example.com"
    alone = declared(config(customDomain="images.example.com", zoneId="f" * 32, workersDev="false"))
    assert alone["traffic"].inputs["gatewayUrl"] == "https://images.example.com"
