"""The inputs that a read reports: what makes drift visible to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.cloudflare_plugin.schema import Attribute, Fields, Kind, property_name

Properties = Mapping[str, Any]


def refreshed(fields: Fields, inputs: Properties, live: Properties) -> dict[str, Any]:
    """Return the recorded inputs with their live values; what is gone disappears, nothing is added."""
    attributes = _by_property(fields)
    return {
        name: _refreshed_value(attributes.get(name), value, live[name])
        for name, value in inputs.items()
        if live.get(name) is not None
    }


def imported(fields: Fields, live: Properties) -> dict[str, Any]:
    """Return the inputs of a resource that was never declared: what a program could set and is not empty."""
    return {
        property_name(name, attribute): _imported_value(attribute, live[property_name(name, attribute)])
        for name, attribute in fields.items()
        if attribute.is_input and _is_worth_importing(attribute, live.get(property_name(name, attribute)))
    }


def _is_worth_importing(attribute: Attribute, value: Any) -> bool:
    return value is not None and (attribute.required or value not in (False, 0, "", [], {}))


def _imported_value(attribute: Attribute, value: Any) -> Any:
    if attribute.fields is None:
        return value
    if isinstance(value, dict):
        return imported(attribute.fields, value)
    return [imported(attribute.fields, item) for item in value]


def _by_property(fields: Fields) -> dict[str, Attribute]:
    return {property_name(name, attribute): attribute for name, attribute in fields.items()}


def _refreshed_value(attribute: Attribute | None, value: Any, live: Any) -> Any:
    if isinstance(value, dict) and isinstance(live, dict):
        return refreshed((attribute.fields if attribute else None) or {}, value, live)
    if isinstance(value, list) and isinstance(live, list):
        return _refreshed_list(attribute, value, live)
    return live


def _refreshed_list(attribute: Attribute | None, value: list[Any], live: list[Any]) -> list[Any]:
    fields = (attribute.fields if attribute else None) or {}
    if attribute is not None and attribute.kind is Kind.SET:
        return _refreshed_set(fields, value, live)
    return [_refreshed_item(fields, item, live[index]) for index, item in enumerate(value) if index < len(live)]


def _refreshed_set(fields: Fields, value: list[Any], live: list[Any]) -> list[Any]:
    """Return a set's inputs in the program's order, with changed elements in the places of those that are gone."""
    found = [_imported_item(fields, item) for item in live]
    changed = iter([item for item in found if item not in value])
    places = [item if item in found else next(changed, None) for item in value]
    return [item for item in places if item is not None]


def _refreshed_item(fields: Fields, item: Any, live: Any) -> Any:
    return refreshed(fields, item, live) if isinstance(item, dict) and isinstance(live, dict) else live


def _imported_item(fields: Fields, item: Any) -> Any:
    return imported(fields, item) if isinstance(item, dict) else item
