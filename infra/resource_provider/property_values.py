"""Between the engine's PropertyValue and plain Python, with secrets and unknowns kept.

Controllers see str, bool, int, float, list, dict, None and `Unknown`. Which paths were secret travels beside the
plain values, so that what came in as a secret goes back as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pulumi.provider.experimental.property_value import PropertyValue

Path = tuple[str, ...]


@dataclass(frozen=True)
class Unknown:
    """A value that the engine does not know yet (preview). `sentinel` is its form on the wire."""

    sentinel: str


# sdk/go/common/resource/plugin/rpc.go: one sentinel per type, all sent as strings.
UNKNOWN_STRING = Unknown("04da6b54-80e4-46f7-96ec-b56ff0331ba9")
_SENTINELS = {
    UNKNOWN_STRING.sentinel,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
}


def is_known(value: object) -> bool:
    """Whether the value and everything inside it is known."""
    if isinstance(value, Unknown):
        return False
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(item) for item in value)
    return True


def to_plain(properties: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Plain values; whole numbers become int, since the wire has floats only."""
    return {name: _plain(value) for name, value in properties.items()}


def _plain(property_value: PropertyValue) -> Any:
    value = property_value.value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str):
        return Unknown(value) if value in _SENTINELS else value
    if isinstance(value, Mapping):
        return to_plain(value)
    if isinstance(value, Sequence):
        return [_plain(cast("PropertyValue", item)) for item in value]
    raise TypeError(f"a {type(value).__name__} is no input of this provider")


def secret_paths(properties: Mapping[str, PropertyValue]) -> frozenset[Path]:
    """Paths of all secret values; a list with a secret inside counts as secret as a whole."""
    return frozenset(_secret_paths(properties, ()))


def _secret_paths(properties: Mapping[str, PropertyValue], above: Path) -> Iterable[Path]:
    for name, item in properties.items():
        path = (*above, name)
        if item.is_secret:
            yield path
        elif isinstance(item.value, Mapping):
            yield from _secret_paths(item.value, path)
        elif item.contains_secret():
            yield path


def from_plain(values: Mapping[str, Any], secrets: Iterable[Path] = ()) -> dict[str, PropertyValue]:
    """Property values, secret at `secrets` and below. Properties that are None are left out."""
    paths = frozenset(secrets)
    return {name: _value(item, (name,), paths) for name, item in values.items() if item is not None}


def _value(value: Any, path: Path, secrets: frozenset[Path]) -> PropertyValue:
    return PropertyValue(_inner(value, path, secrets), is_secret=path in secrets)


def _inner(value: Any, path: Path, secrets: frozenset[Path]) -> Any:
    if isinstance(value, Unknown):
        return value.sentinel
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _value(item, (*path, str(name)), secrets) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_value(item, (*path, "*"), secrets) for item in value]
    raise TypeError(f"cannot send a {type(value).__name__} to the engine ({'.'.join(path)})")
