"""ComfyUI graphs as data: one file per operation, read by this package and, at deploy time, by the Worker.

A file has the graph in ComfyUI's API format, the places of each named parameter in it, the values used when
nobody says otherwise, and the id of the SaveImage node whose picture is the result.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from provider_client.models import Operation

Workflow = dict[str, Any]
Graph = dict[str, Any]

MANIFEST = Path(__file__).parent.parent / "models_manifest.json"
NATIVE_PIXELS = 1024  # SDXL is trained on pictures of about 1024 x 1024; smaller ones come out broken
GRID_PIXELS = 64


class WorkflowOptions(BaseModel):
    """What a stack fills the graphs with: the Worker's WORKFLOWS binding and the same variable for local runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    checkpoint: str = "sd_xl_base_1.0.safetensors"
    background_removal_model: str = Field("birefnet.safetensors", alias="backgroundRemovalModel")
    steps: int = Field(20, ge=1, le=150)
    batch_size: int = Field(1, alias="batchSize", ge=1, le=8)
    precision: str = "default"  # for graphs with a UNETLoader; a checkpoint carries its own precision

    def parameters(self) -> dict[str, object]:
        return self.model_dump()


@cache
def _text(operation: str) -> str:
    return (Path(__file__).parent / f"{operation}.json").read_text(encoding="utf-8")


def load_workflow(operation: Operation) -> Workflow:
    """The workflow of one operation; a fresh copy, to be filled or changed freely."""
    workflow: Workflow = json.loads(_text(Operation(operation).value))
    return workflow


def fill(workflow: Workflow, parameters: Mapping[str, object]) -> Graph:
    """The graph with every parameter written to its places; a value of None means the workflow's default.

    Raises ValueError for a name that the workflow does not have: a misspelt seed must not be ignored in silence.
    """
    unknown = sorted(set(parameters) - set(workflow["parameters"]))
    if unknown:
        raise ValueError(f"the workflow has no parameter {', '.join(unknown)}")
    graph: Graph = copy.deepcopy(workflow["graph"])
    for name, places in workflow["parameters"].items():
        value = parameters.get(name)
        for node, field in places:
            graph[node]["inputs"][field] = workflow["defaults"][name] if value is None else value
    return graph


def accepted(workflow: Workflow, parameters: Mapping[str, object]) -> dict[str, object]:
    """Those of the parameters that this workflow has a place for: options are set per stack, not per operation."""
    return {name: value for name, value in parameters.items() if name in workflow["parameters"]}


def native_size(width: int, height: int) -> tuple[int, int]:
    """The size to generate at before scaling to width x height: same shape, about the model's number of pixels."""
    stretch = math.sqrt(width / height)
    return _on_grid(NATIVE_PIXELS * stretch), _on_grid(NATIVE_PIXELS / stretch)


def _on_grid(pixels: float) -> int:
    return max(GRID_PIXELS, round(pixels / GRID_PIXELS) * GRID_PIXELS)


@cache
def model_sources() -> Mapping[str, tuple[str, str]]:
    """File name -> (folder under models/, page to get it from): the list that the RunPod image is built from."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return {model["name"]: (model["folder"], model["source"]) for model in manifest["models"]}
