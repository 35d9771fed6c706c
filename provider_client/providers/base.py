"""What a provider is: settings that are also a declaration of bindings, and a client with two methods.

A new provider is one module with a settings model, a client and a `SPEC`, plus one line in PROVIDERS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, get_args, get_origin

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from provider_client.clock import Clock
from provider_client.deadlines import GENERATION_SECONDS
from provider_client.errors import ConfigError
from provider_client.models import GenerationRequest, Operation, Timings

BindingKind = Literal["secret_text", "plain_text", "json"]
AddressT = TypeVar("AddressT", bound=str | SecretStr)


@dataclass(frozen=True)
class Binding:
    """One variable of the Worker that a setting becomes. `field` is the setting, `name` the variable."""

    field: str
    name: str
    kind: BindingKind
    required: bool


class ProviderSettings(BaseModel):
    """Base of every provider's settings: a field `runpod_api_key` is the variable RUNPOD_API_KEY everywhere.

    SecretStr becomes a secret binding, a nested model a JSON binding, the rest plain text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def bindings(cls) -> tuple[Binding, ...]:
        return tuple(
            Binding(name, name.upper(), _binding_kind(field.annotation), field.is_required())
            for name, field in sorted(cls.model_fields.items())
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings from variables of the same names; empty ones count as unset.

        Raises ConfigError that names every variable which is missing or wrong, never a value.
        """
        values: dict[str, object] = {}
        for binding in cls.bindings():
            value = environment.get(binding.name, "").strip()
            if value:
                values[binding.field] = _parsed(binding, value)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = sorted({str(part["loc"][0]).upper() for part in error.errors(include_input=False)})
            raise ConfigError(
                f"these variables are missing or wrong: {', '.join(wrong)}",
                fix="set them in the environment or in .env; .env.example explains each",
            ) from None


def fits_a_header(key: SecretStr | None) -> SecretStr | None:
    """For keys: one that was pasted with a blank line or a typographic sign fails here, not as a broken answer."""
    text = key.get_secret_value() if key else ""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("the key has a character that no HTTP header can carry")
    return key


def is_http_address(address: AddressT) -> AddressT:
    try:
        url = httpx.URL(address.get_secret_value() if isinstance(address, SecretStr) else address)
    except httpx.InvalidURL:
        raise ValueError("not an address") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an http(s) address")
    return address


def _parsed(binding: Binding, value: str) -> object:
    if binding.kind != "json":
        return value
    try:
        return TypeAdapter(dict[str, object]).validate_json(value)
    except ValidationError:
        raise ConfigError(f"{binding.name} is not a JSON object", fix=".env.example shows its form") from None


def _binding_kind(annotation: object) -> BindingKind:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    types = [annotation, *get_args(annotation)]
    if SecretStr in types:
        return "secret_text"
    nested = any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in types)
    return "json" if nested else "plain_text"


@dataclass(frozen=True)
class Cost:
    """What one generation used, in the provider's own unit, and in US$ where the price is known."""

    quantity: float
    unit: str
    usd: float | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratedImage:
    """A finished picture. `provider_job` names the vendor's (last) job, `attempts` counts all requests made."""

    content: bytes = field(repr=False)
    content_type: str
    width: int
    height: int
    timings: Timings
    provider_job: str
    cost: Cost | None = None
    attempts: int = 1


@dataclass(frozen=True)
class ProviderHealth:
    """Whether the provider can take work, and in words what it said of itself. Asking never starts a GPU."""

    healthy: bool
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)


class Provider(Protocol):
    """A connected provider. Both methods raise ProviderError; `generate` cancels what it gives up."""

    def health(self) -> ProviderHealth: ...

    def generate(
        self,
        request: GenerationRequest,
        *,
        deadline_seconds: float = GENERATION_SECONDS,
        cancelled: threading.Event | None = None,
    ) -> GeneratedImage: ...


@dataclass(frozen=True, kw_only=True)
class ProviderSpec:
    """Everything that the rest of the package knows about a provider. Times are in seconds."""

    name: str
    title: str
    settings: type[ProviderSettings]
    connect: Callable[[Any, httpx.Client, Clock], Provider]  # Any: its own settings model
    operations: frozenset[Operation]
    cold_start_seconds: float
    help_url: str

    @property
    def bindings(self) -> tuple[Binding, ...]:
        return self.settings.bindings()
