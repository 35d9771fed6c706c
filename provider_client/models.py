"""The gateway's vocabulary, with the field names of infra/worker/openapi.yaml."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from provider_client.operation import Operation as Operation


class GenerationStatus(StrEnum):
    """Where a generation stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in (GenerationStatus.SUCCEEDED, GenerationStatus.FAILED, GenerationStatus.CANCELED)


class Wire(BaseModel):
    """Base of everything read from the wire: unknown fields are tolerated, values never change after parsing."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class InputImage(BaseModel):
    """An input picture: its bytes in base64, or the key of an asset that the gateway stored earlier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base64: str | None = None
    key: str | None = None


class GenerationRequest(BaseModel):
    """One request for one asset. Sizes are in pixels, `strength` is 0 (keep the input) to 1 (ignore it)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Operation
    prompt: str | None = None
    negative_prompt: str | None = None
    image: InputImage | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    strength: float | None = None


class Asset(Wire):
    """A stored result. `sha256` is lower-case hex of the stored bytes."""

    url: str
    key: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str


def _duration(value: object) -> object:
    """None for what cannot be one: a vendor's clock may run backwards, and money is counted from these figures."""
    return value if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None


Milliseconds = Annotated[float | None, BeforeValidator(_duration)]


class Timings(Wire):
    """As the provider and the gateway report them; None where nobody said anything sensible."""

    queue_ms: Milliseconds = None
    run_ms: Milliseconds = None
    store_ms: Milliseconds = None


class GenerationError(Wire):
    """Why a generation failed; `kind` is a name of failure_kinds.json."""

    kind: str
    message: str
    mitigation: str = ""
    retryable: bool = False
    provider_code: str | None = None


class Generation(Wire):
    """A job of the gateway. `id` is signed and names the provider that runs it."""

    id: str
    status: GenerationStatus
    provider: str
    operation: Operation
    assets: tuple[Asset, ...] = ()
    timings: Timings = Timings()
    error: GenerationError | None = None


class VersionInfo(Wire):
    """Cloudflare's version metadata as the running Worker sees it."""

    id: str
    tag: str = ""
    timestamp: str = ""


class Health(Wire):
    """Answer of GET /health; without a gateway token only status, provider and version are given.

    A Worker of the user's own may offer operations that are not known here.
    """

    status: str
    provider: str
    version: VersionInfo
    operations: tuple[str, ...] = ()
    checks: dict[str, object] = {}
