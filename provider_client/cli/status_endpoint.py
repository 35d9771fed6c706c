"""The RunPod part of `switchback status`: asked beside all the rest, so that it neither delays nor hides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from provider_client.cli.context import Context
from provider_client.cli.stack_values import read_stack_values
from provider_client.clock import SystemClock
from provider_client.errors import SwitchbackError
from provider_client.rollout.endpoint_truth import EndpointState, EndpointTruth, declared_endpoint, look
from provider_client.rollout.status import declared_from
from provider_client.runpod_management import RunPodManagementApi, default_base_url

LOOK_UP_SECONDS = 5.0
NO_KEY = "there is no RUNPOD_API_KEY in the environment or .env (--stack-secrets takes the stack's own key)"

Question = Callable[[], EndpointTruth]


def prepare(context: Context, stack: str | None, name: str | None, *, stack_secrets: bool) -> Question | None:
    """What answers how RunPod's endpoint is, for a thread of its own; None where the stack deploys none.

    Without `stack_secrets` nothing is decrypted: the key is the environment's.
    """
    config = context.stack_config(stack)
    declared = declared_from(config)
    if stack is None or name is None or declared is None or not {"runpod", "runpodApiKey"} <= config.keys():
        return None
    try:
        section, key = _with_secrets(context, stack) if stack_secrets else _plain(context, config)
        if not key:
            return lambda: EndpointTruth(EndpointState.NOT_LOOKED_AT, NO_KEY)
        wanted = declared_endpoint(section, declared, name)
        api = RunPodManagementApi(
            key,
            http=context.http,
            clock=SystemClock(),
            base_url=_base_url(config) or default_base_url(context.environment),
            deadline_seconds=LOOK_UP_SECONDS,
        )
    except SwitchbackError as error:
        unable = _not_looked_at(error)
        return lambda: unable

    def ask() -> EndpointTruth:
        try:
            return look(api, wanted)
        except SwitchbackError as error:
            return _not_looked_at(error)

    return ask


def say(context: Context, truth: EndpointTruth) -> None:
    which = f" (endpoint {truth.endpoint_id})" if truth.endpoint_id else ""
    bad = truth.state in (EndpointState.DRIFTED, EndpointState.NOT_FOUND)
    context.say(f"runpod: {truth.state}{which}", style="bold red" if bad else None)
    for sentence in (*truth.drift.values(), *truth.detail.splitlines()):
        context.say(f"        {sentence}")
    if bad:
        context.say("        pulumi preview shows what pulumi up would set right")


def as_json(truth: EndpointTruth) -> dict[str, object]:
    return {**asdict(truth), "state": str(truth.state)}


def _plain(context: Context, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    section = config["runpod"]
    return section if isinstance(section, Mapping) else {}, context.environment.get("RUNPOD_API_KEY")


def _with_secrets(context: Context, stack: str) -> tuple[Mapping[str, Any], str | None]:
    stored = read_stack_values(context, stack)
    if stored.incomplete:
        raise stored.incomplete
    values = stored.values
    return stored.section("runpod"), values.get("runpodManagementApiKey") or values.get("runpodApiKey")


def _base_url(config: Mapping[str, Any]) -> str | None:
    addresses = config.get("baseUrls")
    address = addresses.get("runpodManagement") if isinstance(addresses, Mapping) else None
    return address if isinstance(address, str) else None


def _not_looked_at(error: SwitchbackError) -> EndpointTruth:
    return EndpointTruth(EndpointState.NOT_LOOKED_AT, error.message)
