"""From what Pulumi hands over to a StackConfig, or to one error that names every key to mend and how."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from provider_client.config.contradictions import contradictions
from provider_client.config.keys import StackConfig, credential_variables, section_of
from provider_client.config.sentences import (
    PATTERNS,
    TOKEN_LISTS,
    did_you_mean,
    key_named,
    remove_command,
    set_command,
)
from provider_client.errors import ConfigError

NOT_KEYS = ("stack", "credentials")
KEYS = {
    field.alias: name for name, field in StackConfig.model_fields.items() if field.alias and name not in NOT_KEYS
}

EXPECTED = {  # pydantic's error types in our words
    "greater_than_equal": "must be at least {ge:,.12g}",
    "greater_than": "must be more than {gt:,.12g}",
    "less_than_equal": "must be at most {le:,.12g}",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "model_type": "must be a group of keys",
    "dict_type": "must be a group of keys",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "web_address": "must be an address that begins with http:// or https://",
}
INSIDE = {"tuple_type": "[0]", "too_short": "[0]", "model_type": ".<key>", "dict_type": ".<key>"}
LONGEST_VALUE = 60  # of what is shown


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
        problems += [_explain(detail, secret_keys) for detail in error.errors(include_url=False)]
    else:
        problems += contradictions(config)
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
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, or nested a thousand deep
        return value


def _unknown(values: Mapping[str, str]) -> Iterator[str]:
    known = {*KEYS, *credential_variables()}
    for key in sorted(set(values) - known):
        remove = remove_command(key, is_path=False)
        section = re.split(r"[.\[]", key)[0]
        if section in known and section != key:
            command = f"{remove} && {set_command(key, secret=_is_secret(section))}"
            yield f"{key_named(key)} was set without --path, so it is no part of {section}. Set it: {command}"
        else:
            yield f"{key_named(key)} is not a key of this project.{did_you_mean(key, known)} Remove it: {remove}"


def _plain_secrets(values: Mapping[str, str], secret_keys: Collection[str]) -> Iterator[str]:
    for key in values:
        if _is_secret(key) and key not in secret_keys:
            yield f"{key_named(key)} is stored in plain text. Store it encrypted: {set_command(key, secret=True)}"


def _is_secret(key: str) -> bool:
    if key in KEYS:
        return "SecretStr" in str(StackConfig.model_fields[KEYS[key]].annotation)
    return key in credential_variables()


def _explain(detail: ErrorDetails, secret_keys: Collection[str]) -> str:
    """One pydantic error as: key, value (unless secret), what is allowed, the command."""
    location = tuple(part for part in detail["loc"] if part != "[key]")  # of a map whose key is wrong
    path, key = _dotted(location), str(location[0])
    if detail["type"] == "missing":
        return f"{key_named(path)} is missing. Set it: {set_command(path, secret=_is_secret(key))}"
    if detail["type"] == "extra_forbidden":
        *above, wrong = location
        section = _dotted(tuple(above))
        hint = did_you_mean(str(wrong), _keys_of(above), inside=f"{section}.")
        return f"{key_named(path)} is not a key of {section}.{hint} Remove it: {remove_command(path)}"
    if location != detail["loc"]:
        return f"{key_named(path)} is not known: it {_expected(detail, path)}. Remove it: {remove_command(path)}"
    value = "" if _is_secret(key) or key in secret_keys else _shown(path, detail["input"])
    inside = "" if path in TOKEN_LISTS else INSIDE.get(detail["type"], "")
    command = set_command(path + inside, secret=_is_secret(key))
    return f"{key_named(path)}{value} {_expected(detail, path)}. Set it: {command}"


def _shown(path: str, value: object) -> str:
    """Not what may hold secrets: a whole object or list, and the container's environment."""
    if isinstance(value, Mapping | list | tuple) or path == "runpod" or path.startswith("runpod.env"):
        return ""
    text = json.dumps(value, default=str)
    return f" is {text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + '…'},"


def _expected(detail: ErrorDetails, path: str) -> str:
    """What would have been accepted, in words."""
    if path in PATTERNS:
        return f"must be {PATTERNS[path]}"
    words = EXPECTED.get(detail["type"], "is not accepted: {message}")
    return words.format(message=detail["msg"], **(detail.get("ctx") or {}))


def _dotted(location: Sequence[int | str]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "stack"]
    return "".join(parts).lstrip(".")


def _keys_of(location: Sequence[int | str]) -> list[str]:
    """The keys of the section at ("runpod", "scaling")."""
    model: type[BaseModel] = StackConfig
    for part in location:
        field = next(field for name, field in model.model_fields.items() if part in (name, field.alias))
        model = section_of(field) or model
    return [field.alias or name for name, field in model.model_fields.items()]
