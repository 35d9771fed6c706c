"""The emulated vendors: one line each in SERVICES."""

from __future__ import annotations

from importlib import import_module

from emulator.services.base import Service
from emulator.world import World

SERVICES: dict[str, str] = {}


def construct(world: World) -> list[Service]:
    """One of each."""
    services: list[Service] = []
    for reference in SERVICES.values():
        module, _, name = reference.partition(":")
        services.append(getattr(import_module(module), name)(world))
    return services
