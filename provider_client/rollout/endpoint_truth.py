"""RunPod's endpoint beside what the stack declares, for `switchback status`: without Pulumi, without its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from provider_client import runpod_settings as rules
from provider_client.config.keys import RunPod
from provider_client.errors import ConfigError, SwitchbackError
from provider_client.gpu_catalog import GpuCatalog, packaged_catalog
from provider_client.rollout.phases import Declared
from provider_client.runpod_management import RunPodManagementApi
from provider_client.runpod_wire import from_wire, newest_release_in_words

ENCRYPTED = "(encrypted)"  # a value of `env` that only Pulumi could read: it is taken to be as it should


class EndpointState(StrEnum):
    AS_DECLARED = "as declared"
    DRIFTED = "drifted"
    NOT_FOUND = "not found"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True)
class DeclaredEndpoint:
    """`settings` as `runpod_settings` has them, `name` among them; only `endpoint_id` for one that is merely used."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    endpoint_id: str | None = None


@dataclass(frozen=True)
class EndpointTruth:
    """`drift` holds one sentence for each setting that is not as declared."""

    state: EndpointState
    detail: str = ""
    endpoint_id: str | None = None
    drift: Mapping[str, str] = field(default_factory=dict)


def declared_endpoint(section: Mapping[str, Any], declared: Declared, name: str) -> DeclaredEndpoint:
    """From the stack's `runpod` section. ConfigError where it is wrong, or encrypted as a whole."""
    env = section.get("env")
    if isinstance(env, Mapping):
        section = {**section, "env": {k: v if isinstance(v, str) else ENCRYPTED for k, v in env.items()}}
    try:
        runpod = RunPod.model_validate(section)
    except ValidationError:
        raise ConfigError("the stack's runpod section cannot be used", fix="switchback doctor") from None
    if runpod.mode == "existing":
        return DeclaredEndpoint(endpoint_id=runpod.endpoint_id)
    needed = "runpod" in (declared.provider, declared.candidate)
    workers_min = runpod.workers_min if needed else runpod.standby_workers_min
    settings = runpod.endpoint_settings(name=name, workers_min=workers_min)
    return DeclaredEndpoint(rules.with_defaults(settings))


def compare(
    declared: DeclaredEndpoint, endpoints: Sequence[Mapping[str, Any]], catalog: GpuCatalog
) -> EndpointTruth:
    """`endpoints` as RunPod's API lists them."""
    wanted = declared.endpoint_id or declared.settings.get("name")
    key = "id" if declared.endpoint_id else "name"
    endpoint = next((one for one in endpoints if one.get(key) == wanted), None)
    if endpoint is None:
        return EndpointTruth(
            EndpointState.NOT_FOUND,
            f"RunPod has no endpoint with the {key} {wanted} for this key: it is gone (deleted, renamed), was never "
            "made, or belongs to another account",
            declared.endpoint_id,
        )
    live = from_wire(endpoint, catalog)
    drift = _of_used(live) if declared.endpoint_id else _of_managed(declared.settings, live)
    state = EndpointState.DRIFTED if drift else EndpointState.AS_DECLARED
    return EndpointTruth(state, endpoint_id=str(endpoint["id"]), drift=drift)


def look(api: RunPodManagementApi, declared: DeclaredEndpoint) -> EndpointTruth:
    """One request; a second one where the first shows a drift that it explains. Raises what the first one raises."""
    endpoints = api.endpoints()
    truth = compare(declared, endpoints, packaged_catalog())
    with suppress(SwitchbackError):
        if "gpuTypes" in truth.drift:  # RunPod's pools may have changed since the packaged catalog was made
            truth = compare(declared, endpoints, api.gpu_catalog())
        if rules.rolls_workers(truth.drift) and truth.endpoint_id:
            truth = replace(truth, detail=newest_release_in_words(api.releases(truth.endpoint_id)))
    return truth


def _of_managed(settings: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, str]:
    env = {
        key: live["env"].get(key, value) if value == ENCRYPTED else value for key, value in settings["env"].items()
    }
    return rules.drift_in_words({**settings, "env": env}, live, happened="declared → live")


def _of_used(live: Mapping[str, Any]) -> dict[str, str]:
    """Nothing is declared of it; but an endpoint without workers serves nobody."""
    if live["workersMax"] > 0:
        return {}
    return {"workersMax": "workersMax is 0: no job can run until its owner raises it"}
