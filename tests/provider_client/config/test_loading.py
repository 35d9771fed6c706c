"""A stack's configuration is accepted whole, or refused with the key, the reason and the command that mends it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provider_client.config import NAMESPACE, StackConfig, load
from provider_client.config.keys import credential_variables
from provider_client.config.loading import KEYS
from provider_client.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
SECRET_KEYS = {"gatewayTokens", "jobSigningKeys", "runpodManagementApiKey", *credential_variables()}
COMPLETE = {
    "accountId": "0123456789abcdef0123456789abcdef",
    "gatewayTokens": '["fake-token"]',
    "jobSigningKeys": '["fake-key"]',
    "scenarioApiKey": "fake-scenario-key",
    "scenarioSecretApiKey": "fake-scenario-secret",
}
WITH_RUNPOD = {**COMPLETE, "runpodApiKey": "fake-runpod-key", "runpod": '{"image": "example.com/worker:1"}'}


def loaded(values: dict[str, str], stack: str = "dev") -> StackConfig:
    return load(values, stack=stack, secret_keys=SECRET_KEYS)


def refusal(values: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        loaded(values)
    return str(refused.value)


def test_the_smallest_configuration_serves_with_scenario() -> None:
    """Names default to project and stack; only providers with all their keys are deployed."""
    config = loaded(COMPLETE)
    assert config.image_generation_provider == "scenario"
    assert config.configured_providers() == ("scenario",)
    assert config.resolved_worker_name == "image-generation-dev"
    assert config.resolved_bucket_name == "image-generation-dev-assets"


def test_numbers_and_switches_come_as_text() -> None:
    """Pulumi hands every scalar over as text."""
    config = loaded({**WITH_RUNPOD, "candidateProvider": "runpod", "candidatePercent": "10", "workersDev": "true"})
    assert config.candidate_percent == 10
    assert config.named_providers == ("scenario", "runpod")


@pytest.mark.parametrize(
    ("provider", "candidate", "workers"), [("runpod", None, 2), ("scenario", "runpod", 2), ("scenario", None, 1)]
)
def test_runpod_is_warm_only_while_it_is_needed(provider: str, candidate: str | None, workers: int) -> None:
    """`workersMin` while it is live or candidate, `standbyWorkersMin` otherwise."""
    runpod = {"image": "example.com/worker:1", "workersMin": 2, "standbyWorkersMin": 1}
    values = {**WITH_RUNPOD, "runpod": json.dumps(runpod), "imageGenerationProvider": provider}
    if candidate:
        values["candidateProvider"] = candidate
    assert loaded(values).runpod_workers_min == workers


def test_the_bucket_is_protected_in_production_unless_said_otherwise() -> None:
    """Production protects by default, other stacks do not."""
    assert loaded(COMPLETE, "prod").bucket_is_protected
    assert not loaded(COMPLETE, "dev").bucket_is_protected
    assert not loaded({**COMPLETE, "protectAssetBucket": "false"}, "prod").bucket_is_protected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"imageGenerationProvider": "runpd"}, ["imageGenerationProvider is 'runpd'", "Did you mean runpod?"]),
        ({"imageGenerationProvider": "comfyui"}, ["comfyuiEndpoint is not set", "--secret comfyuiEndpoint"]),
        ({"candidateProvider": "scenario"}, ["which is live already", "pulumi config rm candidateProvider"]),
        ({"candidatePercent": "5"}, ["without candidateProvider"]),
        ({"candidatePercent": "100"}, ["must be at most 99"]),
        ({"imageGenerationprovider": "runpod"}, ["Did you mean imageGenerationProvider?"]),
        ({"accountId": "mine"}, ["32 hexadecimal digits", "pulumi config set accountId"]),
        ({"customDomain": "api.example.com"}, ["customDomain needs zoneId"]),
        (
            {"customDomain": "api.example.com", "assetPublicAccess": "api.example.com", "zoneId": "f" * 32},
            ["cannot lead to the Worker and to the bucket", "assetPublicAccess worker"],
        ),
        ({"workersDev": "false"}, ["the gateway would have no address"]),
        ({"assetPublicAccess": "assets.example.com"}, ["needs zoneId"]),
        ({"runpod": '{"idleTimeoutSeconds": 0, "image": "x"}'}, ["runpod.idleTimeoutSeconds is 0", "at least 1"]),
        ({"runpod": '{"workersMin": 4, "image": "x"}'}, ["more than runpod.workersMax (3)"]),
        ({"runpod": '{"mode": "existing"}'}, ["needs runpod.endpointId"]),
        ({"runpod": "{}"}, ["runpod.image is missing"]),
        (
            {"runpod": '{"image": "x", "scaling": {"type": "REQUEST_COUNT"}, "idleTimeoutSeconds": 9}'},
            ["runpod.idleTimeoutSeconds does not apply", "pulumi config rm --path runpod.idleTimeoutSeconds"],
        ),
        (
            {"runpod": '{"image": "x", "scaling": {"type": "REQUEST_COUNT", "value": 1.5}}'},
            ["runpod.scaling.value must be a whole number"],
        ),
        ({"runpod": '{"image": "x", "env": {"SWITCHBACK_MARKER": "1"}}'}, ["runpod.env", "Switchback itself"]),
        ({"runpod": '{"workerMin": 1, "image": "x"}'}, ["Did you mean runpod.workersMin?"]),
        ({"verification": '{"operations": ["paint"]}'}, ["verification.operations[0]", "must be one of"]),
        ({"candidatePercent": "12.5"}, ["candidatePercent", "whole number"]),  # as Pulumi.yaml declares it
        ({"verification": '{"candidateAsets": 4}'}, ["Did you mean verification.candidateAssets?"]),
        (
            {"runpod": '{"image": "x", "scaling": {"typ": "X"}}'},
            ["runpod.scaling.typ is not a key of runpod.scaling"],
        ),
        ({"runpod": '{"image": "x", "workers_min": 1}'}, ["Did you mean runpod.workersMin?"]),
        (
            {"runpod.image": "x"},
            ["without --path", "rm runpod.image && pulumi config set --path runpod.image"],
        ),
        ({"gatewayTokens[1]": "x"}, ["without --path", "pulumi config set --secret --path 'gatewayTokens[1]'"]),
        (
            {"verification": '{"budgets": {"txt2im": 5}}'},
            ["budgets.txt2im is not known", "config rm --path"],
        ),
        ({"verification": '{"budgets": {"txt2img": 0}}'}, ["verification.budgets.txt2img is 0", "more than 0"]),
        ({"verification": '{"maxSpendUsd": Infinity}'}, ["verification.maxSpendUsd", "finite number"]),
        ({"scenario": '{"costPerImageUsd": NaN}'}, ["scenario.costPerImageUsd", "finite number"]),
        ({"baseUrls": '{"cloudflare": "http://[::1"}'}, ["baseUrls.cloudflare", "http:// or https://"]),
        ({"comfyuiEndpoint": "comfyui.example.com"}, ["comfyuiEndpoint must be an address"]),
        ({"preSwitchCommands": "pnpm test"}, ["pulumi config set --path 'preSwitchCommands[0]'"]),
        ({"scenario": "cheap"}, ["must be a group of keys", "pulumi config set --path 'scenario.<key>'"]),
        ({"runpod": '{"image": "x", "endpointId": "abc"}'}, ["runpod.mode is managed", "runpod.mode existing"]),
        (
            {"imageGenerationProvider": "RunPod"},
            ["Did you mean runpod?", "pulumi config set imageGenerationProvider"],
        ),
        ({"workerName": "a" * 55}, ["workerName", "2 to 54"]),
        ({"scenario": "[" * 100_000}, ["scenario", "must be a group of keys"]),
        ({"workflows": '{"steps": ' + "9" * 5000 + "}"}, ["workflows", "must be a group of keys"]),
        (
            {"runpod": '{"image": "x", "workersMax": ' + "9" * 400 + "}"},
            ["runpod.workersMax", "at most 2,147,483,647"],
        ),
    ],
)
def test_a_mistake_is_explained(change: dict[str, str], words: list[str]) -> None:
    """Each message names the key, what is allowed, and a command."""
    message = refusal({**COMPLETE, **change})
    for expected in words:
        assert expected in message


def test_a_secret_in_plain_text_is_refused_without_showing_it() -> None:
    """The value is nowhere in the message."""
    with pytest.raises(ConfigError) as refused:
        load(COMPLETE, stack="dev", secret_keys=SECRET_KEYS - {"scenarioApiKey"})
    assert "scenarioApiKey is stored in plain text" in str(refused.value)
    assert "fake-scenario-key" not in str(refused.value)


@pytest.mark.parametrize("secret", ["", "  ", "fake-token\n", "fake token", "schl\u00fcssel"])
@pytest.mark.parametrize("key", ["gatewayTokens", "jobSigningKeys"])
def test_a_secret_that_nobody_can_send_is_refused(key: str, secret: str) -> None:
    """An empty token would let everybody in; the message does not show what it is about."""
    message = refusal({**COMPLETE, key: json.dumps(["fake-first", secret])})
    assert f"{key}[1] must be a text of visible ASCII characters" in message
    assert "fake" not in message


@pytest.mark.parametrize(
    "runpod",
    [
        "planted-7c1e",
        '["planted-7c1e"]',
        '{"image": "x", "env": "planted-7c1e"}',
        '{"image": "x", "env": ["planted-7c1e"]}',
        '{"image": "x", "env": {"TOKEN": {"secure": "planted-7c1e"}}}',
        '{"image": "x", "gpuTypes": {"TOKEN": "planted-7c1e"}}',
    ],
)
def test_what_may_hold_a_secret_is_not_shown(runpod: str) -> None:
    """A container's environment is plain text in the stack file, and still nobody else's business."""
    assert "planted-7c1e" not in refusal({**WITH_RUNPOD, "runpod": runpod})


def test_the_value_of_a_key_that_is_stored_encrypted_is_not_shown() -> None:
    """Whatever it is that somebody wanted to hide."""
    with pytest.raises(ConfigError) as refused:
        load({**COMPLETE, "accountId": "planted-7c1e"}, stack="dev", secret_keys=SECRET_KEYS | {"accountId"})
    assert "accountId must be" in str(refused.value)
    assert "planted-7c1e" not in str(refused.value)


@pytest.mark.parametrize("stack", ["Prod_EU", "dev.1", "s" * 60])
def test_a_stacks_name_that_makes_no_name_is_refused(stack: str) -> None:
    """Cloudflare would refuse it half-way; names of one's own make any stack's name fit."""
    with pytest.raises(ConfigError, match="pulumi config set workerName <name>"):
        loaded(COMPLETE, stack)
    assert loaded({**COMPLETE, "workerName": "gateway", "assetBucket": "gateway-assets"}, stack)


def test_runpod_without_workers_cannot_be_needed() -> None:
    """Beside another provider it may sleep for good."""
    asleep = {**WITH_RUNPOD, "runpod": '{"image": "x", "workersMax": 0}'}
    assert "could run no job" in refusal({**asleep, "candidateProvider": "runpod"})
    assert loaded(asleep)


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody has to mend them one preview at a time."""
    message = refusal({"accountId": "x", "unknownKey": "1"})
    for key in ("accountId", "unknownKey", "gatewayTokens", "jobSigningKeys"):
        assert key in message


@pytest.mark.parametrize("stack", ["prod", "local"])
def test_the_committed_stack_files_hold_known_keys(stack: str) -> None:
    """Pulumi.prod.yaml and Pulumi.local.yaml name only keys of the model."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    own = {key.removeprefix(f"{NAMESPACE}:") for key in config if key.startswith(NAMESPACE)}
    assert own <= set(KEYS) | set(credential_variables())


def test_the_defaults_that_pulumi_shows_are_the_models() -> None:
    """Pulumi.yaml declares type and default of some keys for `pulumi config`; both are the model's."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    for key, declaration in declared.items():
        if ":" in key:
            continue
        field = StackConfig.model_fields[KEYS[key]]
        assert declaration["default"] == field.default, key
        assert declaration["description"].startswith(str(field.description)), key


texts = st.text(max_size=20) | st.sampled_from(
    ["runpod", "scenario", "{", "[]", '{"image": 1}', "-1", "1e999", "NaN", "[" * 100_000, "[" + "9" * 5000 + "]"]
)


@given(st.dictionaries(st.sampled_from([*KEYS, *credential_variables(), "nonsense"]), texts, max_size=6))
def test_no_input_makes_a_traceback(values: dict[str, str]) -> None:
    """Whatever is in the stack file, the answer is a configuration or a ConfigError."""
    with contextlib.suppress(ConfigError):
        loaded({**COMPLETE, **values})
