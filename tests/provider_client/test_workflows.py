"""The graphs: every parameter has a place, every model is in the manifest, the image is built from the same list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_client.models import Operation
from provider_client.workflows import MANIFEST, WorkflowOptions, accepted, fill, load_workflow, native_size

ROOT = Path(__file__).parents[2]
MODELS = json.loads(MANIFEST.read_text())
DOCKERFILE = (ROOT / "infra/runpod_image/Dockerfile").read_text()
MODEL_INPUTS = ("ckpt_name", "bg_removal_name", "vae_name", "unet_name", "lora_name")

# Required inputs as GET /object_info of ComfyUI 0.25.0 lists them.
NODES = {
    "CheckpointLoaderSimple": {"ckpt_name"},
    "CLIPTextEncode": {"text", "clip"},
    "EmptyLatentImage": {"width", "height", "batch_size"},
    "KSampler": {"model", "seed", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative",
                 "latent_image", "denoise"},
    "VAEDecode": {"samples", "vae"},
    "VAEEncode": {"pixels", "vae"},
    "LoadImage": {"image"},
    "SaveImage": {"images", "filename_prefix"},
    "ImageScale": {"image", "upscale_method", "width", "height", "crop"},
    "LoadBackgroundRemovalModel": {"bg_removal_name"},
    "RemoveBackground": {"bg_removal_model", "image"},
    "InvertMask": {"mask"},
    "JoinImageWithAlpha": {"image", "alpha"},
}  # fmt: skip

every_operation = pytest.mark.parametrize("operation", list(Operation))


@every_operation
def test_a_graph_has_the_inputs_that_comfyui_requires_and_no_others(operation: Operation) -> None:
    for node in load_workflow(operation)["graph"].values():
        assert set(node["inputs"]) == NODES[node["class_type"]]


@every_operation
def test_every_link_leads_to_a_node_and_the_output_saves(operation: Operation) -> None:
    workflow = load_workflow(operation)
    links = [
        value
        for node in workflow["graph"].values()
        for value in node["inputs"].values()
        if isinstance(value, list)
    ]
    assert all(target in workflow["graph"] and isinstance(index, int) for target, index in links)
    assert workflow["graph"][workflow["output"]]["class_type"] == "SaveImage"


@every_operation
def test_every_parameter_has_a_default_and_a_place_that_is_no_link(operation: Operation) -> None:
    workflow = load_workflow(operation)
    assert set(workflow["parameters"]) == set(workflow["defaults"])
    for name, places in workflow["parameters"].items():
        for node, field in places:
            assert not isinstance(workflow["graph"][node]["inputs"][field], list), name


@every_operation
def test_a_filled_value_reaches_its_places_and_leaves_the_source_alone(operation: Operation) -> None:
    workflow = load_workflow(operation)
    before = json.dumps(workflow)
    graph = fill(workflow, {"filename_prefix": "probe"})
    assert graph[workflow["output"]]["inputs"]["filename_prefix"] == "probe"
    assert json.dumps(workflow) == before


def test_none_means_the_default_and_an_unknown_name_is_refused() -> None:
    workflow = load_workflow(Operation.TXT2IMG)
    assert fill(workflow, {"steps": None})["3"]["inputs"]["steps"] == workflow["defaults"]["steps"]
    with pytest.raises(ValueError, match="sed"):
        fill(workflow, {"sed": 3})


def test_the_background_mask_is_inverted_before_it_becomes_alpha() -> None:
    """JoinImageWithAlpha inverts the alpha that it is given (ComfyUI's own blueprint does the same)."""
    for operation in (Operation.REMOVE_BACKGROUND, Operation.PIPELINE):
        graph = load_workflow(operation)["graph"]
        join = next(node for node in graph.values() if node["class_type"] == "JoinImageWithAlpha")
        assert graph[join["inputs"]["alpha"][0]]["class_type"] == "InvertMask"


@every_operation
def test_the_stacks_options_fill_what_the_workflow_has_and_nothing_else(operation: Operation) -> None:
    options = WorkflowOptions(checkpoint="ours.safetensors", backgroundRemovalModel="cut.safetensors", steps=7)  # type: ignore[call-arg]
    workflow = load_workflow(operation)
    text = json.dumps(fill(workflow, accepted(workflow, options.parameters())))
    assert ("ours.safetensors" in text) == ("checkpoint" in workflow["parameters"])
    assert ("cut.safetensors" in text) == ("background_removal_model" in workflow["parameters"])


def test_the_defaults_are_the_same_everywhere() -> None:
    for operation in Operation:
        workflow = load_workflow(operation)
        options = accepted(workflow, WorkflowOptions().parameters())
        assert options.items() <= workflow["defaults"].items()


@every_operation
def test_every_model_that_a_graph_names_is_in_the_manifest(operation: Operation) -> None:
    known = {model["name"] for model in MODELS["models"]}
    graph = load_workflow(operation)["graph"]
    named = {node["inputs"][field] for node in graph.values() for field in MODEL_INPUTS if field in node["inputs"]}
    assert named <= known


@pytest.mark.parametrize("model", MODELS["models"], ids=lambda model: model["name"])
def test_the_image_contains_each_model_with_its_checksum_in_its_folder(model: dict[str, str]) -> None:
    step = re.search(rf"ADD --checksum=sha256:{model['sha256']} \\\n\s+(\S+) \\\n\s+(\S+)", DOCKERFILE)
    assert step is not None
    assert step.groups() == (model["download"], f"/comfyui/models/{model['folder']}/{model['name']}")
    assert model["download"].startswith(model["source"])


def test_the_image_contains_no_model_that_the_manifest_does_not_name() -> None:
    assert DOCKERFILE.count("ADD --checksum") == len(MODELS["models"])


def test_the_image_has_a_comfyui_that_can_remove_backgrounds() -> None:
    version = re.search(r"ARG COMFYUI_VERSION=(\S+)", DOCKERFILE)
    assert version is not None
    assert version[1] == MODELS["comfyui"]["installed"]
    as_numbers = [tuple(map(int, text.split("."))) for text in (version[1], MODELS["comfyui"]["minimum"])]
    assert as_numbers[0] >= as_numbers[1] >= (0, 21, 0)


@given(width=st.integers(16, 4096), height=st.integers(16, 4096))
def test_the_native_size_keeps_the_shape_on_the_models_grid(width: int, height: int) -> None:
    native = native_size(width, height)
    assert all(side % 64 == 0 and side >= 64 for side in native)
    if max(width, height) <= 4 * min(width, height):
        assert native[0] / native[1] == pytest.approx(width / height, rel=0.13)
        assert 0.8 * 1024**2 < native[0] * native[1] < 1.2 * 1024**2
