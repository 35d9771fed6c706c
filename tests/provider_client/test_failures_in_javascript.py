"""The Worker's classifier and this package's agree on every recording: one table, and two readings of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.worker_bundle import worker_modules
from provider_client.failures import classify

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node; tests/worker runs the same module in workerd")

SCRIPT = """
import { readFileSync } from "node:fs";
import { classify } from "./failures.js";
import { signalOfAnswer, signalOfBody } from "./failure_signals.js";

const settings = { workflows: { checkpoint: "a", backgroundRemovalModel: "b" } };
const answers = JSON.parse(readFileSync(0, "utf8")).map(({ body, text, contentType, provider, status }) => {
  const isBody = text === undefined;
  const signal = isBody ? signalOfBody(body, provider) : signalOfAnswer(text, contentType, provider, status);
  const { kind, retryable } = classify(signal, settings);
  return { kind, retryable, code: signal.code, text: signal.text };
});
console.log(JSON.stringify(answers));
"""

EXTRA: list[dict[str, Any]] = [
    {"text": "<html><h1>Log in</h1></html>", "contentType": "text/html", "provider": "comfyui", "status": 200},
    {"text": "<html>Bad gateway</html>", "contentType": "text/html", "provider": "runpod", "status": 502},
    {"text": "", "contentType": "", "provider": "comfyui", "status": 302},
    {"text": "oops", "contentType": "text/plain", "provider": "scenario", "status": 200},
    {"text": '{"details": {"actionName": "parallel-custom-jobs"}}', "contentType": "application/json",
     "provider": "scenario", "status": 429},
    {"body": {"job": {"status": "failure", "metadata": {"error": "Model x not found"}}}, "provider": "scenario"},
    {"body": {"job": {"status": "canceled"}}, "provider": "scenario"},
    {"body": {"job": {"status": "success", "metadata": {"assetIds": []}}}, "provider": "scenario"},
    {"body": {"status": "COMPLETED"}, "provider": "runpod"},
    {"body": {"status": "TIMED_OUT"}, "provider": "runpod"},
    {"body": {"status": "FAILED", "error": '{"error_type": "E", "error_message": "CUDA out of memory"}'},
     "provider": "runpod"},
]  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Every recorded answer and handler result, as raw text where it came over HTTP."""
    found = list(EXTRA)
    for path in sorted(WIRE.rglob("comfyui/**/*.json")) + sorted(WIRE.rglob("worker_comfyui/**/*.json")):
        recording = json.loads(path.read_text())
        provider = "runpod" if "worker_comfyui" in path.parts else "comfyui"
        if "handler_return" in recording:
            found.append({"body": recording["handler_return"], "provider": provider})
        elif "response" in recording:
            response = recording["response"]
            body = response["body"]
            raw = "" if body == "<empty body>" else body if isinstance(body, str) else json.dumps(body)
            content_type = response.get("headers", {}).get("content-type", "application/json")
            found.append(
                {"text": raw, "contentType": content_type, "provider": provider, "status": response["status"]}
            )
    return found


def here(case: dict[str, Any]) -> dict[str, Any]:
    what: Any = case.get("body")
    if "text" in case:
        headers = {"content-type": case["contentType"]}
        what = httpx.Response(case["status"], headers=headers, content=case["text"].encode())
    failure = classify(what, provider=case["provider"])
    return {"kind": failure.kind.value, "retryable": failure.retryable}


def test_both_languages_see_the_same_failure_in_every_recording(tmp_path: Path) -> None:
    for module in worker_modules():
        path = tmp_path / module.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module.content)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "ask.js").write_text(SCRIPT)
    asked = cases()
    assert NODE is not None
    done = subprocess.run(
        [NODE, "ask.js"],
        cwd=tmp_path,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    there = json.loads(done.stdout)
    differences = [
        {"case": str(case)[:200], "python": mine, "javascript": theirs}
        for case, theirs in zip(asked, there, strict=True)
        if (mine := here(case)) != {"kind": theirs["kind"], "retryable": theirs["retryable"]}
    ]
    assert differences == []
    assert len(asked) > 90
