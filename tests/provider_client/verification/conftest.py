"""A gateway on httpx.MockTransport that serves real pictures, and goes wrong in every way it is told to."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageDraw

from provider_client.clock import ManualClock
from provider_client.models import Operation
from provider_client.verification import Report, Target, VerificationPlan, default_plan, verify
from provider_client.verification.events import Event
from provider_client.verification.plan import Stage

BASE_URL = "http://gateway.test"
VERSION = "11111111-2222-3333-4444-555555555555"
TOKEN = "dummy-gateway-token-planted-to-be-searched-for"


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def painted(seed: int, width: int = 64, height: int = 64, *, cut_out: bool = False) -> Image.Image:
    """A few big shapes in colours of the seed, on a background or on none."""
    dice = random.Random(seed)
    mode, ground = ("RGBA", (0, 0, 0, 0)) if cut_out else ("RGB", (dice.randint(150, 250), 230, 210))
    image = Image.new(mode, (width, height), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = dice.uniform(0.1, 0.5) * width, dice.uniform(0.1, 0.5) * height
        colour = (dice.randint(0, 200), dice.randint(0, 200), dice.randint(0, 120))
        draw.ellipse((x, y, x + 0.4 * width, y + 0.4 * height), fill=colour)
    return image


def without_background(source: Image.Image) -> Image.Image:
    """The source with everything transparent that has the colour of its corner."""
    ground = Image.new("RGB", source.size, source.getpixel((0, 0)))
    cut = source.copy()
    cut.putalpha(ImageChops.difference(source, ground).convert("L").point(lambda value: 255 if value > 8 else 0))
    return cut


@dataclass
class Served:
    """One job: what the answer will state and what the bucket will serve."""

    number: int
    request: dict[str, Any]
    content: bytes = b""
    status: str = "succeeded"
    provider: str = "runpod"
    error: dict[str, Any] | None = None
    seconds: float = 8.0
    content_type: str = "image/png"
    stored_content_type: str = "image/png"
    stored: bytes | None = None
    downloads: int = 0
    gone_after: int = 99
    stated_size: tuple[int, int] | None = None
    run_ms: float | None = 5000.0
    stored_headers: dict[str, str] = field(default_factory=dict)


@dataclass
class GatewayDouble:
    """`spoil` is called for every job and may change anything about it, depending on its number (from 1)."""

    clock: ManualClock
    spoil: Callable[[Served], None] = lambda served: None
    health: dict[str, Any] = field(default_factory=dict)
    health_failures: int = 0
    version: str = VERSION
    refuse_token: bool = False
    submit_answer: httpx.Response | None = None
    jobs: dict[str, Served] = field(default_factory=dict)
    ready_at: dict[str, float] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    on_submit: Callable[[int], None] = lambda number: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        if path == "/health":
            return self._health()
        if path.startswith("/assets/"):
            return self._asset(path.removeprefix("/assets/"))
        if self.refuse_token or request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"title": "Unauthorized", "detail": "no valid token", "kind": "AUTH"})
        if request.method == "POST":
            return self._submit(request)
        job = path.rsplit("/", 1)[-1]
        if request.method == "DELETE":
            self.cancelled.append(job)
            return self._answer(200, self._generation(job, "canceled"))
        return self._answer(200, self._generation(job, self._status(job)))

    def _health(self) -> httpx.Response:
        if self.health_failures:
            self.health_failures -= 1
            raise httpx.ConnectError("name not known yet")
        body = {
            "status": "ok",
            "provider": "runpod",
            "version": {"id": self.version, "tag": "", "timestamp": ""},
            "operations": [operation.value for operation in Operation],
            "checks": {"credentials": {"ok": True, "detail": "complete"}},
        }
        return self._answer(200, body | self.health)

    def _submit(self, request: httpx.Request) -> httpx.Response:
        if self.submit_answer is not None:
            return self.submit_answer
        body = json.loads(request.content)
        number = next(self.numbers)
        self.on_submit(number)
        width, height = body.get("width") or 64, body.get("height") or 64
        if body.get("image"):
            width, height = _size_of(base64.b64decode(body["image"]["base64"]))
        cut_out = body["operation"] in ("remove_background", "pipeline")
        image = painted(body.get("seed") or number, width, height, cut_out=cut_out)
        if body.get("image"):
            source = Image.open(io.BytesIO(base64.b64decode(body["image"]["base64"]))).convert("RGB")
            image = (
                Image.blend(source, image, 0.2) if body["operation"] == "img2img" else without_background(source)
            )
        served = Served(number=number, request=body, content=encoded(image))
        self.spoil(served)
        job = f"job-{number}"
        self.jobs[job] = served
        self.ready_at[job] = self.clock.now() + served.seconds
        return self._answer(202, self._generation(job, "queued"))

    def _status(self, job: str) -> str:
        return self.jobs[job].status if self.clock.now() >= self.ready_at[job] else "running"

    def _generation(self, job: str, status: str) -> dict[str, Any]:
        served = self.jobs[job]
        assets = []
        if status == "succeeded" and served.content:
            width, height = served.stated_size or _size_of(served.content)
            asset = {
                "url": f"{BASE_URL}/assets/{job}.png",
                "key": f"{job}.png",
                "content_type": served.content_type,
                "bytes": len(served.content),
                "width": width,
                "height": height,
                "sha256": hashlib.sha256(served.content).hexdigest(),
            }
            assets.append(asset)
        return {
            "id": job,
            "status": status,
            "provider": served.provider,
            "operation": served.request["operation"],
            "assets": assets,
            "timings": {"queue_ms": 100, "run_ms": served.run_ms, "store_ms": 20},
            "error": served.error if status == "failed" else None,
        }

    def _asset(self, name: str) -> httpx.Response:
        served = self.jobs[name.removesuffix(".png")]
        served.downloads += 1
        if served.downloads > served.gone_after:
            return httpx.Response(404)
        content = served.content if served.stored is None else served.stored
        return httpx.Response(
            200, content=content, headers={"content-type": served.stored_content_type, **served.stored_headers}
        )

    def _answer(self, status: int, body: dict[str, Any]) -> httpx.Response:
        headers = {"Switchback-Provider": "runpod", "Switchback-Version": self.version}
        return httpx.Response(status, json=body, headers=headers)


def _size_of(content: bytes) -> tuple[int, int]:
    try:
        return Image.open(io.BytesIO(content)).size
    except OSError:
        return (64, 64)


@dataclass
class Bench:
    """Everything a verification needs, and what it did."""

    gateway: GatewayDouble
    clock: ManualClock
    wall: ManualClock
    events: list[Event] = field(default_factory=list)

    def plan(
        self,
        assets: int = 4,
        operations: tuple[Operation, ...] = (Operation.TXT2IMG,),
        stage: Stage = "live",
        **changes: Any,
    ) -> VerificationPlan:
        """A default plan with small pictures, one at a time."""
        plan = default_plan(stage=stage, provider="runpod", assets=assets, operations=operations)
        small = tuple(asset.model_copy(update={"width": 64, "height": 64}) for asset in plan.assets)
        return plan.model_copy(update={"assets": small, "in_flight": 1, **changes})

    def verify(self, plan: VerificationPlan | None = None, **options: Any) -> Report:
        target = options.pop("target", None) or Target(
            base_url=BASE_URL, provider="runpod", version_id=VERSION, token=TOKEN
        )
        with httpx.Client(transport=httpx.MockTransport(self.gateway)) as http:
            return verify(
                target,
                plan or self.plan(),
                http=http,
                clock=self.clock,
                wall=self.wall,
                progress=self.events.append,
                **{"random_seed": 7, **options},
            )


@pytest.fixture
def bench() -> Bench:
    clock = ManualClock()
    return Bench(GatewayDouble(clock), clock, ManualClock())
