"""What no single key can know: keys that do not go together, and names that follow from the stack's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from provider_client.config.keys import BucketName, RunPod, StackConfig, WorkerName, credential_key, is_web_address
from provider_client.config.sentences import (
    PATTERNS,
    TOKEN_LISTS,
    did_you_mean,
    key_named,
    remove_command,
    set_command,
)
from provider_client.gpu_catalog import packaged_catalog
from provider_client.providers import PROVIDERS
from provider_client.runpod_settings import problems as endpoint_problems

SENDABLE = re.compile(r"[\x21-\x7e]+")  # in a header, whatever carries it


def contradictions(config: StackConfig) -> Iterator[str]:
    yield from _providers(config)
    yield from _traffic(config)
    yield from _addresses(config)
    yield from _names(config)
    yield from _secrets(config)
    if config.runpod is not None:
        yield from list(_runpod(config, config.runpod)) or _endpoint(config, config.runpod)


def _providers(config: StackConfig) -> Iterator[str]:
    missing = config.missing_credentials()
    ready = config.configured_providers()
    for key, name in (
        ("imageGenerationProvider", config.image_generation_provider),
        ("candidateProvider", config.candidate_provider),
    ):
        if name is None:
            continue
        if name not in missing:
            hint = did_you_mean(name, missing)
            command = set_command(key, f"<{' | '.join(missing)}>")
            known = ", ".join(missing)
            yield f"{key_named(key)} is {name!r}, which is no known provider ({known}).{hint} Set it: {command}"
        elif missing[name]:
            keys = " and ".join(missing[name])
            others = [other for other in ready if other != name]
            hint = f" (the keys of {', '.join(others)} are set: did you mean {others[0]}?)" if others else ""
            command = set_command(missing[name][0], secret=True)
            if missing[name][0] == "runpod":
                command = set_command("runpod.image", "<image>")
            yield f"{key_named(key)} is {name}, but {keys} is not set{hint}. Set it: {command}"
        elif lost := set(config.verification.operations) - PROVIDERS[name].operations:
            command = set_command("verification.operations[0]", "<operation>")
            yield (
                f"{key_named(key)} is {name}, which cannot do {', '.join(sorted(lost))}. If your users do without, "
                f"say what remains in use. Set it: {command}"
            )


def _traffic(config: StackConfig) -> Iterator[str]:
    if config.candidate_provider == config.image_generation_provider:
        yield (
            f"{key_named('candidateProvider')} is {config.candidate_provider}, which is live already. "
            f"Remove it: {remove_command('candidateProvider')}"
        )
    if config.candidate_percent and not config.candidate_provider:
        command = remove_command("candidatePercent")
        yield f"{key_named('candidatePercent')} is set without candidateProvider. Remove it: {command}"


def _addresses(config: StackConfig) -> Iterator[str]:
    command = set_command("zoneId", "<id of the zone>")
    if config.custom_domain and not config.zone_id:
        yield f"{key_named('customDomain')} needs zoneId. Set it: {command}"
    if config.custom_domain and config.custom_domain == config.asset_public_access:
        yield (
            f"{key_named('customDomain')} and assetPublicAccess are both {config.custom_domain}, which cannot lead to "
            f"the Worker and to the bucket. The Worker serves assets as well. "
            f"Set it: {set_command('assetPublicAccess', 'worker')}"
        )
    if config.asset_public_access not in ("worker", "r2dev") and not config.zone_id:
        yield f"{key_named('assetPublicAccess')} is a domain and needs zoneId. Set it: {command}"
    if not config.workers_dev and not config.custom_domain:
        yield (
            f"{key_named('workersDev')} is false and there is no customDomain: the gateway would have no address. "
            f"Set it: {set_command('customDomain', '<host name>')}"
        )


def _names(config: StackConfig) -> Iterator[str]:
    """The defaults follow the stack's name, which may hold what a Worker's or a bucket's may not."""
    for key, name, allowed in (
        ("workerName", config.resolved_worker_name, WorkerName),
        ("assetBucket", config.resolved_bucket_name, BucketName),
    ):
        try:
            TypeAdapter(allowed).validate_python(name)
        except ValidationError:
            yield (
                f"{key_named(key)} is not set, and {name}, which follows from the stack's name, cannot be used: it "
                f"must be {PATTERNS[key]}. Set it: {set_command(key, '<name>')}"
            )
    if config.adopt_bucket and config.adopt_bucket != config.resolved_bucket_name:
        yield (
            f"{key_named('adoptBucket')} is {config.adopt_bucket}, but the stack's bucket is "
            f"{config.resolved_bucket_name}. Set it: {set_command('assetBucket', config.adopt_bucket)}"
        )


def _secrets(config: StackConfig) -> Iterator[str]:
    """An empty token lets everybody in; a line end that was pasted along fails deep inside of a call."""
    found = {credential_key(variable): secret for variable, secret in config.credentials.items()}
    if config.runpod_management_api_key is not None:
        found["runpodManagementApiKey"] = config.runpod_management_api_key
    for key, secrets in zip(TOKEN_LISTS, (config.gateway_tokens, config.job_signing_keys), strict=True):
        found |= {f"{key}[{index}]": secret for index, secret in enumerate(secrets)}
    for path, secret in found.items():
        value, command = secret.get_secret_value(), set_command(path, secret=True)
        if not SENDABLE.fullmatch(value):
            yield (
                f"{key_named(path)} must be a text of visible ASCII characters: it is empty, or holds a space, a line "
                f"end or an accent. Set it: {command}"
            )
        elif path == "comfyuiEndpoint" and not is_web_address(value):
            yield f"{key_named(path)} must be an address such as https://comfyui.example.com. Set it: {command}"


def _runpod(config: StackConfig, runpod: RunPod) -> Iterator[str]:
    if runpod.mode == "existing" and not runpod.endpoint_id:
        command = set_command("runpod.endpointId")
        yield f"{key_named('runpod.mode')} is existing and needs runpod.endpointId. Set it: {command}"
    if runpod.mode == "managed" and runpod.endpoint_id:
        yield (
            f"{key_named('runpod.endpointId')} is set, but runpod.mode is managed: the stack would make another "
            f"endpoint. Set it: {set_command('runpod.mode', 'existing')} (or {remove_command('runpod.endpointId')})"
        )
    if runpod.mode == "managed" and not runpod.image:
        yield f"{key_named('runpod.image')} is missing. Set it: {set_command('runpod.image')}"
    for key, value in (("workersMin", runpod.workers_min), ("standbyWorkersMin", runpod.standby_workers_min)):
        if value > runpod.workers_max:
            yield (
                f"{key_named(f'runpod.{key}')} is {value}, more than runpod.workersMax ({runpod.workers_max}). "
                f"Set it: {set_command('runpod.workersMax')}"
            )
    if runpod.mode == "managed" and not runpod.workers_max and "runpod" in config.named_providers:
        yield (
            f"{key_named('runpod.workersMax')} is 0: RunPod is live or candidate and could run no job. "
            f"Set it: {set_command('runpod.workersMax')}"
        )


def _endpoint(config: StackConfig, runpod: RunPod) -> Iterator[str]:
    """What RunPod would refuse; GPU types are held against its live catalog, at preview."""
    if runpod.mode == "existing":
        return
    settings = runpod.endpoint_settings(name=config.resolved_worker_name, workers_min=config.runpod_workers_min)
    del settings["gpuTypes"]
    for problem in endpoint_problems(settings, packaged_catalog()):
        path = f"runpod.{problem.property}"
        commands = f"{set_command(path)} (or {remove_command(path)})"
        yield f"{key_named(path)} {problem.reason}. Set it: {commands}"
