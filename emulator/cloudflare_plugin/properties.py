"""Conversion between Pulumi's property maps on the wire and attribute values.

On the wire unknowns are reserved strings, and secrets and outputs are objects with a signature key (Pulumi's
`sdk/python/lib/pulumi/runtime/rpc.py` has the same constants; importing it would double the start-up time).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.cloudflare_plugin.schema import UNKNOWN, Attribute, Fields, Kind, Value, property_name

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_SENTINELS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


def plain(value: Any) -> Value:
    """Return a property value without its secret and output wrappers, with UNKNOWN for unknowns."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN_SENTINELS else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE_KEY)
    if signature == SECRET_SIGNATURE:
        return plain(value.get("value"))
    if signature == OUTPUT_SIGNATURE:
        return plain(value["value"]) if "value" in value else UNKNOWN
    return {name: plain(item) for name, item in value.items()}


def to_attributes(fields: Fields, properties: Mapping[str, Any]) -> dict[str, Value]:
    """Return the attribute values of a plain property map: every attribute present, None when not set."""
    return {
        name: _to_attribute(attribute, properties.get(property_name(name, attribute)))
        for name, attribute in fields.items()
    }


def _to_attribute(attribute: Attribute, value: Value) -> Value:
    if value is None or value is UNKNOWN:
        return value
    if attribute.kind is Kind.OBJECT:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        return to_attributes(attribute.fields or {}, value)
    if attribute.kind in (Kind.LIST, Kind.SET):
        if not isinstance(value, list):
            raise ValueError(f"expected a list, got {type(value).__name__}")
        fields = attribute.fields
        items = [to_attributes(fields, item) if fields and isinstance(item, dict) else item for item in value]
        return sort_set(items) if attribute.kind is Kind.SET else items
    if attribute.kind in (Kind.INTEGER, Kind.NUMBER) and isinstance(value, str):
        return float(value)
    if attribute.kind is Kind.BOOLEAN and isinstance(value, str):
        return value == "true"
    return value


def to_properties(fields: Fields, values: Mapping[str, Value]) -> dict[str, Any]:
    """Return the property map of attribute values: nulls left out, unknowns as the reserved string, secrets marked."""
    return {
        property_name(name, attribute): _to_property(attribute, values[name])
        for name, attribute in fields.items()
        if values.get(name) is not None
    }


def _to_property(attribute: Attribute, value: Value) -> Any:
    if value is UNKNOWN:
        converted: Any = UNKNOWN_STRING
    elif attribute.kind is Kind.OBJECT:
        converted = to_properties(attribute.fields or {}, value)
    elif isinstance(value, list):
        fields = attribute.fields
        converted = [
            to_properties(fields, item) if fields and isinstance(item, dict) else _scalar(item) for item in value
        ]
    else:
        converted = value
    return mark_secret(converted) if attribute.sensitive else converted


def _scalar(value: Value) -> Any:
    return UNKNOWN_STRING if value is UNKNOWN else value


def mark_secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def mark_secrets(fields: Fields, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain property map with the sensitive properties marked and everything else as it was."""
    by_property = {property_name(name, attribute): attribute for name, attribute in fields.items()}
    return {name: _mark(by_property.get(name), value) for name, value in properties.items()}


def _mark(attribute: Attribute | None, value: Any) -> Any:
    if value is UNKNOWN:
        marked: Any = UNKNOWN_STRING
    elif isinstance(value, dict):
        marked = mark_secrets((attribute.fields if attribute else None) or {}, value)
    elif isinstance(value, list):
        element = Attribute(kind=Kind.OBJECT, fields=attribute.fields) if attribute and attribute.fields else None
        marked = [_mark(element, item) for item in value]
    else:
        marked = value
    return mark_secret(marked) if attribute and attribute.sensitive and value is not None else marked


def sort_set(items: list[Value]) -> list[Value]:
    """Return a set's elements in the order in which the official plugin sends and stores them.

    Terraform orders strings by value and objects by their attributes in alphabetical order (go-cty's set rules).
    """
    return sorted(items, key=_order)


def _order(value: Value) -> str:
    if value is None:
        return "~"
    if value is UNKNOWN:
        return "?"
    if isinstance(value, dict):
        return "<" + "".join(f"{_order(value[name])};" for name in sorted(value)) + ">"
    if isinstance(value, list):
        return "[" + "".join(f"{_order(item)};" for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
