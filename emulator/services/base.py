"""The contract of an emulated vendor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from aiohttp import web


class Service(Protocol):
    """Constructed with the World, inside its event loop; `name` is also the one that faults are armed for."""

    name: str

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes with absolute paths."""
        ...

    def reset(self) -> None:
        """Forget everything that happened."""
        ...

    def summary(self) -> dict[str, object]:
        """Counters and state for `GET /_emulator/state`; nothing secret."""
        ...


@runtime_checkable
class HasErrorBody(Protocol):
    """A service with words of its own for the generic fault kinds that answer with a status."""

    name: str

    def error_body(self, status: int) -> object:
        """The vendor's JSON body of an error answer."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """A service whose furniture can be changed: what is installed, quotas, stock."""

    name: str

    def configure(self, settings: dict[str, Any]) -> None:
        """Lay these settings over the standard ones, until the next reset."""
        ...
