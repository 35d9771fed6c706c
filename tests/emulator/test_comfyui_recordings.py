"""The emulated ComfyUI answers the recorded requests as the real one did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.vendor_calls import WIRE, Json, Vendors, png, until

RECORDED = WIRE / "comfyui/0.25.0"
VALIDATION = sorted((RECORDED / "validation_errors").glob("*.json"))
CHOSEN_BY_THE_SERVER = {"prompt_id", "number", "traceback"}


def recording(path: str) -> Json:
    found: Json = json.loads((RECORDED / path).read_text())
    return found


def told(value: Any) -> Any:
    """Without what each server chooses for itself."""
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items() if key not in CHOSEN_BY_THE_SERVER}
    return [told(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def comfyui(vendors: Vendors) -> Vendors:
    """Furnished like the server that was recorded."""
    models = {"checkpoints": ["broken.safetensors"], "background_removal": ["birefnet.safetensors"]}
    vendors.control("POST", "seed", {"comfyui": {"models": models}})
    vendors.comfyui("POST", "/upload/image", files={"image": ("probe_in.png", png(), "image/png")})
    return vendors


@pytest.mark.parametrize("path", VALIDATION, ids=lambda path: path.stem)
def test_a_prompt_is_judged_as_recorded(comfyui: Vendors, path: Path) -> None:
    """Status and body, word for word."""
    exchange = json.loads(path.read_text())
    request, response = exchange["request"], exchange["response"]
    body = {"json": request["json"]} if request.get("json") is not None else {"content": request["raw_body"]}
    answer = comfyui.comfyui("POST", "/prompt", **body)
    assert answer.status_code == response["status"]
    if isinstance(response["body"], str):
        assert answer.text == response["body"]
    else:
        assert told(answer.json()) == told(response["body"])


@pytest.mark.parametrize("run", ["invert", "resize_uploaded_image"])
def test_a_run_without_weights_ends_as_recorded(comfyui: Vendors, run: str) -> None:
    """The history entry: outputs, messages in order, meta."""
    submit, history = recording(f"runs/{run}/submit.json"), recording(f"runs/{run}/history.json")
    answer = comfyui.comfyui("POST", "/prompt", json=submit["request"]["json"]).json()
    (expected,) = history["response"]["body"].values()
    entry = comfyui.history(answer["prompt_id"])
    assert (entry["outputs"], entry["meta"]) == (expected["outputs"], expected["meta"])
    assert [name for name, _ in entry["status"]["messages"]] == [n for n, _ in expected["status"]["messages"]]
    assert set(entry["prompt"][3]) == set(expected["prompt"][3])
    assert (entry["prompt"][2], entry["prompt"][4]) == (expected["prompt"][2], expected["prompt"][4])


def test_an_identical_prompt_comes_from_the_cache_with_the_old_file(comfyui: Vendors) -> None:
    graph = recording("runs/invert/submit.json")["request"]["json"]["prompt"]
    expected = recording("runs/invert_again_cached/history.json")["response"]["body"]
    first, second = comfyui.prompt(graph), comfyui.prompt(graph)
    assert second["outputs"] == first["outputs"]
    (recorded,) = expected.values()
    assert second["status"]["messages"][1][1]["nodes"] == recorded["status"]["messages"][1][1]["nodes"]


def test_the_image_has_the_recorded_headers(comfyui: Vendors) -> None:
    comfyui.prompt(recording("runs/invert/submit.json")["request"]["json"]["prompt"])
    for name in ("view", "view_webp_preview"):
        exchange = recording(f"runs/invert/{name}.json")
        answer = comfyui.comfyui("GET", "/view", params=exchange["request"]["params"])
        for header in ("content-type", "content-disposition"):
            assert answer.headers[header] == exchange["response"]["headers"][header]
        assert answer.content[:4].hex() == exchange["response"]["body"]["magic_hex"][:8]


def test_memory_runs_out_as_recorded(comfyui: Vendors) -> None:
    """4 TB of pictures: 200 at submit, an error in history."""
    graph = recording("runtime_errors/cpu_out_of_memory/submit.json")["request"]["json"]["prompt"]
    (expected,) = recording("runtime_errors/cpu_out_of_memory/history.json")["response"]["body"].values()
    entry = comfyui.prompt(graph)
    got, want = entry["status"]["messages"][-1], expected["status"]["messages"][-1]
    assert (entry["status"]["status_str"], entry["outputs"], got[0]) == ("error", {}, want[0])
    assert set(got[1]) == set(want[1])
    for name in ("node_id", "node_type", "executed", "exception_type", "exception_message", "current_inputs"):
        assert got[1][name] == want[1][name]


def test_a_literal_for_a_link_fails_when_it_runs(comfyui: Vendors) -> None:
    graph = recording("validation_errors/literal_for_link_accepted_200.json")["request"]["json"]["prompt"]
    jobs = recording("jobs/jobs_list.json")["response"]["body"]["jobs"]
    want = next(
        j["execution_error"] for j in jobs if j.get("execution_error", {}).get("exception_type") == "TypeError"
    )
    got = comfyui.prompt(graph)["status"]["messages"][-1][1]
    for name in ("node_id", "exception_type", "exception_message"):
        assert got[name] == want[name]


@pytest.mark.parametrize(
    "name", ["models", "models_checkpoints", "models_unknown_folder", "object_info_unknown_node", "queue_empty",
             "features", "unknown_route"],
)  # fmt: skip
def test_the_server_describes_itself_as_recorded(comfyui: Vendors, name: str) -> None:
    exchange = recording(f"server_info/{name}.json")
    answer = comfyui.comfyui("GET", exchange["request"]["path"])
    assert answer.status_code == exchange["response"]["status"]
    body = exchange["response"]["body"]
    assert (answer.text if body == "<empty body>" else answer.json()) == ("" if body == "<empty body>" else body)


def test_object_info_has_the_recorded_parts(comfyui: Vendors) -> None:
    want = recording("server_info/object_info_checkpoint_loader.json")["response"]["body"][
        "CheckpointLoaderSimple"
    ]
    got = comfyui.comfyui("GET", "/api/object_info/CheckpointLoaderSimple").json()["CheckpointLoaderSimple"]
    for name in ("input", "input_order", "output", "output_node", "display_name", "category"):
        assert got[name] == want[name]


@pytest.mark.parametrize("name", ["missing_file", "traversal"])
def test_view_refuses_as_recorded(comfyui: Vendors, name: str) -> None:
    exchange = recording(f"view_errors/{name}.json")
    answer = comfyui.comfyui("GET", "/view", params=exchange["request"]["params"])
    assert (answer.status_code, answer.content) == (exchange["response"]["status"], b"")


@pytest.mark.parametrize("name", ["job_unknown", "job_cancel_not_supported", "jobs_bad_status"])
def test_the_job_list_refuses_as_recorded(comfyui: Vendors, name: str) -> None:
    exchange = recording(f"jobs/{name}.json")
    request, response = exchange["request"], exchange["response"]
    answer = comfyui.comfyui(request["method"], request["path"], params=request.get("params"))
    assert answer.status_code == response["status"]
    assert (answer.text if isinstance(response["body"], str) else answer.json()) == response["body"]


def test_uploads_are_named_as_recorded(comfyui: Vendors) -> None:
    """The name is kept with `overwrite`, else changed when other bytes have it."""
    for name, form in (("overwrite", {"type": "input", "overwrite": "true"}), ("renamed", None)):
        files = {"image": ("probe_in.png", png(colour="red" if form else "green"), "image/png")}
        answer = comfyui.comfyui("POST", "/upload/image", data=form, files=files)
        assert answer.json() == recording(f"upload/{name}.json")["response"]["body"]
    missing = comfyui.comfyui("POST", "/upload/image", files={"notimage": ("a.png", b"x", "image/png")})
    assert (missing.status_code, missing.content) == (400, b"")


def test_an_interrupted_run_ends_as_recorded(comfyui: Vendors) -> None:
    comfyui.control("POST", "seed", {"comfyui": {"models": {"checkpoints": ["sd_xl_base_1.0.safetensors"]}}})
    comfyui.fault("comfyui", "timed_out")
    graph = recording("validation_errors/missing_checkpoint.json")["request"]["json"]["prompt"]
    prompt = comfyui.comfyui("POST", "/prompt", json={"prompt": graph}).json()["prompt_id"]
    until(lambda: comfyui.comfyui("GET", "/queue").json()["queue_running"])
    assert comfyui.comfyui("GET", f"/history/{prompt}").json() == {}
    comfyui.comfyui("POST", "/interrupt", json={"prompt_id": "25baa748-2e6a-45a9-897e-efbe72505a46"})
    assert comfyui.comfyui("GET", "/prompt").json() == {"exec_info": {"queue_remaining": 1}}
    comfyui.comfyui("POST", "/interrupt", json={"prompt_id": prompt})
    entry = comfyui.history(prompt)
    (want,) = recording("queue_and_interrupt/08_history_interrupted.json")["response"]["body"].values()
    assert entry["status"]["status_str"] == want["status"]["status_str"]
    got, last = entry["status"]["messages"][-1], want["status"]["messages"][-1]
    assert (got[0], set(got[1])) == (last[0], set(last[1]))
    assert comfyui.comfyui("GET", f"/api/jobs/{prompt}").json()["status"] == "cancelled"
