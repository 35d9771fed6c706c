"""The vocabulary in which the resource types are described: attributes, and the calls of a type.

It follows the schema of the Terraform provider inside the official plugin, because that is what decides every
diff, replacement and request: which attributes are computed, which defaults apply, what forces a replacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Value = Any  # None, bool, float, str, UNKNOWN, a list of values or a dict from attribute name to value
Fields = Mapping[str, "Attribute"]


class _Marker:
    """A value with no other meaning than its identity."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


UNKNOWN: Final = _Marker("UNKNOWN")  # known only after the change is made
NO_DEFAULT: Final = _Marker("NO_DEFAULT")


class Kind(StrEnum):
    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    JSON = "json"  # a string that holds JSON; equal when the documents are
    TIME = "time"  # RFC 3339, kept to the second
    DATE = "date"  # RFC 3339, sent as the day alone
    OBJECT = "object"
    LIST = "list"
    SET = "set"


class Replace(StrEnum):
    """When a changed attribute cannot be updated in place."""

    NEVER = "never"
    ALWAYS = "always"
    IF_CONFIGURED = "if configured"
    IF_CONFIGURED_PART_CHANGED = "if a configured part changed"  # computed parts do not count
    IF_BINDING_CHANGED = "if a binding changed"  # compared by name; text that an import left out does not count


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """One attribute. `fields` describes an object or the objects in a list or set; without it a list holds strings."""

    kind: Kind = Kind.STRING
    required: bool = False
    optional: bool = False
    computed: bool = False
    fields: Fields | None = None
    default: Value = NO_DEFAULT
    default_from: str | None = None  # the sibling whose value is the default
    one_of: tuple[str, ...] = ()
    between: tuple[float, float] | None = None
    never_moves: bool = False  # the state's value stays, whatever else the program says later
    keeps_state: bool = False  # a computed value that an update does not change
    unknown_only_for_type: str | None = None  # computed only when the sibling `type` has this value
    replace: Replace = Replace.NEVER
    sensitive: bool = False
    deprecated: bool = False
    description: str = ""  # of a required attribute: part of the sentence that says it is missing
    in_body: bool = True  # False: part of the path, a header, or the plugin's own
    sent_by_name: bool = False  # a list that is sent sorted by name and stays in the program's order in state
    refreshed: bool = True  # False: a read leaves it as it is
    wire: str | None = None  # name in JSON when it differs from the attribute's
    answer_wire: str | None = None  # name in answers when it differs from requests
    property_name: str | None = None  # Pulumi's name when it is not the plain camel case

    @property
    def is_input(self) -> bool:
        return self.required or self.optional


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP call; braces in `path` and in header values are filled with attribute values."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "object"  # "object": all attributes · "none" · or the name of the one attribute that is the body


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceType:
    """A resource type: its attributes and the call of each operation (None: the plugin makes no call)."""

    token: str
    fields: Fields
    create: Call
    read: Call | None
    update: Call | None
    delete: Call | None
    imported_by: Mapping[str, str] = field(
        default_factory=dict
    )  # attributes in an import id, and their names there
    import_call: Call | None = None  # the call of an import before the ordinary read; None: the same one
    id_from: str | None = None  # the attribute that is also the id
    stored_without_call: tuple[str, ...] = ()  # attributes that an update without a call changes in state
    destroy_warning: bool = False
    missing_name_follow_up: str | None = None  # attribute whose absence in an answer makes a second read


def camel_case(name: str) -> str:
    """`worker_id` → `workerId`, the rule of Pulumi's bridge for names."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def property_name(name: str, attribute: Attribute) -> str:
    return attribute.property_name or camel_case(name)
