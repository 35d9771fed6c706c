"""The emulated worker-comfyui answers the recorded jobs word for word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.services.comfy_graph import GraphEngine
from emulator.services.runpod.worker_comfyui import handle
from tests.emulator.vendor_calls import WIRE, Json, Vendors

HANDLER = WIRE / "worker_comfyui/handler"
OUT_OF_MEMORY = "torch_out_of_memory"  # its scratch node is not emulated: the fault says the same
RECORDINGS = sorted(path for path in HANDLER.glob("*.json") if path.stem != OUT_OF_MEMORY)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_the_handler_returns_what_was_recorded(path: Path) -> None:
    recording = json.loads(path.read_text())
    answer = handle(recording["input"], GraphEngine({"checkpoints": ("broken.safetensors",)})).answer
    expected = recording["handler_return"]
    for one in (answer, expected):
        for image in one.get("images", ()):
            image["data"] = image["data"][:20]  # the recording is cut, and pictures differ
    assert answer == expected


def test_out_of_memory_has_the_recorded_words() -> None:
    recorded = json.loads((HANDLER / f"{OUT_OF_MEMORY}.json").read_text())
    (expected,) = recorded["handler_return"]["details"]
    workflow = {**recorded["input"]["workflow"], "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}}
    answer = handle({"workflow": workflow}, GraphEngine(), "out_of_memory").answer
    assert answer["error"] == recorded["handler_return"]["error"]
    assert answer["details"][0].partition("Message: ")[2] == expected.partition("Message: ")[2]


def words(job_input: object) -> Json:
    return handle(job_input, GraphEngine()).answer


@pytest.mark.parametrize(
    ("job_input", "error"),
    [
        (None, "Please provide input"),
        ("{not json", "Invalid JSON format in input"),
        ('{"workflow": null}', "Missing 'workflow' parameter"),
        ({"workflow": []}, "Error queuing workflow: 500 Server Error"),
        (
            {"workflow": {"1": {"class_type": "SaveImage", "inputs": 7}}},
            "Error queuing workflow: 500 Server Error",
        ),
        ({"workflow": {}}, 'Prompt has no outputs. Raw response: {"error": {"type": "prompt_no_outputs"'),
    ],
    ids=["none", "not json", "no workflow", "list", "odd inputs", "empty"],
)
def test_a_bad_input_is_refused_in_the_handlers_words(job_input: object, error: str) -> None:
    assert words(job_input)["error"].startswith(error)


def test_no_checkpoint_at_all_has_a_hint_of_its_own() -> None:
    workflow = json.loads((HANDLER / "missing_model.json").read_text())["input"]["workflow"]
    text = handle({"workflow": workflow}, GraphEngine({})).answer["error"]
    assert text.endswith("No checkpoint models appear to be available. Please check your model installation.")


def test_an_input_may_be_json_in_a_string(vendors: Vendors) -> None:
    recording = json.loads((HANDLER / "ok.json").read_text())
    endpoint = vendors.endpoint()
    job = vendors.jobs("POST", f"/{endpoint}/run", {"input": json.dumps(recording["input"])}).json()["id"]
    assert vendors.finished_job(endpoint, job)["status"] == "COMPLETED"
