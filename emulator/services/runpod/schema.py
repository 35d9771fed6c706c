"""Request bodies of REST v2: every schema forbids unknown fields; the words are those of RunPod's validator.

RunPod's documented example is `$: missing property 'image'`, `$: additional properties 'bogus' not allowed`; that is
the wording of the Go library santhosh-tekuri/jsonschema, whose other sentences are used for the other rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TYPE_NAMES = {
    dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number",
    type(None): "null",
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """One field. `kind` is string, integer, number, object, array, map."""

    kind: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    shortest: int = 0
    nullable: bool = False
    unique: bool = False
    item: Value | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    required: tuple[str, ...] = ()


def errors(value: Any, schema: Value, path: str = "$") -> list[str]:
    """Everything that is wrong, in the validator's sentences."""
    if value is None and schema.nullable:
        return []
    wrong_type = _type_error(value, schema.kind)
    if wrong_type:
        return [f"{path}: {wrong_type}"]
    if schema.kind == "object":
        return _object_errors(value, schema, path)
    if schema.kind == "map":
        return [f"{path}.{key}: got {_name(v)}, want string" for key, v in value.items() if not isinstance(v, str)]
    if schema.kind == "array":
        return _array_errors(value, schema, path)
    if schema.kind == "string":
        return _string_errors(value, schema, path)
    return _number_errors(value, schema, path)


def _name(value: Any) -> str:
    return TYPE_NAMES.get(type(value), "unknown")


def _type_error(value: Any, kind: str) -> str | None:
    wanted = "object" if kind == "map" else kind
    got = _name(value)
    whole = isinstance(value, float) and value.is_integer()
    if got == wanted or (wanted == "number" and got == "integer") or (wanted == "integer" and whole):
        return None
    return f"got {got}, want {wanted}"


def _object_errors(value: Mapping[str, Any], schema: Value, path: str) -> list[str]:
    missing = [name for name in schema.required if name not in value]
    # Observed: with a required field missing, the valid ones are called unexpected as well.
    unknown = sorted(value) if missing else [name for name in value if name not in schema.fields]
    found = []
    if missing:
        found.append(f"{path}: missing {_properties(missing)}")
    if unknown:
        found.append(f"{path}: additional properties {_quoted(unknown)} not allowed")
    for name, inner in schema.fields.items():
        if name in value:
            found += errors(value[name], inner, f"{path}.{name}")
    return found


def _properties(names: list[str]) -> str:
    return f"{'property' if len(names) == 1 else 'properties'} {_quoted(names)}"


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _array_errors(value: list[Any], schema: Value, path: str) -> list[str]:
    if len(value) < schema.shortest:
        return [f"{path}: minItems: got {len(value)}, want {schema.shortest}"]
    if schema.unique and len({str(item) for item in value}) < len(value):
        return [f"{path}: items must be unique"]
    item = schema.item
    return [] if item is None else [e for n, one in enumerate(value) for e in errors(one, item, f"{path}[{n}]")]


def _string_errors(value: str, schema: Value, path: str) -> list[str]:
    if len(value) < schema.shortest:
        return [f"{path}: minLength: got {len(value)}, want {schema.shortest}"]
    if schema.choices and value not in schema.choices:
        return [f"{path}: value must be one of {_quoted(list(schema.choices))}"]
    return []


def _number_errors(value: float, schema: Value, path: str) -> list[str]:
    if schema.low is not None and value < schema.low:
        return [f"{path}: minimum: got {value:g}, want {schema.low:g}"]
    if schema.high is not None and value > schema.high:
        return [f"{path}: maximum: got {value:g}, want {schema.high:g}"]
    return []
