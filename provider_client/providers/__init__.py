"""The registry of image-generation providers. A new one is a module beside these and one line here."""

from __future__ import annotations

from types import MappingProxyType

from provider_client.errors import ConfigError
from provider_client.providers import comfyui, runpod, scenario
from provider_client.providers.base import (
    Binding,
    Cost,
    GeneratedImage,
    Provider,
    ProviderHealth,
    ProviderSettings,
    ProviderSpec,
)

PROVIDERS = MappingProxyType({spec.name: spec for spec in (scenario.SPEC, comfyui.SPEC, runpod.SPEC)})


def find_provider(name: str) -> ProviderSpec:
    """The provider of that name; ConfigError lists the known ones: an unknown name is never a silent default."""
    if name not in PROVIDERS:
        raise ConfigError(f"there is no provider {name!r}", fix=f"choose one of {', '.join(PROVIDERS)}")
    return PROVIDERS[name]


__all__ = [
    "PROVIDERS",
    "Binding",
    "Cost",
    "GeneratedImage",
    "Provider",
    "ProviderHealth",
    "ProviderSettings",
    "ProviderSpec",
    "find_provider",
]
