"""worker-comfyui 5.8.5 inside a RunPod worker: its handler's answers, word for word as recorded or as in its code."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from emulator.services.comfy_graph import ExecutionError, GraphEngine
from emulator.services.comfy_operations import CUDA_OUT_OF_MEMORY, operation_of
from emulator.services.comfy_validation import Graph, Json, Judgement, Shelf, is_graph, judge
from emulator.services.spoiling import spoil_of

# Simulated seconds of a job on a warm worker; a job that is refused takes REFUSED_SECONDS.
SECONDS: Mapping[str, float] = {
    "txt2img": 12.0,
    "img2img": 14.0,
    "remove_background": 6.0,
    "pipeline": 25.0,
    "check": 0.3,
}
REFUSED_SECONDS = 0.2
CRASHED = "WebSocket communication error: ComfyUI HTTP unreachable during websocket reconnect"
SERVER_ERROR = "500 Server Error: Internal Server Error for url: http://127.0.0.1:8188/prompt"
SLOW_NODES = ("KSampler", "RemoveBackground")


def operation(job_input: Any) -> str:
    """Which of the four operations a job asks for; "check" for anything without a model."""
    graph = job_input.get("workflow") if isinstance(job_input, dict) else None
    return operation_of(graph) if graph is not None and is_graph(graph) else "check"


class Handled(NamedTuple):
    """What the handler returned ({"images": ...} or {"error": ...}) and how long it took, without jitter."""

    answer: Json
    seconds: float


def handle(job_input: Any, engine: GraphEngine, fault: str | None = None) -> Handled:
    """Does one job. Costs CPU: call it in a thread."""
    checked = _checked(job_input)
    if isinstance(checked, str):
        return Handled({"error": checked}, REFUSED_SECONDS)
    problems = _upload(checked.get("images") or [], engine)
    if problems:
        details = {"error": "Failed to upload one or more input images", "details": problems}
        return Handled(details, REFUSED_SECONDS)
    graph = checked["workflow"]
    if not is_graph(graph):
        return Handled({"error": f"Error queuing workflow: {SERVER_ERROR}"}, REFUSED_SECONDS)
    models = {} if fault == "model_not_found" else engine.models
    judgement = judge(graph, Shelf(models, engine.has_input))
    if judgement.error is not None:
        text = _validation_text(judgement, list(models.get("checkpoints", ())))
        return Handled({"error": text}, REFUSED_SECONDS)
    cached = set(judgement.outputs) <= set(engine.cached(graph))
    seconds = SECONDS["check" if cached else operation_of(graph)]
    return Handled(_run(graph, judgement.outputs, engine, fault), seconds)


def _run(graph: Graph, outputs: list[str], engine: GraphEngine, fault: str | None) -> Json:
    if fault == "crash":
        return {"error": CRASHED}
    if fault == "out_of_memory":
        node = next((n for n, body in graph.items() if body["class_type"] in SLOW_NODES), outputs[0])
        return _failed(graph[node]["class_type"], node, CUDA_OUT_OF_MEMORY)
    try:
        ran = engine.run(graph, outputs, spoil_of(fault))
    except ExecutionError as error:
        return _failed(error.node_type, error.node, error.message)
    return _result(ran.outputs, engine, fault)


def _checked(job_input: Any) -> Json | str:
    """The input as the handler validates it, or its sentence."""
    if job_input is None:
        return "Please provide input"
    if isinstance(job_input, str):
        try:
            job_input = json.loads(job_input)
        except ValueError:
            return "Invalid JSON format in input"
    if not isinstance(job_input, dict) or job_input.get("workflow") is None:
        return "Missing 'workflow' parameter"
    images = job_input.get("images")
    if images is not None and (
        not isinstance(images, list)
        or not all(isinstance(one, dict) and "name" in one and "image" in one for one in images)
    ):
        return "'images' must be a list of objects with 'name' and 'image' keys"
    return job_input


def _upload(images: list[Json], engine: GraphEngine) -> list[str]:
    problems = []
    for one in images:
        name, data = one["name"], one["image"]
        try:
            content = base64.b64decode(data.split(",", 1)[1] if "," in data else data)
        except binascii.Error as error:
            problems.append(f"Error decoding base64 for {name}: {error}")
            continue
        folder, _, filename = name.rpartition("/")
        engine.upload(filename, content, overwrite=True, folder=folder)
    return problems


def _validation_text(judgement: Judgement, checkpoints: list[str]) -> str:
    error: Json = judgement.error or {}
    body = {"error": error, "node_errors": judgement.node_errors}
    if not judgement.node_errors:
        return f"{_headline(error)}. Raw response: {json.dumps(body)}"
    details = [
        f"Node {node} ({name}): {value}"
        for node, problems in judgement.node_errors.items()
        for name, value in problems.items()
    ]
    text = f"{_headline(error)}:\n" + "\n".join(f"• {detail}" for detail in details)
    if not any("not in list" in detail and "ckpt_name" in detail for detail in details):
        return text
    if checkpoints:
        return f"{text}\n\nAvailable checkpoint models: {', '.join(checkpoints)}"
    return f"{text}\n\nNo checkpoint models appear to be available. Please check your model installation."


def _headline(error: Json) -> str:
    if error.get("type") == "prompt_outputs_failed_validation":
        return "Workflow validation failed"
    return str(error.get("message", "Workflow validation failed"))


def _failed(node_type: str, node: str, message: str) -> Json:
    detail = f"Workflow execution error: Node Type: {node_type}, Node ID: {node}, Message: {message}"
    return {"error": "Job processing failed", "details": [detail]}


def _result(outputs: Json, engine: GraphEngine, fault: str | None) -> Json:
    images = []
    for shown in outputs.values():
        for one in shown.get("images", ()):
            if one["type"] == "temp" or fault == "no_image":
                continue
            content = engine.files[one["type"], one["subfolder"], one["filename"]]
            data = base64.b64encode(content).decode("ascii")
            images.append({"filename": one["filename"], "type": "base64", "data": data})
    if not images:
        return {"status": "success_no_images", "images": []}
    if fault == "partial":
        lost = images.pop() if len(images) > 1 else {"filename": "second_00001_.png"}
        return {
            "images": images,
            "errors": [f"Failed to fetch image data for {lost['filename']} from /view endpoint."],
        }
    return {"images": images}
