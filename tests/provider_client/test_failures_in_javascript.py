"""The Worker's classifier and this package's agree on whatever comes: one table, and two readings of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.worker_bundle import worker_modules
from provider_client.failure_signals import signal_of
from provider_client.failures import classify
from tests.provider_client.failure_variants import VARIANTS, Variant

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node; tests/worker runs the same module in workerd")

SCRIPT = """
import { createInterface } from "node:readline";
import { classify } from "./failures.js";
import { signalOfAnswer, signalOfBody } from "./failure_signals.js";

const workflows = { checkpoint: "sd_xl_base_1.0.safetensors", backgroundRemovalModel: "birefnet.safetensors" };
for await (const line of createInterface({ input: process.stdin })) {
  const { body, text, contentType, provider, status } = JSON.parse(line);
  const isBody = text === undefined;
  const signal = isBody ? signalOfBody(body, provider) : signalOfAnswer(text, contentType, provider, status);
  const { kind, retryable, message, mitigation } = classify(signal, { workflows });
  console.log(JSON.stringify({ kind, retryable, code: signal.code, text: signal.text, message, mitigation }));
}
"""

Case = dict[str, Any]
Ask = Callable[[Case], dict[str, Any]]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks the Worker's modules, which run in one process of node."""
    folder = tmp_path_factory.mktemp("worker")
    for module in worker_modules():
        path = folder / module.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module.content)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "ask.js").write_text(SCRIPT)
    assert NODE is not None
    with subprocess.Popen(
        [NODE, "ask.js"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(case: Case) -> dict[str, Any]:
            stdin.write(json.dumps(case) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield ask
        stdin.close()


def what_python_sees(case: Case) -> Any:
    if "text" not in case:
        return case["body"]
    headers = {"content-type": case["contentType"]}
    return httpx.Response(case["status"], headers=headers, content=case["text"].encode())


def here(case: Case) -> dict[str, Any]:
    what = what_python_sees(case)
    failure, signal = classify(what, provider=case["provider"]), signal_of(what, case["provider"])
    return {"kind": failure.kind.value, "retryable": failure.retryable, "code": signal.code, "text": signal.text}


def answered(provider: str, status: int, body: object) -> Case:
    return {"provider": provider, "status": status, "contentType": "application/json", "text": json.dumps(body)}


PAGES: list[Case] = [
    {"text": "<html><h1>Log in</h1></html>", "contentType": "text/html", "provider": "comfyui", "status": 200},
    {"text": "<html>Bad gateway</html>", "contentType": "text/html", "provider": "runpod", "status": 502},
    {"text": "error code: 502", "contentType": "text/html", "provider": "runpod", "status": 502},
    {"text": "too many <b>requests", "contentType": "text/html", "provider": "scenario", "status": 200},
    {"text": "<<p>log in<", "contentType": "text/html", "provider": "comfyui", "status": 200},
    {"text": "", "contentType": "", "provider": "comfyui", "status": 302},
    {"text": "oops", "contentType": "text/plain", "provider": "scenario", "status": 200},
]


def recordings() -> list[Case]:
    """Every recorded answer and handler result, as raw text where it came over HTTP."""
    found = []
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


def test_both_languages_see_the_same_failure_in_every_recording(there: Ask) -> None:
    asked = PAGES + recordings()
    differences = [case for case in asked if here(case).items() - there(case).items()]
    assert differences == []
    assert len(asked) > 80


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"{variant.provider}-{variant.says}")
def test_both_languages_call_a_variant_what_it_is_and_say_why(there: Ask, variant: Variant) -> None:
    case: Case = {"provider": variant.provider, "body": variant.body}
    if variant.status is not None:
        case = answered(variant.provider, variant.status, variant.body)
    mine, theirs = here(case), there(case)
    assert (mine["kind"], mine["retryable"]) == (variant.kind, variant.retryable)
    assert mine.items() <= theirs.items()
    failure = classify(what_python_sees(case), provider=variant.provider)
    assert variant.says in failure.message
    assert variant.says in theirs["message"]
    assert failure.mitigation.startswith(theirs["mitigation"])  # the client adds where to get a missing file


KEYS = st.sampled_from(
    ["error", "status", "output", "details", "node_errors", "job", "metadata", "messages", "errors", "message", "data",
     "images", "type", "extra_info", "execution_error", "code", "4", "input_name", "exception_type", "outputs",
     "exception_message", "error_message", "assetIds", "status_str", "actionName"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["", "FAILED", "COMPLETED", "success", "failure", "canceled", "success_no_images", "error", "execution_error",
     "execution_interrupted", "value_not_in_list", "ckpt_name", "CUDA out of memory", " timed out ", "about:blank",
     '{"error_type": "E", "error_message": "m"}', '{"error_message": 3}', "{bad", "Model x not found\nat once", "É"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(
    body=st.dictionaries(KEYS, JSON, max_size=6) | JSON,
    provider=st.sampled_from(["scenario", "comfyui", "runpod"]),
    status=st.sampled_from([200, 400, 401, 403, 404, 429, 500, 502]),
)
@settings(max_examples=400, deadline=None)
def test_both_languages_agree_on_any_json(there: Ask, body: object, provider: str, status: int) -> None:
    cases = [answered(provider, status, body)]
    if isinstance(body, dict):
        cases.append({"provider": provider, "body": body})
    for case in cases:
        assert here(case).items() <= there(case).items()
