"""What real servers answered, replayed to the Worker: each recording ends as what it is."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_client.failures import classify
from tests.worker.worker_harness import Cloud, Gateway, png

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"
COMFYUI = WIRE / "comfyui"
HANDLER = WIRE / "worker_comfyui" / "handler"
TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Replay(ThreadingHTTPServer):
    """Answers a request by the longest path prefix for which an answer is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answerer)
        self.answers: dict[str, tuple[int, dict[str, str], bytes | str]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        """JSON, or a text or bytes as they stand."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        content_type = "text/plain" if isinstance(body, bytes | str) else "application/json"
        self.answers[path] = (status, {"Content-Type": content_type, **headers}, content)


class Answerer(BaseHTTPRequestHandler):
    server: Replay

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = max((path for path in self.server.answers if self.path.startswith(path)), key=len)
        status, headers, content = self.server.answers[found]
        job = ID.search(self.path)
        if job and isinstance(content, str):  # recordings have ids of their own
            content = ID.sub(job.group(), content)
        sent = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with Replay() as replay:
        thread = threading.Thread(target=replay.serve_forever)
        thread.start()
        yield replay
        replay.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def comfyui(cloud: Cloud, server: Replay) -> Gateway:
    return cloud.deploy("comfyui", COMFYUI_ENDPOINT=server.url)


@pytest.fixture(scope="module")
def runpod(cloud: Cloud, server: Replay) -> Gateway:
    return cloud.deploy("runpod", RUNPOD_ENDPOINT_BASE_URL=server.url, RUNPOD_COMFYUI_ENDPOINT_ID="pod")


def recordings(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in COMFYUI.glob(pattern))


def response(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["response"]
    return found


@pytest.mark.parametrize("path", recordings("*/validation_errors/*.json"), ids=lambda path: path.stem)
def test_a_refused_prompt_fails_as_the_client_would_say(comfyui: Gateway, server: Replay, path: Path) -> None:
    recorded = response(path)
    body, accepted = recorded["body"], recorded["status"] == 200 and not recorded["body"]["node_errors"]
    server.answer("/prompt", body, recorded["status"])
    server.answer("/queue", {"queue_running": [], "queue_pending": []})
    server.answer("/history", {})
    generation = comfyui.post(TXT2IMG).json()
    if accepted:
        assert generation["status"] == "queued"
        return
    assert generation["status"] == "failed"
    answer = httpx.Response(recorded["status"], **({"text": body} if isinstance(body, str) else {"json": body}))
    expected = classify(answer, provider="comfyui")
    assert (generation["error"]["kind"], generation["error"]["retryable"]) == (expected.kind, expected.retryable)
    assert "<COMFYUI>" not in generation["error"]["message"]


@pytest.mark.parametrize(
    "path",
    recordings("*/runtime_errors/*/history.json", "*/queue_and_interrupt/08_history_interrupted.json"),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_a_failed_run_ends_as_the_client_would_say(comfyui: Gateway, server: Replay, path: Path) -> None:
    body = response(path)["body"]
    server.answer("/prompt", {"prompt_id": "00000000-0000-0000-0000-000000000000", "number": 1, "node_errors": {}})
    server.answer("/history", body)
    generation = comfyui.finish(comfyui.post(TXT2IMG).json())
    expected = classify(body, provider="comfyui")
    assert generation["status"] in {"failed", "canceled"}
    assert generation["error"]["kind"] == expected.kind


@pytest.mark.parametrize("path", sorted(HANDLER.glob("*.json")), ids=lambda path: path.stem)
def test_what_worker_comfyui_returned_ends_as_the_client_would_say(
    runpod: Gateway, server: Replay, path: Path
) -> None:
    """As runpod's SDK passes it on (rp_job.py): `error` goes to the top, what is left becomes `output`."""
    returned = json.loads(path.read_text())["handler_return"]
    error, output = returned.get("error"), {name: value for name, value in returned.items() if name != "error"}
    job = {"id": "job-1", "status": "FAILED" if error else "COMPLETED", "delayTime": 5, "executionTime": 7}
    job |= {name: value for name, value in {"error": error, "output": output}.items() if value}
    server.answer("/pod/run", {"id": "job-1", "status": "IN_QUEUE"})
    server.answer("/pod/status", job)
    generation = runpod.finish(runpod.post(TXT2IMG).json())
    assert generation["status"] == "failed"  # recorded pictures are cut short, so even success ends as no picture
    expected = "EMPTY_RESULT" if path.stem == "ok" else classify(job, provider="runpod").kind
    assert generation["error"]["kind"] == expected
    assert (generation["timings"]["queue_ms"], generation["timings"]["run_ms"]) == (5, 7)


def test_a_damaged_picture_ends_its_pipeline(runpod: Gateway, server: Replay) -> None:
    """What cannot be scaled now never can: the job fails, instead of asking its callers to come again."""
    picture = bytearray(base64.b64decode(png(256, 256)))
    at = picture.index(b"IDAT") + 12
    picture[at : at + 4] = b"\x00\xff\x00\xff"
    image = {"filename": "x.png", "type": "base64", "data": base64.b64encode(picture).decode()}
    server.answer("/pod/run", {"id": "job-1", "status": "IN_QUEUE"})
    server.answer("/pod/status", {"id": "job-1", "status": "COMPLETED", "output": {"images": [image]}})
    generation = runpod.generate(operation="pipeline", prompt="A wizard", width=128, height=128)
    assert (generation["status"], generation["error"]["kind"]) == ("failed", "EMPTY_RESULT")
    assert "damaged" in generation["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [([], 503), (None, 503), ("<html>Log in</html>", 503), ({"status": 7}, 503), ({}, 503),
     ({"output": 7, "status": "COMPLETED"}, 200)],
)  # fmt: skip
def test_an_answer_of_no_known_form_ends_no_job(
    runpod: Gateway, server: Replay, body: object, status: int
) -> None:
    server.answer("/pod/run", {"id": "job-1", "status": "IN_QUEUE"})
    server.answer("/pod/status", body)
    generation = runpod.post(TXT2IMG).json()
    answer = runpod.poll(generation["id"])
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["status"] == "failed"


def test_a_retry_after_that_is_a_date_is_obeyed(runpod: Gateway, server: Replay) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=30)
    server.answer("/pod/run", {}, 429, **{"Retry-After": format_datetime(moment, usegmt=True)})
    queued = runpod.post(TXT2IMG)
    runpod.request("DELETE", f"/v1/generations/{queued.json()['id']}")
    assert 20 <= int(queued.headers["Retry-After"]) <= 40


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("field", ["message", "images"])
@pytest.mark.parametrize("address", [True, False])
def test_a_picture_comes_in_every_form_that_worker_comfyui_knows(
    runpod: Gateway, server: Replay, field: str, address: bool
) -> None:
    """Before 5.0 it was one `message`; with a bucket in the worker's env it is an address."""
    data = f"{server.url}/bucket/a.png" if address else PIXEL
    images = [{"filename": "a.png", "type": "s3_url" if address else "base64", "data": data}]
    output = {"images": images} if field == "images" else {"status": "success", "message": data}
    server.answer("/pod/run", {"id": "job-1", "status": "IN_QUEUE"})
    server.answer("/pod/status", {"id": "job-1", "status": "COMPLETED", "output": output})
    server.answer("/bucket", base64.b64decode(PIXEL))
    generation = runpod.finish(runpod.post(TXT2IMG).json())
    assert generation["status"] == "succeeded", generation["error"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_picture_that_its_storage_refuses_is_no_matter_of_credentials(
    runpod: Gateway, server: Replay, status: int
) -> None:
    image = {"filename": "a.png", "type": "s3_url", "data": f"{server.url}/bucket/a.png"}
    server.answer("/pod/run", {"id": "job-1", "status": "IN_QUEUE"})
    server.answer("/pod/status", {"id": "job-1", "status": "COMPLETED", "output": {"images": [image]}})
    server.answer("/bucket", "<Error><Code>AccessDenied</Code></Error>", status)
    generation = runpod.finish(runpod.post(TXT2IMG).json())
    assert (generation["status"], generation["error"]["kind"]) == ("failed", "EMPTY_RESULT")
