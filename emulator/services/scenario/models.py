"""Scenario's models as far as they are needed here, and what a request to one of them asks for. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

BASE64_PREFIX = "data:"
LARGEST_SIDE = 2048


class ScenarioError(Exception):
    """An answer of 4xx. The body's form is not confirmed; clients look for `message` and `details`."""

    def __init__(self, status: int, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details


@dataclass(frozen=True)
class Model:
    """One model. `operations` are what it can do; `step` is what width and height must be multiples of."""

    id: str
    name: str
    operations: frozenset[str]
    step: int = 1

    @property
    def needs_image(self) -> bool:
        return self.operations == {"remove_background"}

    def record(self) -> Json:
        """As GET /models shows it."""
        inputs: list[Json] = []
        if not self.needs_image:
            inputs = [
                {"name": "prompt", "type": "string", "required": True},
                {"name": "width", "type": "number", "default": 1024, "min": 256, "max": LARGEST_SIDE},
                {"name": "height", "type": "number", "default": 1024, "min": 256, "max": LARGEST_SIDE},
                {"name": "numSamples", "type": "number", "default": 1, "min": 1, "max": 4},
                {"name": "seed", "type": "number"},
            ]
        if self.needs_image or "img2img" in self.operations:
            inputs.append({"name": "image", "type": "file", "kind": "image", "required": self.needs_image})
        return {"id": self.id, "name": self.name, "type": "custom", "status": "trained", "privacy": "public",
                "inputs": inputs}  # fmt: skip


GENERATES = frozenset({"txt2img", "img2img"})
MODELS: Mapping[str, Model] = {
    model.id: model
    for model in (
        Model("model_bfl-flux-2-dev", "Flux 2 dev", GENERATES, step=16),
        Model("model_imagen4-ultra", "Imagen 4 Ultra", frozenset({"txt2img"})),
        Model("flux.1-dev", "Flux.1 dev", GENERATES),
        Model("model_photoroom-background-removal", "Photoroom", frozenset({"remove_background"})),
    )
}
# Simulated seconds in progress, and creative units: both are figures of this emulator.
SECONDS: Mapping[str, float] = {"txt2img": 9.0, "img2img": 12.0, "remove_background": 4.0}
CREATIVE_UNITS: Mapping[str, int] = {"txt2img": 5, "img2img": 6, "remove_background": 2}


@dataclass(frozen=True)
class Order:
    """What a job is to make. `source` is an asset's id."""

    operation: str
    job_type: str
    cost_name: str
    body: Json
    prompt: str = ""
    width: int | None = None
    height: int | None = None
    count: int = 1
    seed: int | None = None
    strength: float = 0.8
    source: str | None = None

    @property
    def cost(self) -> int:
        return CREATIVE_UNITS[self.operation] * self.count


def find_model(model_id: object) -> Model:
    """400 for no string, 404 for a model that is not there."""
    if not isinstance(model_id, str):
        raise ScenarioError(400, '"modelId" must be a string')
    if model_id not in MODELS:
        raise ScenarioError(404, f"Model {model_id} not found")
    return MODELS[model_id]


def custom_order(model_id: str, body: Json) -> Order:
    """POST /generate/custom/{modelId}."""
    model = find_model(model_id)
    generates = "img2img" if body.get("image") is not None else "txt2img"
    operation = "remove_background" if model.needs_image else generates
    if operation not in model.operations:
        raise ScenarioError(400, f"model {model.id} has no input image")
    return _order(operation, "custom", "custom-generation", model, body)


def legacy_order(route: str, body: Json) -> Order:
    """POST /generate/txt2img, img2img, remove-background."""
    if route == "remove-background":
        model = MODELS["model_photoroom-background-removal"]
        return _order("remove_background", "remove-background", "remove-background", model, body)
    model = find_model(body.get("modelId"))
    if route not in model.operations:
        raise ScenarioError(400, f"model {model.id} cannot be used for {route}")
    return _order(route, "flux" if "flux" in model.id else "inference", route, model, body)


def _order(operation: str, job_type: str, cost_name: str, model: Model, body: Json) -> Order:
    source = body.get("image")
    if operation != "txt2img" and not isinstance(source, str):
        raise ScenarioError(400, "image parameter is required")
    if operation == "remove_background":
        return Order(operation, job_type, cost_name, body, source=source)
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ScenarioError(400, '"prompt" is required')
    width, height = _side(body, "width", model), _side(body, "height", model)
    strength = body.get("strength", 0.8)
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise ScenarioError(400, '"strength" must be between 0 and 1')
    count = body.get("numSamples", body.get("numOutputs", 1))
    if not isinstance(count, int) or not 1 <= count <= 4:
        raise ScenarioError(400, '"numSamples" must be between 1 and 4')
    seed = body.get("seed")
    if seed is not None and not (isinstance(seed, int | str) and str(seed).isdigit()):
        raise ScenarioError(400, '"seed" must be a number')
    return Order(
        operation, job_type, cost_name, body, prompt, width, height, count,
        None if seed is None else int(seed), float(strength), source if operation == "img2img" else None,
    )  # fmt: skip


def _side(body: Json, name: str, model: Model) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or not 64 <= value <= LARGEST_SIDE:
        raise ScenarioError(400, f'"{name}" must be between 64 and {LARGEST_SIDE}')
    if value % model.step:
        raise ScenarioError(400, f'"{name}" must be a multiple of {model.step}')
    return value


def decoded(text: object) -> bytes:
    """The bytes of a base64 string or data URL; 400 when there are none."""
    if not isinstance(text, str):
        raise ScenarioError(400, '"image" must be a string')
    data = text.partition(",")[2] if text.startswith(BASE64_PREFIX) else text
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ScenarioError(400, '"image" must be a valid base64 string') from None
