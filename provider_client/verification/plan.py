"""What a verification does, as data: it is a Pulumi input, a YAML file, and a part of the report.

A plan is JSON-serialisable both ways (`model_dump(mode="json")`, `model_validate`); floats such as 4.0 are taken
for whole numbers, because Pulumi knows no other kind.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from provider_client.errors import ConfigError
from provider_client.models import Operation
from provider_client.providers.work import LARGEST_SEED, NEEDS_IMAGE, NEEDS_PROMPT, wrong_size
from provider_client.verification.budget import allowance_for, budgets_for
from provider_client.verification.spending import Price, price_of

Stage = Literal["candidate", "live", "smoke"]
Source = Literal["shield", "sword", "coin", "gem"]
PictureType = Literal["image/png", "image/jpeg", "image/webp"]
Share = Annotated[float, Field(ge=0, le=1)]

# ComfyUI's SaveImage writes PNG and nothing else; what Scenario returns is not documented, so anything goes.
EXPECTED_FORMATS: Mapping[str, tuple[PictureType, ...]] = {"comfyui": ("image/png",), "runpod": ("image/png",)}
# A second request in flight makes RunPod start a second, cold worker, and waits in ComfyUI's one queue: we would judge
# what we caused ourselves.
IN_FLIGHT: Mapping[str, int] = {"scenario": 4, "comfyui": 1, "runpod": 1}


class PlannedAsset(BaseModel):
    """One asset to ask for. Sizes in pixels; without a seed each run draws one.

    `source` names a built-in drawing that serves as the input picture. `transparent` bounds the share of pixels
    that background removal must have made transparent: too little means nothing was cut out, too much that all was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=80)
    type: str = "asset"
    operation: Operation
    prompt: str | None = Field(default=None, max_length=4000)  # the gateway's limit
    negative_prompt: str | None = None
    source: Source | None = None
    width: int = Field(default=1024, ge=16, le=4096)
    height: int = Field(default=1024, ge=16, le=4096)
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    strength: Share | None = None
    transparent: tuple[Share, Share] = (0.05, 0.97)

    @model_validator(mode="after")
    def _has_what_the_operation_needs(self) -> Self:
        """A plan's own mistake is found here: the gateway would refuse it, and the provider be blamed."""
        if wrong := self._mistake():
            raise ValueError(f"asset '{self.name}': {wrong}")
        return self

    def asks_the_same_as(self, other: PlannedAsset) -> bool:
        return self.model_copy(update={"name": other.name, "type": other.type}) == other

    def _mistake(self) -> str | None:
        takes_image = self.operation in NEEDS_IMAGE
        if self.operation in NEEDS_PROMPT and not (self.prompt or "").strip():
            return f"{self.operation} needs a prompt"
        if takes_image != (self.source is not None):
            return f"{self.operation} {'needs a' if takes_image else 'takes no'} source picture"
        if self.strength is not None and self.operation is not Operation.IMG2IMG:
            return f"{self.operation} takes no strength"
        if self.transparent[0] > self.transparent[1]:
            return "transparent: the least share comes first"
        if self.operation is Operation.REMOVE_BACKGROUND:
            return None  # it has the size of its source
        return wrong_size(self.operation, self.width, self.height)


class VerificationPlan(BaseModel):
    """Assets, limits and spending of one verification. Times in seconds, money in US dollars."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stage: Stage = "live"
    provider: str = ""
    assets: tuple[PlannedAsset, ...] = ()
    budgets: dict[Operation, Annotated[float, Field(gt=0)]] = Field(default_factory=lambda: budgets_for("runpod"))
    first_request_allowance_seconds: float = Field(default=0.0, ge=0)
    in_flight: int = Field(default=1, ge=1, le=64)
    max_spend_usd: float | None = Field(default=None, ge=0)
    max_spend_usd_per_day: float | None = Field(default=None, ge=0)
    price: Price = Price()
    inconclusive: Literal["stop", "pass"] = "stop"
    reach_seconds: float = Field(default=180.0, ge=0)
    formats: tuple[PictureType, ...] = Field(default=("image/png", "image/jpeg", "image/webp"), min_length=1)

    @model_validator(mode="after")
    def _tells_its_assets_apart(self) -> Self:
        names = Counter(asset.name for asset in self.assets)
        if twice := next((name for name, count in names.items() if count > 1), None):
            raise ValueError(f"two assets are called '{twice}'")
        return self

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(dict.fromkeys(asset.operation for asset in self.assets))

    def budget(self, operation: Operation) -> float:
        return self.budgets.get(operation, budgets_for(self.provider)[operation])

    @property
    def estimate_usd(self) -> float | None:
        """What the run is expected to cost at most; None when no price is known."""
        costs = [self.price.of(self.budget(asset.operation)) for asset in self.assets]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        # Pulling a new release's container is not billed: a start is at most a cold one.
        billed = min(self.first_request_allowance_seconds, allowance_for(self.provider, new_release=False))
        start = (self.price.per_second_usd or 0.0) * billed if costs else 0.0
        return sum(known) + start

    def describe(self) -> str:
        """One line for a preview: "4 assets (2 txt2img, 2 pipeline), about $0.12 at most"."""
        count = f"{len(self.assets)} asset{'' if len(self.assets) == 1 else 's'}"
        counts = [(op, sum(asset.operation is op for asset in self.assets)) for op in self.operations]
        listed = ", ".join(f"{number} {operation}" for operation, number in counts)
        cost = "cost not known" if self.estimate_usd is None else f"about ${self.estimate_usd:.2f} at most"
        return f"{count} ({listed}), {cost}" if self.assets else "health only, costs nothing"


@cache
def game_assets() -> tuple[PlannedAsset, ...]:
    """The default plan's assets, twelve of different types."""
    text = (resources.files(__package__) / "plans" / "game_assets.yaml").read_text(encoding="utf-8")
    return tuple(PlannedAsset.model_validate(asset) for asset in yaml.safe_load(text)["assets"])


def default_plan(
    *,
    stage: Stage,
    provider: str,
    assets: int,
    operations: Sequence[Operation],
    budgets: Mapping[str, float] | None = None,
    max_spend_usd: float | None = None,
    max_spend_usd_per_day: float | None = None,
    price: Price | None = None,
    inconclusive: Literal["stop", "pass"] = "stop",
) -> VerificationPlan:
    """Game assets, taken in turn from each operation; `smoke` takes one per operation, whatever `assets` says."""
    count = min(len(operations), assets) if stage == "smoke" else assets
    return VerificationPlan(
        stage=stage,
        provider=provider,
        assets=_in_turn(operations, count),
        budgets=budgets_for(provider, budgets),
        first_request_allowance_seconds=allowance_for(provider, new_release=stage == "candidate"),
        in_flight=IN_FLIGHT.get(provider, 1),
        max_spend_usd=max_spend_usd,
        max_spend_usd_per_day=max_spend_usd_per_day,
        price=price or price_of(provider),
        inconclusive=inconclusive,
        **({"formats": EXPECTED_FORMATS[provider]} if provider in EXPECTED_FORMATS else {}),
    )


PLAN_FORM = "provider_client/verification/README.md shows a plan file"


def load_plan(path: Path, *, defaults: VerificationPlan) -> VerificationPlan:
    """A user's own plan file (YAML): `assets` plus any field of the plan; what is left out stays as in `defaults`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"plan file {path}: {error.strerror}", fix="give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"plan file {path} is not UTF-8 text", fix="give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"plan file {path} is not YAML: {str(error).splitlines()[0]}", fix=PLAN_FORM) from error
    if not isinstance(content, dict) or not content.get("assets"):
        raise ConfigError(
            f"plan file {path} lists no assets", fix="begin it with `assets:` and one item per asset"
        )
    if content.get("provider", defaults.provider) != defaults.provider:
        raise ConfigError(
            f"plan file {path} is for {content['provider']}, and {defaults.provider} is verified",
            fix="leave `provider` out",
        )
    fields = defaults.model_dump(mode="json") | content
    if isinstance(content.get("budgets"), dict):
        fields["budgets"] = {str(operation): seconds for operation, seconds in defaults.budgets.items()}
        fields["budgets"] |= content["budgets"]
    try:
        return VerificationPlan.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where, wrong = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        told = f"{where}: {wrong}" if where else wrong
        raise ConfigError(f"plan file {path}: {told}", fix=PLAN_FORM) from None


def _in_turn(operations: Sequence[Operation], count: int) -> tuple[PlannedAsset, ...]:
    """The first `count` assets, one operation after the other; a second round over the same asset is named so."""
    operations = tuple(dict.fromkeys(operations))
    choices = {op: [asset for asset in game_assets() if asset.operation is op] for op in operations}
    rounds = itertools.count()
    picked: list[PlannedAsset] = []
    while operations and len(picked) < count:
        turn = next(rounds)
        for operation in operations:
            again, index = divmod(turn, len(choices[operation]))
            asset = choices[operation][index]
            picked.append(asset.model_copy(update={"name": f"{asset.name} {again + 1}"}) if again else asset)
    return tuple(picked[:count])
