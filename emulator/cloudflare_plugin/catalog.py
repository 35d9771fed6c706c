"""All resource types the stand-in knows, by token."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.cloudflare_plugin.r2_types import R2_TYPES
from emulator.cloudflare_plugin.schema import ResourceType
from emulator.cloudflare_plugin.worker_types import WORKER_TYPES

RESOURCE_TYPES: Mapping[str, ResourceType] = {type_.token: type_ for type_ in (*WORKER_TYPES, *R2_TYPES)}


class UnsupportedTypeError(ValueError):
    """The program uses a Cloudflare resource that the stand-in does not know."""

    def __init__(self, token: str) -> None:
        names = ", ".join(sorted(known.rpartition(":")[2] for known in RESOURCE_TYPES))
        super().__init__(
            f"The emulator's stand-in Cloudflare plugin does not know the type {token}; it knows {names}."
            " Install the official plugin for any other: pulumi plugin install resource cloudflare"
        )


def resource_type(token: str) -> ResourceType:
    """Return the type with this token; UnsupportedTypeError names the known ones."""
    found = RESOURCE_TYPES.get(token)
    if found is None:
        raise UnsupportedTypeError(token)
    return found
