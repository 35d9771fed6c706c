"""The emulated vendors: one line each in SERVICES."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from emulator.services.base import Service
from emulator.world import World

# loaded when an emulator starts: a vendor's libraries cost nothing before
SERVICES: dict[str, str] = {
    "cloudflare": "emulator.services.cloudflare:Cloudflare",
    "r2": "emulator.services.r2:R2",
    "scenario": "emulator.services.scenario:Scenario",
    "runpod": "emulator.services.runpod:RunPod",
    "comfyui": "emulator.services.comfyui:ComfyUI",
}


def construct(world: World) -> dict[str, Service]:
    """One of each, by name."""
    return {name: _load(reference)(world) for name, reference in SERVICES.items()}


def _load(reference: str) -> Callable[[World], Service]:
    module, _, name = reference.partition(":")
    return cast("Callable[[World], Service]", getattr(import_module(module), name))
