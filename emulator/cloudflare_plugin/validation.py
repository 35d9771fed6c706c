"""Check: the same inputs refused as by the official plugin, in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from emulator.cloudflare_plugin.schema import UNKNOWN, Attribute, Fields, Kind, Value, property_name

_MISSING = "Missing required property"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its path in the schema's names and in Pulumi's."""

    attribute: str = ""
    property: str = ""

    def at(self, name: str, attribute: Attribute) -> Place:
        separator = "." if self.attribute else ""
        return Place(
            f"{self.attribute}{separator}{name}", f"{self.property}{separator}{property_name(name, attribute)}"
        )

    def element(self, attribute: Attribute, index: int, item: Value) -> Place:
        """Return an element's place. A set's element has no index; the official plugin names it by its value."""
        if attribute.kind is Kind.SET:
            return Place(f'{self.attribute}[Value("{item}")]', self.property)
        return Place(f"{self.attribute}[{index}]", f"{self.property}[{index}]")


def failures(fields: Fields, values: Mapping[str, Value], resource_name: str) -> list[str]:
    """Return the reasons for which these inputs are refused; an unknown value is never refused."""
    return [
        problem
        if problem.startswith(_MISSING)
        else f"{problem}. Examine values at '{resource_name}.{place.property}'."
        for place, problem in _problems(fields, values, Place())
    ]


def unsupported(fields: Fields, properties: Iterable[str]) -> list[str]:
    """Return the properties that the official plugin may know and the stand-in does not."""
    known = {property_name(name, attribute) for name, attribute in fields.items()}
    return [
        f"The emulator's stand-in Cloudflare plugin does not know the property '{name}' of this resource"
        for name in properties
        if name not in known
    ]


def deprecated(fields: Fields, values: Mapping[str, Value]) -> list[str]:
    """Return the names of deprecated properties that are set."""
    return [
        property_name(name, attribute)
        for name, attribute in fields.items()
        if attribute.deprecated and values.get(name) is not None
    ]


def _problems(fields: Fields, values: Mapping[str, Value], place: Place) -> Iterator[tuple[Place, str]]:
    for name, attribute in fields.items():
        yield from _value_problems(attribute, values.get(name), place.at(name, attribute))


def _value_problems(attribute: Attribute, value: Value, place: Place) -> Iterator[tuple[Place, str]]:
    if value is UNKNOWN:
        return
    if value is None:
        if attribute.required:
            described = f": {attribute.description}" if attribute.description else ""
            yield place, f"{_MISSING} '{place.property}'{described}"
        return
    if isinstance(value, dict):
        yield from _problems(attribute.fields or {}, value, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _element_problems(attribute, item, place.element(attribute, index, item))
    else:
        yield from _scalar_problems(attribute, value, place)


def _element_problems(attribute: Attribute, item: Value, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(item, dict):
        yield from _problems(attribute.fields or {}, item, place)
    elif item is not None and item is not UNKNOWN:
        yield from _scalar_problems(attribute, item, place)


def _scalar_problems(attribute: Attribute, value: Value, place: Place) -> Iterator[tuple[Place, str]]:
    if attribute.one_of and str(value).lower() not in {choice.lower() for choice in attribute.one_of}:
        choices = " ".join(f'"{choice}"' for choice in attribute.one_of)
        yield (
            place,
            f"Invalid Attribute Value Match. Attribute {place.attribute} value must be one of: [{choices}],"
            f' got: "{value}"',
        )
    if attribute.between is not None and isinstance(value, (int, float)):
        lowest, highest = attribute.between
        if not lowest <= value <= highest:
            yield (
                place,
                f"Invalid Attribute Value. Attribute {place.attribute} value must be between"
                f" {lowest:f} and {highest:f}, got: {value:f}",
            )
