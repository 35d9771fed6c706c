"""What a change would do: the planned values, the changed properties, the ones that force a replacement.

The steps and their order are Terraform's, because the official plugin is Terraform's provider behind a bridge:
the proposed state (the program's values, else the former ones of computed attributes), defaults, computed
attributes without a value made unknown when anything changed, then the attributes that keep their state.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.cloudflare_plugin.schema import (
    NO_DEFAULT,
    UNKNOWN,
    Attribute,
    Fields,
    Kind,
    Replace,
    ResourceType,
    Value,
    property_name,
)

State = Mapping[str, Value]
_TEXT_BINDINGS = ("secret_text", "plain_text")  # an import cannot know their text


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned values, and the properties (Pulumi's names) that change and that force a replacement."""

    values: dict[str, Value]
    changed: tuple[str, ...]
    replaced: tuple[str, ...]


def plan(type_: ResourceType, prior: State | None, config: State) -> Plan:
    """Plan the change from `prior` (None: nothing exists) to what the program asks for."""
    fields = type_.fields
    proposed = _propose(fields, prior, config)
    planned = _with_defaults(fields, config, proposed)
    if prior is None or not same(planned, prior):
        planned = _with_unknowns(fields, config, planned)
    planned = _settle(fields, prior, config, planned)
    return _compared(fields, prior, config, planned)


def _compared(fields: Fields, prior: State | None, config: State, planned: dict[str, Value]) -> Plan:
    former = prior if prior is not None else dict.fromkeys(fields)
    changed = [name for name in fields if not same(former[name], planned[name])]
    replaced = (
        [name for name in changed if _forces_replacement(fields[name], former[name], config[name], planned[name])]
        if prior is not None
        else []
    )
    return Plan(
        planned,
        tuple(sorted(property_name(name, fields[name]) for name in changed)),
        tuple(sorted(property_name(name, fields[name]) for name in replaced)),
    )


def same(left: Value, right: Value) -> bool:
    """Whether two values are equal. UNKNOWN equals only itself; sets are kept in one order and compare as lists."""
    return bool(left == right)


def _propose(fields: Fields, prior: State | None, config: State) -> dict[str, Value]:
    return {
        name: _propose_value(attribute, None if prior is None else prior.get(name), config[name])
        for name, attribute in fields.items()
    }


def _propose_value(attribute: Attribute, prior: Value, config: Value) -> Value:
    if config is None:
        keeps_prior = attribute.computed and not _holds_configured_part(attribute, prior)
        return prior if keeps_prior else None
    if attribute.fields is None or config is UNKNOWN:
        return config
    if attribute.kind is Kind.OBJECT:
        return _propose(attribute.fields, prior if isinstance(prior, dict) else None, config)
    former = prior if isinstance(prior, list) else []
    if attribute.kind is Kind.SET:
        return [
            _propose_element(attribute.fields, _counterpart(attribute.fields, former, item), item)
            for item in config
        ]
    return [
        _propose_element(attribute.fields, former[index] if index < len(former) else None, item)
        for index, item in enumerate(config)
    ]


def _propose_element(fields: Fields, prior: Value, item: Value) -> Value:
    return _propose(fields, prior, item) if isinstance(item, dict) else item


def _counterpart(fields: Fields, former: Sequence[Value], item: Value) -> Value:
    """Return the element of the former set that the program means: equal in everything that is not computed."""
    configured = [name for name, attribute in fields.items() if attribute.is_input]
    return next(
        (other for other in former if isinstance(item, dict) and all(other[n] == item[n] for n in configured)),
        None,
    )


def _holds_configured_part(attribute: Attribute, prior: Value) -> bool:
    """Whether an optional object in state holds a part that only the program can have set: then it goes with it."""
    if not (attribute.optional and attribute.fields and isinstance(prior, dict)):
        return False
    return any(
        not part.computed and part.fields is None and prior.get(name) is not None
        for name, part in attribute.fields.items()
    )


def _with_defaults(fields: Fields, config: State | None, values: State) -> dict[str, Value]:
    """Set defaults wherever the program says nothing, nested ones inside objects and lists that exist."""
    return {
        name: _default_value(attribute, None if config is None else config.get(name), values[name])
        for name, attribute in fields.items()
    }


def _default_value(attribute: Attribute, config: Value, value: Value) -> Value:
    if config is None and attribute.default is not NO_DEFAULT:
        return attribute.default
    if attribute.fields is None:
        return value
    if isinstance(value, dict):
        return _with_defaults(attribute.fields, config if isinstance(config, dict) else None, value)
    if isinstance(value, list):
        fields = attribute.fields
        return [
            _with_defaults(fields, part if isinstance(part, dict) else None, item)
            if isinstance(item, dict)
            else item
            for part, item in _paired(config, value)
        ]
    return value


def _paired(config: Value, values: Sequence[Value]) -> list[tuple[Value, Value]]:
    parts = config if isinstance(config, list) else []
    return [(parts[index] if index < len(parts) else None, item) for index, item in enumerate(values)]


def _with_unknowns(fields: Fields, config: State | None, values: State) -> dict[str, Value]:
    """Make every computed attribute unknown that neither the program nor a default decides."""
    return {
        name: _unknown_value(attribute, None if config is None else config.get(name), values[name])
        for name, attribute in fields.items()
    }


def _unknown_value(attribute: Attribute, config: Value, value: Value) -> Value:
    if config is None and attribute.computed and attribute.default is NO_DEFAULT:
        return UNKNOWN
    if attribute.fields is None:
        return value
    if isinstance(value, dict):
        return _with_unknowns(attribute.fields, config if isinstance(config, dict) else None, value)
    if isinstance(value, list):
        fields = attribute.fields
        return [
            _with_unknowns(fields, part if isinstance(part, dict) else None, item)
            if isinstance(item, dict)
            else item
            for part, item in _paired(config, value)
        ]
    return value


def _settle(fields: Fields, prior: State | None, config: State | None, values: State) -> dict[str, Value]:
    """Replace unknowns by what is known after all: the state, a sibling's value, a digest."""
    settled: dict[str, Value] = {}
    for name, attribute in fields.items():
        former = None if prior is None else prior.get(name)
        wanted = None if config is None else config.get(name)
        settled[name] = _settle_value(attribute, former, wanted, values, name, exists=prior is not None)
    if "content_sha256" in fields:
        settled["content_sha256"] = content_digest(values)
    return settled


def _settle_value(
    attribute: Attribute, prior: Value, config: Value, siblings: State, name: str, *, exists: bool
) -> Value:
    value = siblings[name]
    if attribute.default_from is not None and config is None:
        source = siblings.get(attribute.default_from)
        return source if isinstance(source, bool) else False
    if attribute.never_moves and config is not None and prior is not None:
        return prior
    if value is UNKNOWN and config is None:
        if attribute.keeps_state and exists:
            return prior
        if attribute.unknown_only_for_type not in (None, siblings.get("type")):
            return None
    if attribute.fields is None:
        return value
    if isinstance(value, dict):
        return _settle(attribute.fields, prior if isinstance(prior, dict) else None, config, value)
    if isinstance(value, list):
        former = prior if isinstance(prior, list) else []
        return [
            _settle(attribute.fields, former[index] if index < len(former) else None, part, item)
            if isinstance(item, dict)
            else item
            for index, (part, item) in enumerate(_paired(config, value))
        ]
    return value


def content_digest(module: State) -> Value:
    """Return the SHA-256 of a module's content, UNKNOWN while the content is."""
    file, encoded = module.get("content_file"), module.get("content_base64")
    if isinstance(file, str):
        return hashlib.sha256(Path(file).expanduser().read_bytes()).hexdigest()
    if isinstance(encoded, str):
        try:
            return hashlib.sha256(base64.b64decode(encoded, validate=True)).hexdigest()
        except binascii.Error as error:
            raise ValueError(f"Error decoding base64: {error}") from error
    return UNKNOWN


def _forces_replacement(attribute: Attribute, prior: Value, config: Value, planned: Value) -> bool:
    match attribute.replace:
        case Replace.NEVER:
            return False
        case Replace.ALWAYS:
            return True
        case Replace.IF_CONFIGURED:
            return config is not None
        case Replace.IF_CONFIGURED_PART_CHANGED:
            if config is None or config is UNKNOWN or prior is None:
                return False
            parts = [name for name, part in (attribute.fields or {}).items() if part.is_input]
            return any(prior[name] != planned[name] for name in parts)
        case Replace.IF_BINDING_CHANGED:
            if config is None or config is UNKNOWN or prior is None:
                return False
            return not _same_bindings(prior, planned)


def _same_bindings(prior: Sequence[State], planned: Sequence[State]) -> bool:
    former = {binding["name"]: binding for binding in prior}
    wanted = {binding["name"]: binding for binding in planned}
    if len(prior) != len(planned) or former.keys() != wanted.keys():
        return False
    return all(_same_binding(former[name], wanted[name]) for name in former)


def _same_binding(prior: State, planned: State) -> bool:
    text_unknown_to_state = prior["type"] in _TEXT_BINDINGS and prior["text"] is None
    return all(prior[key] == planned[key] or (key == "text" and text_unknown_to_state) for key in prior)
