"""What `switchback generate` is asked for: one asset on the command line, or a plan file of many."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from provider_client.errors import ConfigError
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers.images import NotAnImage, decode_picture
from provider_client.providers.work import LARGEST_DRAWN_SEED, LARGEST_SEED, LARGEST_SIDE, SMALLEST_SPRITE

Model = TypeVar("Model", bound=BaseModel)


class PlannedAsset(BaseModel):
    """One entry of a plan file. `image` is a path, relative to the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    operation: Operation = Operation.TXT2IMG
    prompt: str | None = None
    negative_prompt: str | None = None
    image: Path | None = None
    width: int | None = Field(None, ge=SMALLEST_SPRITE, le=LARGEST_SIDE)
    height: int | None = Field(None, ge=SMALLEST_SPRITE, le=LARGEST_SIDE)
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    strength: float | None = Field(None, ge=0, le=1)


class Plan(BaseModel):
    """A set of assets; a plain list is taken as one too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assets: tuple[PlannedAsset, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return {"assets": value} if isinstance(value, list) else value


def read_plan(path: Path) -> tuple[PlannedAsset, ...]:
    """The assets of a YAML or JSON file; ConfigError names the entry and field that is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the plan {path} cannot be read: {error.strerror}", fix="check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"the plan {path} is neither YAML nor JSON", fix="see README: generate --plan") from None
    return validated(Plan, content, str(path)).assets


def validated(model: type[Model], values: object, where: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {place}: {first['msg']}", fix="`switchback generate --help`") from None


def request_for(asset: PlannedAsset, base: Path) -> GenerationRequest:
    image = None
    if asset.image is not None:
        try:
            content = (base / asset.image).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the image {asset.image} cannot be read: {error.strerror}", fix="check it"
            ) from None
        image = InputImage(base64=base64.b64encode(content).decode("ascii"))
        try:
            decode_picture(image.base64 or "")
        except NotAnImage:
            raise ConfigError(
                f"{asset.image} is not a PNG, JPEG or WebP picture", fix="give another file"
            ) from None
    seed = random.randint(0, LARGEST_DRAWN_SEED) if asset.seed is None else asset.seed  # noqa: S311
    return GenerationRequest(
        operation=asset.operation,
        prompt=None if asset.operation is Operation.REMOVE_BACKGROUND else asset.prompt,
        negative_prompt=asset.negative_prompt,
        image=image,
        width=asset.width,
        height=asset.height,
        seed=None if asset.operation is Operation.REMOVE_BACKGROUND else seed,
        strength=asset.strength,
    )
