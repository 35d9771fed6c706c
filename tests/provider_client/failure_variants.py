"""Failures as vendors' sources and users' reports show them, beyond what was recorded: what each has to be called.

Sources: handler.py of worker-comfyui 3 to 5 and rp_job.py of RunPod's SDK, execution.py and folder_paths.py of
ComfyUI, and jobs that users of RunPod published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """`body` is a parsed body, or with `status` an HTTP answer; `says` has to stand in the message."""

    provider: str
    body: Any
    kind: str
    says: str
    retryable: bool = False
    status: int | None = None


def job(error: str, *details: str) -> dict[str, Any]:
    """A failed job of RunPod; worker-comfyui's details stay in its output."""
    failed = {"id": "x-u1", "status": "FAILED", "error": error, "delayTime": 2188, "executionTime": 42078}
    return {**failed, "output": {"details": list(details)}} if details else failed


def run_error(message: str, node: str = "KSampler") -> dict[str, Any]:
    return job(
        "Job processing failed", f"Workflow execution error: Node Type: {node}, Node ID: 3, Message: {message}"
    )


def completed(output: object) -> dict[str, Any]:
    return {"id": "x-u1", "status": "COMPLETED", "output": output}


def history(exception_type: str, message: str) -> dict[str, Any]:
    error = {"node_type": "KSampler", "exception_type": exception_type, "exception_message": message}
    status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
    return {"id-1": {"prompt": [0, "id-1", {}, {}, ["9"]], "outputs": {}, "status": status}}


def refused(field: str, value: str, *more: dict[str, Any]) -> dict[str, Any]:
    error = {"type": "value_not_in_list", "message": "Value not in list", "details": f"{field}: '{value}' not in []",
             "extra_info": {"input_name": field, "received_value": value}}  # fmt: skip
    failed = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
    return {"error": failed, "node_errors": {"4": {"errors": [*more, error], "class_type": "Loader"}}}


REFUSED_CONNECTION = (
    "HTTPConnectionPool(host='127.0.0.1', port=8188): Max retries exceeded with url: /prompt (Caused by "
    "NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))"
)
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/handler.py", line 7, in handler\n    raise x\n    ^^^^^\n'
)
LONG_LIST = ", ".join(f"'sampler_{number}'" for number in range(60))
LONG_VALIDATION = (
    "Workflow validation failed:\n"
    f"• Node 3 (errors): [{{'type': 'value_not_in_list', 'details': \"sampler_name: 'x' not in [{LONG_LIST}]\"}}]\n"
    "• Node 4 (errors): [{'type': 'value_not_in_list', 'details': \"ckpt_name: 'gone.safetensors' not in ['a']\"}]"
)
LONG_ERROR = {"type": "value_not_in_list", "message": "Value not in list", "details": f"x: 'y' not in [{LONG_LIST}]",
              "extra_info": {"input_name": "x"}}  # fmt: skip
REJECTED_PICTURE = job("Failed to upload one or more input images", "Error uploading a.png: 413 Client Error")

VARIANTS = [
    # RunPod's platform
    Variant("runpod", job("executionTimeout exceeded"), "TIMEOUT", "executionTimeout", retryable=True),
    Variant("runpod", job("job timed out after 1 retries"), "TIMEOUT", "timed out", retryable=True),
    Variant("runpod", {"id": "x-u1", "status": "TIMED_OUT"}, "TIMEOUT", "ended as TIMED_OUT", retryable=True),
    Variant("runpod", {"id": "x-u1", "status": "CANCELLED"}, "UNKNOWN", "ended as CANCELLED", retryable=True),
    Variant("runpod", {}, "UNAVAILABLE", "HTTP 503", retryable=True, status=503),
    Variant("runpod", job("worker exited with exit code 1"), "UNAVAILABLE", "exit code 1", retryable=True),
    Variant("runpod", {"error": "You do not have enough balance"}, "QUOTA", "balance", status=400),
    Variant("runpod", "Unauthorized", "AUTH", "Unauthorized", status=401),
    Variant("runpod", None, "UNAVAILABLE", "null", retryable=True, status=200),
    Variant("runpod", [], "UNAVAILABLE", "", retryable=True, status=200),
    # tracebacks: the cause is their last line
    Variant("runpod", job(f"{TRACEBACK}torch.OutOfMemoryError: CUDA out of memory"), "OUT_OF_MEMORY", "CUDA out"),
    Variant("runpod", job(f"{TRACEBACK}KeyError: 'prompt_id'"), "UNKNOWN", "KeyError: 'prompt_id'"),
    Variant("runpod", job(f"{TRACEBACK}requests.ConnectionError: {REFUSED_CONNECTION}"),
            "UNAVAILABLE", "ConnectionError", retryable=True),
    Variant("runpod", job(f"handler: no room \ntraceback: {TRACEBACK}MemoryError: no room"),
            "OUT_OF_MEMORY", "no room"),
    # worker-comfyui 5
    Variant("runpod", job(LONG_VALIDATION), "MODEL_NOT_FOUND", "gone.safetensors"),
    Variant("runpod", job("ComfyUI validation failed (could not parse error response): x"), "BAD_REQUEST", "parse"),
    Variant("runpod", job(f"Error queuing workflow: {REFUSED_CONNECTION}"), "UNAVAILABLE", "refused",
            retryable=True),
    Variant("runpod", job("Job processing failed", "No outputs found in history for prompt 8a2c."),
            "EMPTY_RESULT", "No outputs", retryable=True),
    Variant("runpod", job("Job processing failed", "Failed to fetch image data for a.png from /view endpoint."),
            "EMPTY_RESULT", "a.png", retryable=True),
    Variant("runpod", REJECTED_PICTURE, "BAD_REQUEST", "413"),
    Variant("runpod", run_error("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "OUT_OF_MEMORY", "ALLOC_FAILED"),
    Variant("runpod", run_error("[Errno 2] No such file or directory: '/comfyui/models/vae/ae.safetensors'"),
            "MODEL_NOT_FOUND", "No such file"),
    Variant("runpod", run_error("Model in folder 'checkpoints' with filename 'x.safetensors' not found."),
            "MODEL_NOT_FOUND", "x.safetensors"),
    Variant("runpod", run_error("[Errno 28] No space left on device", "SaveImage"), "STORAGE", "No space",
            retryable=True),
    Variant("runpod", run_error("mat1 and mat2 shapes cannot be multiplied"), "UNKNOWN", "mat1"),
    # worker-comfyui before 5
    Variant("runpod", job("Error queuing workflow: HTTP Error 400: Bad Request"), "BAD_REQUEST", "400"),
    Variant("runpod", job("Max retries reached while waiting for image generation"), "TIMEOUT", "Max retries",
            retryable=True),
    Variant("runpod", completed({"status": "error", "message": "Some images failed to upload", "details": ["a"]}),
            "BAD_REQUEST", "failed to upload"),
    Variant("runpod", completed({"status": "error", "message":
                                 "the image does not exist in the specified output folder: /comfyui/output/a.png"}),
            "EMPTY_RESULT", "does not exist", retryable=True),
    # ComfyUI
    Variant("comfyui", refused("ipadapter_file", "ip-adapter.bin"), "MODEL_NOT_FOUND", "ip-adapter", status=400),
    Variant("comfyui", refused("lora_01", "pixel.safetensors"), "MODEL_NOT_FOUND", "pixel", status=400),
    Variant("comfyui", refused("ckpt_name", "gone.ckpt", LONG_ERROR), "MODEL_NOT_FOUND", "gone.ckpt", status=400),
    Variant("comfyui", refused("image", "absent.png"), "BAD_REQUEST", "absent.png", status=400),
    Variant("comfyui", history("torch.AcceleratorError", "CUDA error: out of memory"), "OUT_OF_MEMORY", "memory"),
    Variant("comfyui", history("FileNotFoundError", 'No such file or directory: "/c/models/checkpoints/x.ckpt"'),
            "MODEL_NOT_FOUND", "No such file"),
    Variant("comfyui", history("PIL.UnidentifiedImageError", "cannot identify image file '/c/input/x.png'"),
            "BAD_REQUEST", "cannot identify"),
    Variant("comfyui", history("FileNotFoundError", "[Errno 2] No such file or directory: '/c/input/x.png'"),
            "BAD_REQUEST", "No such file"),
    Variant("comfyui", {"error": "no prompt", "node_errors": []}, "BAD_REQUEST", "no prompt", status=400),
    # Scenario
    Variant("scenario", {"job": {"status": "failure", "metadata": {"error": "Model model_x not found"}}},
            "MODEL_NOT_FOUND", "model_x"),
    Variant("scenario", {"error": "You reached the limit of your plan", "details":
                         {"actionName": "parallel-custom-jobs", "actionLimit": 2}},
            "RATE_LIMITED", "limit of your plan", retryable=True, status=429),
    Variant("scenario", {"message": "Endpoint request timed out"}, "TIMEOUT", "timed out", retryable=True,
            status=504),
    Variant("scenario", {"errors": [{"field": "width", "message": "must be a multiple of 16"}]}, "BAD_REQUEST",
            "multiple of 16", status=422),
    Variant("scenario", {"error": {"message": "Not enough creative units"}}, "QUOTA", "creative units", status=400),
]  # fmt: skip
