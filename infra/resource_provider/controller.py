"""What the server asks of each resource type: a controller on plain Python values, synchronous, in a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from infra.resource_provider.property_values import is_known
from provider_client.clock import Clock
from provider_client.errors import Cancelled, ConfigError, SwitchbackError

Properties = dict[str, Any]
PROJECT_DIRECTORY = Path(__file__).resolve().parents[2]

LONGEST_NAP_SECONDS = 0.25  # so soon a wait notices that it was cancelled


class Log(Protocol):
    """Where a controller speaks: `status` replaces the text behind the resource, the others stay on the screen."""

    def status(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ProviderConfig:
    """The inputs of the provider resource; what is empty there comes from the vendors' environment variables."""

    cloudflare_api_token: str = field(default="", repr=False)
    cloudflare_base_url: str = ""
    runpod_api_key: str = field(default="", repr=False)
    runpod_management_url: str = ""
    gateway_token: str = field(default="", repr=False)
    project_dir: Path = PROJECT_DIRECTORY

    @classmethod
    def from_properties(
        cls, properties: Mapping[str, Any], environment: Mapping[str, str] = os.environ
    ) -> ProviderConfig:
        def setting(name: str, variable: str) -> str:
            value = properties.get(name)
            return str(value) if value and is_known(value) else environment.get(variable, "")

        return cls(
            cloudflare_api_token=setting("cloudflareApiToken", "CLOUDFLARE_API_TOKEN"),
            cloudflare_base_url=setting("cloudflareBaseUrl", "CLOUDFLARE_BASE_URL"),
            runpod_api_key=setting("runpodApiKey", "RUNPOD_API_KEY"),
            runpod_management_url=setting("runpodManagementUrl", "RUNPOD_REST_API_URL"),
            gateway_token=setting("gatewayToken", "SWITCHBACK_GATEWAY_TOKEN"),
            # no input of the provider resource: a path of this machine has no place in the state
            project_dir=Path(environment.get("SWITCHBACK_PROJECT_DIR") or PROJECT_DIRECTORY),
        )

    def require(self, value: str, name: str, fix: str) -> str:
        if not value:
            raise ConfigError(f"the resource provider has no {name}", fix=fix)
        return value


class InterruptibleClock:
    """A clock whose sleep ends soon, with Cancelled, when the engine asks the plugin to stop."""

    def __init__(self, clock: Clock, cancelled: threading.Event) -> None:
        self._clock = clock
        self._cancelled = cancelled

    @property
    def speed(self) -> float:
        return self._clock.speed

    def now(self) -> float:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        ends = self.now() + seconds
        while not self._cancelled.is_set():
            left = ends - self.now()
            if left <= 0:
                return
            self._clock.sleep(min(left, LONGEST_NAP_SECONDS))
        raise Cancelled("stopped because the update was cancelled")


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that a controller may use besides its arguments.

    `wall` is real time, for calls and their deadlines; `clock` is the provider's time (the emulator's may be
    faster), for everything that a GPU takes time for. `timeout_seconds` is the resource's custom timeout or 0.
    """

    urn: str
    config: ProviderConfig
    http: httpx.Client
    log: Log
    wall: Clock
    clock: Clock
    cancelled: threading.Event
    timeout_seconds: float = 0.0

    def interruptible(self, clock: Clock) -> Clock:
        """`clock`, for waits that may simply end when the update is cancelled."""
        return InterruptibleClock(clock, self.cancelled)


@dataclass(frozen=True)
class Failure:
    """A wrong input: the property's path in wire names, and what is wrong with it."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    inputs: Properties
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Diff:
    """`changed`: wire names of properties to update; `replaces`: those that need a new resource."""

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Created:
    id: str
    outputs: Properties


@dataclass(frozen=True)
class Live:
    """What `read` found: the inputs that would make exactly this, and the outputs."""

    id: str
    inputs: Properties
    outputs: Properties


class CreatedButUnhealthy(SwitchbackError):
    """It exists and must stay in the state, but is not as wished; the next `up` repairs it as an update."""

    def __init__(
        self, message: str, *, resource_id: str, outputs: Properties, inputs: Properties, fix: str = ""
    ) -> None:
        super().__init__(message, fix=fix)
        self.resource_id = resource_id
        self.outputs = outputs
        self.inputs = inputs


class Controller(Protocol):
    """Life cycle of one resource type. In preview, `create` and `update` speak and write nothing.

    Outputs always include the inputs: `diff` is given the old outputs only (pulumi.provider.experimental).
    """

    secret_properties: frozenset[str]

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked: ...
    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff: ...
    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created: ...
    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None: ...
    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties: ...
    def delete(self, session: Session, resource_id: str, state: Properties) -> None: ...
