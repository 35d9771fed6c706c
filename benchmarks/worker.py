"""The Worker's own time per request: what it takes beyond an empty Worker in the same workerd, in one run.

Bucket and provider are Workers in that workerd as well and answer at once. A call to one of them still costs a hop;
what a Worker takes that does nothing but pass a request on to the provider is measured beside ours.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from benchmarks.figures import Figure
from emulator.worker_runtime import text, workerd_path
from infra.worker_bundle import MAIN_MODULE, worker_modules

REQUESTS = 2000
IN_FLIGHT = 64
SERVED = ("empty", "relay", "gateway")
TOKEN = "dummy-gateway-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
BODY = json.dumps({"operation": "txt2img", "prompt": "A knight", "width": 64, "height": 64})
BINDINGS = {
    "IMAGE_GENERATION_PROVIDER": "runpod",
    "RUNPOD_API_KEY": "dummy-runpod-key",
    "RUNPOD_COMFYUI_ENDPOINT_ID": "dummy-endpoint",
    "GATEWAY_TOKENS": json.dumps([TOKEN]),
    "JOB_SIGNING_KEYS": json.dumps(["dummy-signing-key"]),
    "GATEWAY": json.dumps({"requestsPerMinute": 10_000_000}),
    "VERSION": json.dumps({"id": "benchmark"}),
}
EMPTY = "export default { fetch() { return new Response('{}'); } };"
RELAY = """
export default {
  async fetch(request) {
    const answer = await fetch("https://provider.example/run", { method: "POST", body: await request.text() });
    return new Response(await answer.text());
  },
};
"""
PROVIDER = """
const image = { filename: "x.png", type: "base64", data: "IMAGE" };
const done = { status: "COMPLETED", delayTime: 1, executionTime: 1, output: { images: [image] } };
let jobs = 0;
export default {
  fetch(request) {
    const isSubmit = request.url.endsWith("/run");
    return Response.json(isSubmit ? { id: `job-${jobs++}`, status: "IN_QUEUE" } : done);
  },
};
"""
BUCKET = """
const objects = new Map();
const described = (name) => ({ name, version: "1", size: "1", etag: "1", uploaded: "1", storageClass: "Standard",
  httpFields: {}, customFields: [], checksums: {} });
function answer(metadata, value) {
  const json = new TextEncoder().encode(JSON.stringify(metadata));
  return new Response(new Blob([json, value ?? ""]), { headers: { "CF-R2-Metadata-Size": String(json.length) } });
}
const missing = () => new Response(null, { status: 404, headers: {
  "CF-R2-Error": JSON.stringify({ version: 1, v4code: 10007, message: "missing" }) } });
export default {
  async fetch(request) {
    if (request.method === "GET") {
      const { object } = JSON.parse(request.headers.get("CF-R2-Request"));
      return objects.has(object) ? answer(described(object), objects.get(object)) : missing();
    }
    const bytes = new Uint8Array(await request.arrayBuffer());
    const size = Number(request.headers.get("CF-R2-Metadata-Size"));
    const { object } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, size)));
    objects.set(object, bytes.slice(size));
    return answer(described(object));
  },
};
"""

Call = Callable[[], object]


def run() -> Iterator[Figure]:
    with _workerd() as ports:
        empty, relay, gateway = (Connection(ports[name]) for name in ("empty", "relay", "gateway"))
        generation = gateway.submit()
        gateway.get(f"/v1/generations/{generation}")
        calls: dict[str, tuple[Call, str]] = {
            "GET /health": (lambda: gateway.get("/health"), "≤ 0.5 ms, 2 ms"),
            "POST /v1/generations": (gateway.submit, "≤ 0.5 ms, 2 ms"),
            "  of which any call to a provider": (relay.submit, ""),
            "GET of a finished generation": (lambda: gateway.get(f"/v1/generations/{generation}"), ""),
        }
        for name, (call, bar) in calls.items():
            yield Figure(f"{name}: over an empty Worker, p50, p99", _beyond(lambda: empty.get("/"), call), bar)
        started = time.perf_counter()
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            ends = list(pool.map(lambda _: _whole_generation(ports["gateway"]), range(IN_FLIGHT)))
        taken = time.perf_counter() - started
        yield Figure(f"{IN_FLIGHT} generations in flight, submit to stored", f"{taken:.2f} s, {sum(ends)} ok")


class Connection:
    """One kept connection; raises when an answer is not a success."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(self, path: str) -> None:
        self.ask("GET", path)

    def submit(self) -> str:
        return str(json.loads(self.ask("POST", "/v1/generations", BODY))["id"])

    def ask(self, method: str, path: str, body: str | None = None) -> bytes:
        self._connection.request(method, path, body, HEADERS)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {content[:200]!r}")
        return content


def _whole_generation(port: int) -> bool:
    connection = Connection(port)
    found = connection.ask("GET", f"/v1/generations/{connection.submit()}")
    return bool(json.loads(found)["status"] == "succeeded")


def _beyond(empty: Call, call: Call) -> str:
    """How much slower the second is; both are measured in turn, so that the machine's moods hit both."""
    for _ in range(REQUESTS // 10):
        call()
    pairs = [(_milliseconds(empty), _milliseconds(call)) for _ in range(REQUESTS)]
    nothing, ours = (sorted(times) for times in zip(*pairs, strict=True))
    half, most = REQUESTS // 2, REQUESTS * 99 // 100
    return f"{ours[half] - nothing[half]:.2f} ms, {ours[most] - nothing[most]:.2f} ms"


def _milliseconds(call: Call) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


@contextmanager
def _workerd() -> Iterator[dict[str, int]]:
    with tempfile.TemporaryDirectory() as folder:
        configuration = _configuration(Path(folder))
        reading, writing = os.pipe()
        command = [workerd_path(), "serve", str(configuration), f"--control-fd={writing}"]
        process = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL)
        os.close(writing)
        try:
            with os.fdopen(reading) as lines:
                listening = [json.loads(lines.readline()) for _ in SERVED]
            yield {line["socket"]: line["port"] for line in listening}
        finally:
            process.terminate()
            process.wait()


def _configuration(folder: Path) -> Path:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    provider = PROVIDER.replace("IMAGE", base64.b64encode(buffer.getvalue()).decode())
    modules = [(module.name, module.content.decode()) for module in worker_modules()]
    modules.sort(key=lambda module: module[0] != MAIN_MODULE)
    bindings = ['(name = "ASSETS", r2Bucket = "bucket")']
    bindings += [f"(name = {text(name)}, text = {text(value)})" for name, value in BINDINGS.items()]
    outbound = 'globalOutbound = "provider",'
    workers = {
        "empty": _worker([(MAIN_MODULE, EMPTY)]),
        "provider": _worker([(MAIN_MODULE, provider)]),
        "bucket": _worker([(MAIN_MODULE, BUCKET)]),
        "relay": _worker([(MAIN_MODULE, RELAY)], [], outbound),
        "gateway": _worker(modules, bindings, outbound),
    }
    services = [f'(name = "{name}", worker = {worker})' for name, worker in workers.items()]
    sockets = [f'(name = "{name}", address = "127.0.0.1:0", http = (), service = "{name}")' for name in SERVED]
    path = folder / "config.capnp"
    path.write_text(
        'using Workerd = import "/workerd/workerd.capnp";\n'
        f"const config :Workerd.Config = (services = [{', '.join(services)}], sockets = [{', '.join(sockets)}]);\n"
    )
    return path


def _worker(modules: list[tuple[str, str]], bindings: Sequence[str] = (), more: str = "") -> str:
    listed = ", ".join(f"(name = {text(name)}, esModule = {text(code)})" for name, code in modules)
    return f'(modules = [{listed}], compatibilityDate = "2026-11-01", {more} bindings = [{", ".join(bindings)}])'
