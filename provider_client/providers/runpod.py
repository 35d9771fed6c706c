"""RunPod serverless with worker-comfyui (5.x) on its workers: jobs API v2, graphs in, base64 pictures out."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr, field_validator

from provider_client.clock import Clock
from provider_client.failure_signals import Signal
from provider_client.models import Operation, Timings
from provider_client.providers.base import (
    Cost,
    ProviderHealth,
    ProviderSettings,
    ProviderSpec,
    fits_a_header,
    is_http_address,
)
from provider_client.providers.graphs import graph_of
from provider_client.providers.session import AmbiguousSubmit, Session
from provider_client.providers.work import (
    JobProvider,
    Made,
    Order,
    Patience,
    cancelling,
    finished_picture,
    refusal,
)
from provider_client.workflows import WorkflowOptions

LARGEST_BODY_BYTES = 10 * 1024 * 1024  # POST /run, RunPod's operation reference
SHORTEST_TIMEOUT_MS = 5_000  # limit of a job's policy
TTL_MARGIN_MS = 60_000  # our own cancellation comes first and says why; this is for when it cannot
WAITING = frozenset({"IN_QUEUE", "IN_PROGRESS", "RUNNING"})


class RunPodSettings(ProviderSettings):
    runpod_api_key: SecretStr
    runpod_comfyui_endpoint_id: str
    runpod_endpoint_base_url: str = "https://api.runpod.ai/v2"
    workflows: WorkflowOptions = WorkflowOptions()

    _address = field_validator("runpod_endpoint_base_url")(is_http_address)
    _key = field_validator("runpod_api_key")(fits_a_header)


class RunPodProvider(JobProvider):
    name = "runpod"

    def __init__(self, settings: RunPodSettings, http: httpx.Client, clock: Clock) -> None:
        super().__init__(http, clock)
        self._key = settings.runpod_api_key.get_secret_value()
        self._base_url = f"{settings.runpod_endpoint_base_url.rstrip('/')}/{settings.runpod_comfyui_endpoint_id}"
        self._options = settings.workflows

    def health(self) -> ProviderHealth:
        session = self._session()
        with session.reading():
            return health_of(session.get("/health"))

    def _make(self, session: Session, order: Order, patience: Patience) -> Made:
        job = _submit(session, self._body(order, patience.left))
        last: dict[str, str] = {}
        with cancelling(lambda: _cancel(session, job)):
            body = patience.wait(session, lambda: _finished(session, job, last), lambda: last["status"])
        picture = finished_picture(session, _first_image(session, body, job), job)
        timings = Timings(queue_ms=body.get("delayTime"), run_ms=body.get("executionTime"))
        return Made(picture, job, timings, Cost(float(timings.run_ms or 0) / 1000, "GPU seconds"))

    def _session(self, *hidden: str) -> Session:
        return Session(
            "runpod", self._base_url, self._http, self._clock,
            headers={"Authorization": f"Bearer {self._key}"},
            options=self._options, hidden=(self._key, *hidden),
        )  # fmt: skip

    def _body(self, order: Order, deadline_seconds: float) -> dict[str, Any]:
        """The job, with limits of its own: should nobody be able to cancel it, it still stops billing."""
        unique = uuid.uuid4().hex[:8]  # RunPod's own id comes too late for the graph
        name = f"{unique}.{order.image.extension}" if order.image else None
        graph, _ = graph_of(order, self._options, image_name=name, job=unique)
        work: dict[str, Any] = {"workflow": graph}
        if order.image is not None:
            work["images"] = [{"name": name, "image": order.image.base64}]
        limit = round(deadline_seconds * 1000)
        policy = {"executionTimeout": max(limit, SHORTEST_TIMEOUT_MS), "ttl": limit + TTL_MARGIN_MS}
        return {"input": work, "policy": policy}


def health_of(body: Mapping[str, Any]) -> ProviderHealth:
    """Zero workers is healthy (they start on demand); only unhealthy or throttled ones, and none else, is not."""
    workers, jobs = body.get("workers") or {}, body.get("jobs") or {}
    figures = {f"workers.{name}": float(count) for name, count in workers.items()}
    figures |= {f"jobs.{name}": float(count) for name, count in jobs.items()}
    able = sum(workers.get(name, 0) for name in ("idle", "initializing", "ready", "running"))
    unable = sum(workers.get(name, 0) for name in ("unhealthy", "throttled"))
    seen = (
        ", ".join(f"{count} {name}" for name, count in workers.items() if count)
        or "no workers, they start on demand"
    )
    return ProviderHealth(able > 0 or unable == 0, f"{seen}; {jobs.get('inQueue', 0)} jobs in the queue", figures)


def _submit(session: Session, body: Mapping[str, Any]) -> str:
    request_bytes = sum(len(image["image"]) for image in body["input"].get("images", ()))
    if request_bytes > LARGEST_BODY_BYTES - 64 * 1024:
        raise refusal("runpod", "the input image is too large: RunPod takes 10 MB per job")
    try:
        answer = session.submit("/run", json=body)
    except AmbiguousSubmit as lost:
        # RunPod lists no jobs and knows no idempotency key; a job that was taken ends by its own limit.
        session.fail_unknown(lost)
    if not isinstance(answer.get("id"), str):
        session.fail(answer)
    return str(answer["id"])


def _finished(session: Session, job: str, last: dict[str, str]) -> Mapping[str, Any] | None:
    found = session.find(f"/status/{job}")
    if found is None:
        session.fail(Signal(session.provider, 404, "", "RunPod no longer knows the job"), job)
    body = _in_current_form(found)
    last["status"] = session.state(body)
    if last["status"] in WAITING:
        return None
    if last["status"] != "COMPLETED":
        session.fail(body, job)
    return body


def _in_current_form(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """worker-comfyui before 5.0 gave one picture, as `message`: an address, or base64."""
    output = body.get("output")
    if not isinstance(output, Mapping) or output.get("status") != "success" or "images" in output:
        return body
    message = str(output.get("message"))
    kind = "s3_url" if message.startswith(("http://", "https://")) else "base64"
    return {**body, "output": {"images": [{"type": kind, "data": message}]}}


def _first_image(session: Session, body: Mapping[str, Any], job: str) -> bytes:
    found = body.get("output")
    output = found if isinstance(found, Mapping) else {}
    images = output.get("images")
    if not images or output.get("errors"):  # errors beside the pictures: a part is missing, nobody says which
        session.fail(body, job)
    image = images[0] if isinstance(images[0], Mapping) else {}
    data = str(image.get("data"))
    if image.get("type") == "s3_url":
        return session.download(data).content
    encoded = "".join((data.partition(",")[2] if data.startswith("data:") else data).split())
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        session.fail(session.signal("result:not_an_image", "the result is not valid base64"), job)


def _cancel(session: Session, job: str) -> None:
    session.post(f"/cancel/{job}")


SPEC = ProviderSpec(
    name="runpod",
    title="ComfyUI on RunPod serverless",
    settings=RunPodSettings,
    connect=RunPodProvider,
    operations=frozenset(Operation),
    cold_start_seconds=120.0,
    help_url="https://docs.runpod.io/serverless/endpoints/operation-reference",
)
