"""From what Pulumi hands over to a StackConfig, or to one error that names every key to mend and how."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from provider_client import NAMESPACE
from provider_client.config.keys import RunPod, StackConfig, credential_variables
from provider_client.errors import ConfigError
from provider_client.gpu_catalog import packaged_catalog
from provider_client.providers import PROVIDERS
from provider_client.runpod_settings import problems as endpoint_problems

NOT_KEYS = ("stack", "credentials")
KEYS = {
    field.alias: name for name, field in StackConfig.model_fields.items() if field.alias and name not in NOT_KEYS
}

HOST_NAME = "a host name such as images.example.com"
PATTERNS = {
    "accountId": "the 32 hexadecimal digits that the Cloudflare dashboard shows in its address",
    "workerName": "up to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit",
    "adoptBucket": "the name of a bucket",
    "customDomain": HOST_NAME,
    "assetPublicAccess": f"worker, r2dev, or {HOST_NAME}",
    "assetBucket": "3 to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit",
}
EXPECTED = {  # pydantic's error types in our words
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "string_type": "must be a text",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "model_type": "must be a group of keys",
    "dict_type": "must be a group of keys",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
}


def load(values: Mapping[str, str], *, stack: str, secret_keys: Collection[str]) -> StackConfig:
    """Validate a stack's configuration once.

    `values` are the keys of the project namespace without their prefix, as Pulumi gives them (objects as JSON);
    `secret_keys` those that are stored encrypted. Raises ConfigError with one line per problem.
    """
    problems = [*_unknown(values), *_plain_secrets(values, secret_keys)]
    parsed = {key: _parse(value) for key, value in values.items() if key in KEYS}
    variables = credential_variables()
    credentials = {variables[key]: value for key, value in values.items() if key in variables and value}
    try:
        config = StackConfig(stack=stack, credentials=credentials, **parsed)
    except ValidationError as error:
        problems += [_explain(detail) for detail in error.errors(include_url=False)]
    else:
        problems += _contradictions(config)
        if not problems:
            return config
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise ConfigError(f"the configuration of stack {stack} cannot be used:\n{listed}")


def _parse(value: str) -> Any:
    """Sections, lists and maps arrive as JSON text, scalars as they are; pydantic converts those."""
    if not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _unknown(values: Mapping[str, str]) -> Iterator[str]:
    known = {*KEYS, *credential_variables()}
    for key in sorted(set(values) - known):
        near = difflib.get_close_matches(key, known, n=1)
        suggestion = f" Did you mean {near[0]}?" if near else ""
        yield f"{NAMESPACE}:{key} is not a key of this project.{suggestion} Remove it: pulumi config rm {key}"


def _plain_secrets(values: Mapping[str, str], secret_keys: Collection[str]) -> Iterator[str]:
    for key in values:
        if _is_secret(key) and key not in secret_keys:
            command = _set_command(key, secret=True)
            yield f"{NAMESPACE}:{key} is stored in plain text. Store it encrypted: {command}"


def _is_secret(key: str) -> bool:
    if key in KEYS:
        return "SecretStr" in str(StackConfig.model_fields[KEYS[key]].annotation)
    return key in credential_variables()


def _explain(detail: ErrorDetails) -> str:
    """One pydantic error as: key, value (unless secret), what is allowed, the command."""
    path = _dotted(detail["loc"])
    key = path.split(".")[0].split("[")[0]
    secret = _is_secret(key)
    if detail["type"] == "missing":
        return f"{NAMESPACE}:{path} is missing. Set it: {_set_command(path, secret=secret)}"
    if detail["type"] == "extra_forbidden":
        return f"{NAMESPACE}:{path} is not a key of {key}. {_suggest(path)}"
    value = "" if secret else f" is {json.dumps(detail['input'], default=str)},"
    return f"{NAMESPACE}:{path}{value} {_expected(detail, path)}. Set it: {_set_command(path, secret=secret)}"


def _expected(detail: ErrorDetails, path: str) -> str:
    """What would have been accepted, in words."""
    if path in PATTERNS:
        return f"must be {PATTERNS[path]}"
    words = EXPECTED.get(detail["type"], "is not accepted: {message}")
    return words.format(message=detail["msg"], **(detail.get("ctx") or {}))


def _dotted(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "stack"]
    return "".join(parts).lstrip(".")


def _suggest(path: str) -> str:
    section, _, wrong = path.rpartition(".")
    known = [field.alias for field in RunPod.model_fields.values() if field.alias] if section == "runpod" else []
    near = difflib.get_close_matches(wrong, known, n=1)
    hint = f"Did you mean {section}.{near[0]}? " if near else ""
    return f"{hint}Remove it: pulumi config rm --path {path}"


def _set_command(path: str, *, secret: bool) -> str:
    quoted = f"'{path}'" if "[" in path else path
    parts = [
        "pulumi config set",
        "--secret" if secret else "",
        "--path" if "." in path or "[" in path else "",
        quoted,
    ]
    if path in ("gatewayTokens", "jobSigningKeys"):
        return f"pulumi config set --secret --path '{path}[0]' \"$(openssl rand -hex 32)\""
    return " ".join([part for part in parts if part] + ["<value>"])


def _contradictions(config: StackConfig) -> Iterator[str]:
    """What no single key can know."""
    yield from _providers(config)
    if config.candidate_provider == config.image_generation_provider:
        yield (
            f"{NAMESPACE}:candidateProvider is {config.candidate_provider}, which is live already. "
            "Remove it: pulumi config rm candidateProvider"
        )
    if config.candidate_percent and not config.candidate_provider:
        remove = "pulumi config rm candidatePercent"
        yield f"{NAMESPACE}:candidatePercent is set without candidateProvider. Remove it: {remove}"
    if config.custom_domain and not config.zone_id:
        yield f"{NAMESPACE}:customDomain needs zoneId. Set it: pulumi config set zoneId <id of the zone>"
    if not config.workers_dev and not config.custom_domain:
        yield f"{NAMESPACE}:workersDev is false and there is no customDomain: the gateway would have no address"
    if config.asset_public_access not in ("worker", "r2dev") and not config.zone_id:
        yield f"{NAMESPACE}:assetPublicAccess is a domain and needs zoneId. Set it: pulumi config set zoneId <id>"
    if config.adopt_bucket and config.adopt_bucket != config.resolved_bucket_name:
        yield (
            f"{NAMESPACE}:adoptBucket is {config.adopt_bucket}, but the stack's bucket is "
            f"{config.resolved_bucket_name}. Set it: pulumi config set assetBucket {config.adopt_bucket}"
        )
    if config.runpod is not None:
        yield from list(_runpod(config.runpod)) or _endpoint(config, config.runpod)


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
            near = difflib.get_close_matches(name, missing, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            yield f"{NAMESPACE}:{key} is {name!r}, which is no known provider ({', '.join(missing)}).{hint}"
        elif missing[name]:
            keys = " and ".join(missing[name])
            others = [other for other in ready if other != name]
            hint = f" (the keys of {', '.join(others)} are set: did you mean {others[0]}?)" if others else ""
            command = _set_command(missing[name][0], secret=missing[name][0] != "runpod")
            if missing[name][0] == "runpod":
                command = "pulumi config set --path runpod.image <image>"
            yield f"{NAMESPACE}:{key} is {name}, but {keys} is not set{hint}. Set it: {command}"
        elif lost := set(config.verification.operations) - PROVIDERS[name].operations:
            yield (
                f"{NAMESPACE}:{key} is {name}, which cannot do {', '.join(sorted(lost))}. If your users do without, "
                "say what remains in use: pulumi config set --path 'verification.operations[0]' <operation>"
            )


def _runpod(runpod: RunPod) -> Iterator[str]:
    if runpod.mode == "existing" and not runpod.endpoint_id:
        yield f"{NAMESPACE}:runpod.mode is existing and needs runpod.endpointId. Set it: " + _set_command(
            "runpod.endpointId", secret=False
        )
    if runpod.mode == "managed" and not runpod.image:
        yield f"{NAMESPACE}:runpod.image is missing. Set it: {_set_command('runpod.image', secret=False)}"
    for key, value in (("workersMin", runpod.workers_min), ("standbyWorkersMin", runpod.standby_workers_min)):
        if value > runpod.workers_max:
            yield (
                f"{NAMESPACE}:runpod.{key} is {value}, more than runpod.workersMax ({runpod.workers_max}). "
                f"Set it: {_set_command('runpod.workersMax', secret=False)}"
            )


def _endpoint(config: StackConfig, runpod: RunPod) -> Iterator[str]:
    """What RunPod would refuse; GPU types are held against its live catalog, at preview."""
    if runpod.mode == "existing":
        return
    settings = runpod.endpoint_settings(name=config.resolved_worker_name, workers_min=config.runpod_workers_min)
    del settings["gpuTypes"]
    for problem in endpoint_problems(settings, packaged_catalog()):
        path = f"runpod.{problem.property}"
        command = f"{_set_command(path, secret=False)} (or pulumi config rm --path {path})"
        yield f"{NAMESPACE}:{path} {problem.reason}. Set it: {command}"
