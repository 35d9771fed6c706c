"""Short calls to the emulated providers of pictures, for tests."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from emulator.supervisor import Emulator

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "tests/fixtures/wire"
WALL_SECONDS = 10.0
ENDPOINT: Json = {
    "name": "pictures",
    "type": "QUEUE",
    "image": "example/worker-comfyui:5.8.5",
    "gpu": {"pools": ["ADA_48_PRO"], "count": 1},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
    "workers": {"min": 0, "max": 3, "idleTimeout": 30},
}


def graph_of(operation: str, **inputs: Any) -> Json:
    """The product's own graph, as data; `inputs` are laid over every node that has them."""
    workflow = json.loads((ROOT / f"provider_client/workflows/{operation}.json").read_text())
    graph: Json = workflow["graph"]
    for name, value in inputs.items():
        for node, field in workflow["parameters"][name]:
            graph[node]["inputs"][field] = value
    return graph


def png(width: int = 96, height: int = 96, colour: str = "navy") -> bytes:
    """A little input picture: a disc on plain ground."""
    image = Image.new("RGB", (width, height), "white")
    disc = Image.new("RGB", (width // 2, height // 2), colour)
    image.paste(disc, (width // 4, height // 4))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


class Vendors:
    """One emulator, seen by a client of the vendors."""

    def __init__(self, emulator: Emulator, http: httpx.Client) -> None:
        self.emulator, self.http = emulator, http
        self.runpod_key = "dummy-runpod-key"

    def control(self, method: str, path: str, body: object = None) -> Json:
        answer = self.http.request(method, f"{self.emulator.base_url}/_emulator/{path}", json=body)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def fault(self, service: str, kind: str, times: int | None = 1, **more: Any) -> None:
        self.control("POST", "faults", {"service": service, "kind": kind, "times": times, **more})

    def advance(self, seconds: float) -> None:
        self.control("POST", "clock", {"advance_seconds": seconds})

    def state(self, service: str) -> Json:
        found: Json = self.control("GET", "state")[service]
        return found

    def comfyui(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.http.request(method, f"{self.emulator.base_url}/comfyui{path}", **options)

    def runpod(self, method: str, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.runpod_key}"}
        return self.http.request(method, f"{self.emulator.base_url}/runpod/v2{path}", json=body, headers=headers)

    def jobs(self, method: str, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        url = f"{self.emulator.base_url}/runpod-jobs/v2{path}"
        return self.http.request(
            method, url, json=body, headers={"Authorization": f"Bearer {key or self.runpod_key}"}
        )

    def scenario(
        self, method: str, path: str, body: object = None, key: str = "dummy-key", secret: str = "dummy-secret"
    ) -> httpx.Response:
        url = f"{self.emulator.base_url}/scenario/v1{path}"
        return self.http.request(method, url, json=body, auth=(key, secret))

    def endpoint(self, **changes: Any) -> str:
        """A new RunPod endpoint's id."""
        answer = self.runpod("POST", "/serverless", {**ENDPOINT, **changes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, endpoint: str, graph: Json, **more: Any) -> Json:
        """A finished RunPod job."""
        job = self.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": graph, **more}}).json()
        return self.finished_job(endpoint, job["id"])

    def finished_job(self, endpoint: str, job: str) -> Json:
        def look() -> Json | None:
            body: Json = self.jobs("GET", f"/{endpoint}/status/{job}").json()
            return None if body["status"] in {"IN_QUEUE", "IN_PROGRESS"} else body

        return until(look)

    def prompt(self, graph: Json, **more: Any) -> Json:
        """A finished ComfyUI history entry."""
        answer = self.comfyui("POST", "/prompt", json={"prompt": graph, **more})
        assert answer.status_code == 200, answer.text
        return self.history(answer.json()["prompt_id"])

    def history(self, prompt: str) -> Json:
        return until(lambda: self.comfyui("GET", f"/history/{prompt}").json().get(prompt))

    def picture(self, entry: Json) -> bytes:
        """The first picture of a history entry."""
        shown = next(iter(entry["outputs"].values()))["images"][0]
        return self.comfyui("GET", "/view", params=shown).content

    def finished_scenario(self, job: str) -> Json:
        def look() -> Json | None:
            found: Json = self.scenario("GET", f"/jobs/{job}").json()["job"]
            return found if found["status"] in {"success", "failure", "canceled"} else None

        return until(look)


def until(look: Callable[[], Json | None]) -> Json:
    """What `look` finds, in a short while."""
    deadline = time.monotonic() + WALL_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError("it did not happen in time")
