"""Every recorded error, and relatives of them, end in the expected kind: the table is data, and this is its proof."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_client.errors import ApiError, DeadlineExceeded, ExitCode, UnreachableError
from provider_client.failures import TABLE_FILE, Failure, FailureKind, ProviderError, classify
from provider_client.workflows import WorkflowOptions

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"
TABLE = json.loads(TABLE_FILE.read_text())

COMFYUI_ERRORS = {
    "0.25.0/jobs/job_cancel_not_supported": "BAD_REQUEST",
    "0.25.0/jobs/job_unknown": "BAD_REQUEST",
    "0.25.0/jobs/jobs_bad_status": "BAD_REQUEST",
    "0.25.0/queue_and_interrupt/08_history_interrupted": "UNKNOWN",
    "0.25.0/runtime_errors/broken_checkpoint/history": "UNKNOWN",
    "0.25.0/runtime_errors/cpu_out_of_memory/history": "OUT_OF_MEMORY",
    "0.25.0/server_info/models_unknown_folder": "BAD_REQUEST",
    "0.25.0/server_info/unknown_route": "BAD_REQUEST",
    "0.25.0/upload/no_file_field": "BAD_REQUEST",
    "0.25.0/validation_errors/body_not_json": "UNKNOWN",
    "0.25.0/validation_errors/cycle": "BAD_REQUEST",
    "0.25.0/validation_errors/empty_graph": "BAD_REQUEST",
    "0.25.0/validation_errors/invalid_input_type": "BAD_REQUEST",
    "0.25.0/validation_errors/link_to_missing_node": "BAD_REQUEST",
    "0.25.0/validation_errors/malformed_link": "BAD_REQUEST",
    "0.25.0/validation_errors/missing_background_model": "MODEL_NOT_FOUND",
    "0.25.0/validation_errors/missing_checkpoint": "MODEL_NOT_FOUND",
    "0.25.0/validation_errors/no_prompt_key": "BAD_REQUEST",
    "0.25.0/validation_errors/partly_valid_accepted_200": "BAD_REQUEST",
    "0.25.0/validation_errors/prompt_id_not_uuid": "BAD_REQUEST",
    "0.25.0/validation_errors/required_input_missing": "BAD_REQUEST",
    "0.25.0/validation_errors/return_type_mismatch": "BAD_REQUEST",
    "0.25.0/validation_errors/unknown_node_class": "BAD_REQUEST",
    "0.25.0/validation_errors/value_bigger_than_max": "BAD_REQUEST",
    "0.25.0/validation_errors/value_smaller_than_min": "BAD_REQUEST",
    "0.25.0/view_errors/missing_file": "BAD_REQUEST",
    "0.25.0/view_errors/traversal": "BAD_REQUEST",
    "0.3.64/jobs/jobs_not_available": "BAD_REQUEST",
    "0.3.64/runtime_errors/torch_out_of_memory/history": "OUT_OF_MEMORY",
    "0.3.64/validation_errors/cycle": "BAD_REQUEST",
    "0.3.64/validation_errors/missing_class_type": "BAD_REQUEST",
    "0.3.64/validation_errors/no_output_node": "BAD_REQUEST",
}
WORKER_ERRORS = {
    "handler/bad_base64": "BAD_REQUEST",
    "handler/bad_images": "BAD_REQUEST",
    "handler/missing_model": "MODEL_NOT_FOUND",
    "handler/missing_workflow": "BAD_REQUEST",
    "handler/only_temp_output": "EMPTY_RESULT",
    "handler/torch_out_of_memory": "OUT_OF_MEMORY",
    "handler/unknown_node": "BAD_REQUEST",
    "runpod_local_api/no_input": "BAD_REQUEST",
    "runpod_local_api/run_and_status/2_status_get": "BAD_REQUEST",
    # the local API drops output.details: what the cause was is lost, and not guessed
    "runpod_local_api/runsync_out_of_memory": "UNKNOWN",
}


def recorded(path: Path) -> httpx.Response:
    response = json.loads(path.read_text())["response"]
    body = response["body"]
    headers = {"content-type": response.get("headers", {}).get("content-type", "application/json")}
    if isinstance(body, str):
        content = b"" if body == "<empty body>" else body.encode()
        return httpx.Response(response["status"], headers=headers, content=content)
    return httpx.Response(response["status"], headers=headers, json=body)


def as_job(handler_return: dict[str, Any]) -> dict[str, Any]:
    """What the platform makes of a handler's return value (runpod SDK, rp_job.py)."""
    output = dict(handler_return)
    error = output.pop("error", None)
    job = {"id": "x-u1", "status": "FAILED", "error": error} if error else {"id": "x-u1", "status": "COMPLETED"}
    return {**job, "output": output} if output else job


@pytest.mark.parametrize("name", COMFYUI_ERRORS)
def test_every_recorded_comfyui_error_has_its_kind(name: str) -> None:
    failure = classify(recorded(WIRE / "comfyui" / f"{name}.json"), provider="comfyui")
    assert failure.kind.value == COMFYUI_ERRORS[name]


def test_no_recorded_comfyui_error_is_left_out() -> None:
    errors = {
        str(path.relative_to(WIRE / "comfyui").with_suffix(""))
        for path in (WIRE / "comfyui").rglob("*.json")
        if "response" in json.loads(path.read_text()) and is_error(recorded(path))
    }
    assert errors == set(COMFYUI_ERRORS)


def is_error(response: httpx.Response) -> bool:
    if response.status_code >= 400:
        return True
    return '"status_str":"error"' in response.text.replace(" ", "") or '"node_errors":{"' in response.text.replace(
        " ", ""
    )


@pytest.mark.parametrize("name", WORKER_ERRORS)
def test_every_recorded_worker_error_has_its_kind(name: str) -> None:
    path = WIRE / "worker_comfyui" / f"{name}.json"
    recording = json.loads(path.read_text())
    seen = recorded(path) if "response" in recording else as_job(recording["handler_return"])
    assert classify(seen, provider="runpod").kind.value == WORKER_ERRORS[name]


@pytest.mark.parametrize("name", [name for name in WORKER_ERRORS if name.startswith("handler/")])
def test_a_handlers_return_value_has_the_same_kind_before_the_platform_rearranges_it(name: str) -> None:
    returned = json.loads((WIRE / "worker_comfyui" / f"{name}.json").read_text())["handler_return"]
    assert classify(returned, provider="runpod").kind.value == WORKER_ERRORS[name]


@pytest.mark.parametrize("name", ["cpu_out_of_memory", "broken_checkpoint"])
def test_a_websocket_frame_has_the_kind_of_the_history(name: str) -> None:
    folder = WIRE / "comfyui" / "0.25.0" / "runtime_errors" / name
    frames = json.loads((folder / "ws.json").read_text())["messages"]
    frame = next(frame for frame in frames if frame["type"] == "execution_error")
    from_history = classify(recorded(folder / "history.json"), provider="comfyui")
    assert classify(frame, provider="comfyui") == from_history


def test_a_failed_entry_of_the_job_list_is_read_too() -> None:
    jobs = recorded(WIRE / "comfyui/0.25.0/jobs/jobs_list.json").json()["jobs"]
    kinds = {job["status"]: classify(job, provider="comfyui") for job in jobs if job["status"] != "completed"}
    assert kinds["cancelled"].retryable
    assert all(failure.kind is FailureKind.UNKNOWN for failure in kinds.values())


MODEL_FIELDS = ["ckpt_name", "unet_name", "vae_name", "lora_name", "clip_name2", "control_net_name", "model_name"]


def validation_error(field: str, details: str) -> dict[str, Any]:
    error = {"type": "value_not_in_list", "message": "Value not in list", "details": details,
             "extra_info": {"input_name": field, "received_value": "x"}}  # fmt: skip
    return {
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
        "node_errors": {"4": {"errors": [error], "class_type": "Loader"}},
    }


@pytest.mark.parametrize("field", MODEL_FIELDS)
@pytest.mark.parametrize("listed", ["[]", "['a.safetensors', 'b.safetensors']", "(list of length 31)"])
def test_any_model_field_with_any_list_is_a_missing_model(field: str, listed: str) -> None:
    """ComfyUI prints long lists as their length; the worker passes all of it on as one text."""
    body = validation_error(field, f"{field}: 'x.safetensors' not in {listed}")
    assert classify(httpx.Response(400, json=body), provider="comfyui").kind is FailureKind.MODEL_NOT_FOUND
    bullet = f"Workflow validation failed:\n• Node 4 (errors): {body['node_errors']['4']['errors']}"
    assert classify({"status": "FAILED", "error": bullet}, provider="runpod").kind is FailureKind.MODEL_NOT_FOUND


@pytest.mark.parametrize("field", ["sampler_name", "scheduler", "upscale_method"])
def test_a_wrong_choice_elsewhere_is_no_missing_model(field: str) -> None:
    body = validation_error(field, f"{field}: 'x' not in ['euler', 'ddim']")
    assert classify(httpx.Response(400, json=body), provider="comfyui").kind is FailureKind.BAD_REQUEST
    bullet = f"Workflow validation failed:\n• Node 3 (errors): {body['node_errors']['4']['errors']}"
    assert classify({"status": "FAILED", "error": bullet}, provider="runpod").kind is FailureKind.BAD_REQUEST


RUNPOD_ERRORS = [
    ("ComfyUI server (127.0.0.1:8188) not reachable after multiple retries.", "COLD_START"),
    ("WebSocket communication error: Connection closed and failed to reconnect.", "UNAVAILABLE"),
    ("ComfyUI HTTP unreachable during websocket reconnect", "UNAVAILABLE"),
    ("HTTP communication error with ComfyUI: HTTPConnectionPool(host='127.0.0.1', port=8188)", "UNAVAILABLE"),
    ("Prompt ID 8a2c not found in history after execution.", "EMPTY_RESULT"),
    ("Please provide input", "BAD_REQUEST"),
    ("Invalid JSON format in input", "BAD_REQUEST"),
    ("Prompt has no outputs. Raw response: {}", "BAD_REQUEST"),
    ("An unexpected error occurred: CUDA out of memory.", "OUT_OF_MEMORY"),
    ("An unexpected error occurred: 'NoneType'", "UNKNOWN"),
    ('{"error_type": "<class \'torch.OutOfMemoryError\'>", "error_message": "no room"}', "OUT_OF_MEMORY"),
]


@pytest.mark.parametrize(("error", "kind"), RUNPOD_ERRORS)
def test_the_workers_other_messages(error: str, kind: str) -> None:
    assert classify({"status": "FAILED", "error": error}, provider="runpod").kind.value == kind


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        (
            ["Workflow execution error: Node Type: KSampler, Node ID: 3, Message: Allocation on device 0"],
            "OUT_OF_MEMORY",
        ),
        (["Error uploading a.png to S3: NoSuchBucket"], "STORAGE"),
        (["Workflow execution error: Node Type: Loader, Message: Error while deserializing header"], "UNKNOWN"),
        ([], "UNKNOWN"),
    ],
)
def test_the_workers_one_constant_is_told_apart_by_its_details(details: list[str], kind: str) -> None:
    body = {"status": "FAILED", "error": "Job processing failed", "output": {"details": details}}
    assert classify(body, provider="runpod").kind.value == kind


def test_a_result_with_errors_beside_its_pictures_is_partial() -> None:
    output = {"images": [{"filename": "a.png"}], "errors": ["b.png could not be read"]}
    assert classify({"status": "COMPLETED", "output": output}, provider="runpod").kind is FailureKind.EMPTY_RESULT


STATUSES = [
    ("*", 401, "AUTH"), ("*", 402, "QUOTA"), ("*", 403, "AUTH"), ("*", 429, "RATE_LIMITED"),
    ("*", 502, "UNAVAILABLE"), ("*", 503, "UNAVAILABLE"), ("*", 504, "TIMEOUT"), ("*", 524, "TIMEOUT"),
    ("*", 530, "UNAVAILABLE"), ("*", 413, "BAD_REQUEST"), ("comfyui", 302, "AUTH"), ("runpod", 404, "AUTH"),
    ("scenario", 500, "UNAVAILABLE"), ("runpod", 500, "UNAVAILABLE"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "kind"), STATUSES)
@pytest.mark.parametrize("html", [True, False])
def test_http_statuses(provider: str, status: int, kind: str, html: bool) -> None:
    """The status decides, whether JSON or a proxy's HTML page comes with it."""
    answer = httpx.Response(status, html="<html>Oops</html>") if html else httpx.Response(status, json={})
    for name in ("scenario", "comfyui", "runpod") if provider == "*" else (provider,):
        assert classify(answer, provider=name).kind.value == kind


def test_html_in_place_of_json_is_a_login_page_or_something_else_that_listens_there() -> None:
    login = httpx.Response(200, html="<html><h1>Sign in</h1></html>")
    other = httpx.Response(200, html="<html><h1>Welcome to nginx</h1></html>")
    assert classify(login, provider="comfyui").kind is FailureKind.AUTH
    assert classify(other, provider="comfyui").kind is FailureKind.UNAVAILABLE


CLOUD = [
    (httpx.Response(429, json={"code": "x", "message": "subscription is not active"}), "QUOTA"),
    (
        {"execution_error": {"exception_type": "ModelDownloadError", "exception_message": "gone"}},
        "MODEL_NOT_FOUND",
    ),
    ({"execution_error": {"exception_type": "OOMError", "exception_message": ""}}, "OUT_OF_MEMORY"),
    ({"execution_error": {"exception_type": "InsufficientFundsError", "exception_message": ""}}, "QUOTA"),
    ({"execution_error": {"exception_type": "InactiveSubscriptionError", "exception_message": ""}}, "QUOTA"),
    ({"execution_error": {"exception_type": "ValidationError", "exception_message": "bad"}}, "BAD_REQUEST"),
]


@pytest.mark.parametrize(("what", "kind"), CLOUD)
def test_comfy_cloud(what: Any, kind: str) -> None:
    assert classify(what, provider="comfyui").kind.value == kind


EXCEPTIONS = [
    (httpx.ConnectTimeout("x"), "TIMEOUT"),
    (httpx.ReadTimeout("x"), "TIMEOUT"),
    (httpx.ConnectError("refused"), "UNAVAILABLE"),
    (httpx.RemoteProtocolError("peer closed connection without sending complete message body"), "UNAVAILABLE"),
    (json.JSONDecodeError("x", "y", 0), "UNAVAILABLE"),
    (UnreachableError("no route"), "UNAVAILABLE"),
    (DeadlineExceeded("too long"), "TIMEOUT"),
    (ApiError("no", status=402), "QUOTA"),
    (RuntimeError("what?"), "UNKNOWN"),
]


@pytest.mark.parametrize(("error", "kind"), EXCEPTIONS)
def test_exceptions(error: Exception, kind: str) -> None:
    assert classify(error, provider="runpod").kind.value == kind


def test_an_unreachable_error_is_judged_by_its_cause() -> None:
    error = UnreachableError("no answer")
    error.__cause__ = httpx.ReadTimeout("x")
    assert classify(error).kind is FailureKind.TIMEOUT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429])
def test_a_refusal_by_our_own_gateway_never_counts_toward_a_rollback(status: int) -> None:
    """A wrong token of the verifier must not roll production back; a provider's own 401 must."""
    assert not classify(httpx.Response(status, json={}), provider="gateway").counts_toward_rollback
    kind = {401: "AUTH", 403: "AUTH", 429: "RATE_LIMITED"}.get(status, "BAD_REQUEST")
    problem = {"title": "refused", "status": status, "detail": "no", "kind": kind}
    assert not classify(httpx.Response(status, json=problem)).counts_toward_rollback
    assert classify(httpx.Response(401, json={}), provider="runpod").counts_toward_rollback


def test_a_kind_that_the_gateway_names_is_taken_as_it_is() -> None:
    problem = {"type": "about:blank", "title": "x", "status": 502, "detail": "no memory", "kind": "OUT_OF_MEMORY"}
    assert classify(httpx.Response(502, json=problem)).kind is FailureKind.OUT_OF_MEMORY


def test_the_mitigation_of_a_missing_model_names_folder_and_source() -> None:
    failure = classify(
        recorded(WIRE / "comfyui/0.25.0/validation_errors/missing_checkpoint.json"), provider="comfyui"
    )
    assert "models/checkpoints" in failure.mitigation
    assert "stable-diffusion-xl-base-1.0" in failure.mitigation


def test_the_mitigation_names_the_configured_models() -> None:
    options = WorkflowOptions(checkpoint="ours.safetensors")
    failure = classify({"execution_error": {"exception_type": "OOMError"}}, provider="comfyui", options=options)
    assert "ours.safetensors" in failure.mitigation


def test_no_message_shows_paths_secrets_or_more_than_a_few_lines() -> None:
    text = "token fake-secret-value at /srv/comfy/execution.py " + "x" * 5000
    failure = classify({"status": "FAILED", "error": text}, provider="runpod", secrets=["fake-secret-value"])
    assert "fake-secret-value" not in failure.message
    assert "/srv" not in failure.message
    assert len(failure.message) <= 300


def test_the_exit_code_follows_the_kind() -> None:
    denied = ProviderError(classify(httpx.Response(401), provider="runpod"), provider="runpod")
    assert denied.exit_code is ExitCode.AUTH


def test_the_table_is_complete_and_in_the_common_subset_of_both_languages() -> None:
    assert set(TABLE["kinds"]) == set(FailureKind.__members__)
    for row in TABLE["patterns"]:
        assert row["kind"] in TABLE["kinds"]
        assert row["provider"] in ("*", "scenario", "comfyui", "runpod", "gateway")
        assert {"status", "code", "text"} & row.keys()
        for expression in (row.get("code", ""), row.get("text", "")):
            assert not re.search(r"(?<!\\)\.(?![*+?]?\))|\(\?[^:]|\\[AZpP]", re.sub(r"\[[^]]*\]", "", expression))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["error", "status", "output", "details", "node_errors", "job", "metadata", "messages", "errors", "message",
             "images", "type", "extra_info", "execution_error", "code", "4"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(body=JSON, provider=st.sampled_from(["scenario", "comfyui", "runpod", "gateway"]))
def test_no_body_whatsoever_breaks_the_classifier(body: Any, provider: str) -> None:
    answer = httpx.Response(200, json=body)
    assert isinstance(classify(answer, provider=provider), Failure)
