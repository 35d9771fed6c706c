"""ComfyUI over its own HTTP API: a server of one's own, one behind a proxy, or Comfy Cloud.

COMFYUI_ENDPOINT may end with /api or not; a self-hosted server answers under both. ComfyUI knows no credentials.
COMFYUI_API_KEY is for what stands in front of it: sent as `Authorization: Bearer` and as `X-API-Key` (Comfy Cloud's),
or, written as `Name: value`, as that header alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr, field_validator

from provider_client.clock import Clock
from provider_client.models import Operation, Timings
from provider_client.providers.base import (
    ProviderHealth,
    ProviderSettings,
    ProviderSpec,
    fits_a_header,
    is_http_address,
)
from provider_client.providers.comfyui_server import ComfyCloud, ComfyServer, SelfHosted
from provider_client.providers.graphs import graph_of
from provider_client.providers.session import AmbiguousSubmit, Session
from provider_client.providers.work import JobProvider, Made, Order, Patience, cancelling, finished_picture
from provider_client.workflows import WorkflowOptions

CLOUD_HOST = "cloud.comfy.org"
LOOKS_AFTER_LOST_SUBMIT = 3
SECONDS_BETWEEN_LOOKS = 1.0


class ComfyUISettings(ProviderSettings):
    """The address is a secret: whoever knows it can use the GPU."""

    comfyui_endpoint: SecretStr
    comfyui_api_key: SecretStr | None = None
    workflows: WorkflowOptions = WorkflowOptions()

    _address = field_validator("comfyui_endpoint")(is_http_address)
    _key = field_validator("comfyui_api_key")(fits_a_header)


def auth_headers(key: str | None) -> dict[str, str]:
    """The headers that carry the key, by the rules of this module's docstring."""
    if not key:
        return {}
    name, colon, value = key.partition(":")
    return {name.strip(): value.strip()} if colon else {"Authorization": f"Bearer {key}", "X-API-Key": key}


class ComfyUIProvider(JobProvider):
    name = "comfyui"

    def __init__(self, settings: ComfyUISettings, http: httpx.Client, clock: Clock) -> None:
        super().__init__(http, clock)
        self._endpoint = settings.comfyui_endpoint.get_secret_value().rstrip("/")
        key = settings.comfyui_api_key.get_secret_value() if settings.comfyui_api_key else None
        self._headers = auth_headers(key)
        self._is_cloud = httpx.URL(self._endpoint).host == CLOUD_HOST
        self._options = settings.workflows

    def health(self) -> ProviderHealth:
        """GET /prompt, the cheapest route: how many prompts run or wait."""
        session = self._session()
        with session.reading():
            waiting = float(session.field(session.get("/prompt"), "exec_info", "queue_remaining"))
        return ProviderHealth(True, f"{waiting:g} prompts running or waiting", {"queue": waiting})

    def _make(self, session: Session, order: Order, patience: Patience) -> Made:
        server = ComfyCloud(session) if self._is_cloud else SelfHosted(session)
        # An id of our own makes a submit traceable whose answer got lost (ComfyUI >= 0.25 wants a UUID).
        job = str(uuid.uuid4())
        graph, output = graph_of(order, self._options, image_name=_upload(session, order, job), job=job[:8])
        with cancelling(lambda: server.cancel(job)):
            job = _submit(server, job, graph)
            entry = patience.wait(session, lambda: server.finished(job), lambda: server.where(job))
            shown = _saved_image(session, entry, output, job)
            content = session.download("/view", **shown).content
        return Made(finished_picture(session, content, job), job, timings_of(entry))

    def _session(self, *hidden: str) -> Session:
        secrets = (self._endpoint, *self._headers.values(), *hidden)
        return Session(
            "comfyui", self._endpoint, self._http, self._clock,
            headers=self._headers, options=self._options, hidden=secrets,
        )  # fmt: skip


def _upload(session: Session, order: Order, job: str) -> str | None:
    """The name under which ComfyUI keeps the input; it may differ from the one that was asked for."""
    if order.image is None:
        return None
    name = f"{job}.{order.image.extension}"
    answer = session.upload(
        "/upload/image",
        data={"overwrite": "true", "type": "input"},
        files={"image": (name, order.image.content, order.image.content_type)},
    )
    stored, folder = session.field(answer, "name"), answer.get("subfolder")
    return f"{folder}/{stored}" if folder else str(stored)


def _submit(server: ComfyServer, job: str, graph: Mapping[str, Any]) -> str:
    """The id under which the prompt is known, ours unless the server insists on its own."""
    session = server.session
    body = {"prompt": graph, "prompt_id": job}
    try:
        answer = session.submit("/prompt", json=body)
    except AmbiguousSubmit as lost:
        with session.reconciling(lost, job):
            has_arrived = _arrived(server, job)
        if has_arrived:
            return job
        try:
            answer = session.submit("/prompt", json=body)  # the same id: nothing under it runs, waits or has run
        except AmbiguousSubmit as lost_again:
            session.fail_unknown(lost_again, job)
    if answer.get("node_errors"):
        session.fail(answer, job)  # 200, and yet a part of the graph was refused
    return str(answer.get("prompt_id") or job)


def _arrived(server: ComfyServer, job: str) -> bool:
    for _ in range(LOOKS_AFTER_LOST_SUBMIT):
        if server.knows(job):
            return True
        server.session.clock.sleep(SECONDS_BETWEEN_LOOKS)
    return False


def _saved_image(session: Session, entry: Mapping[str, Any], output: str, job: str) -> dict[str, str]:
    images = ((entry.get("outputs") or {}).get(output) or {}).get("images") or ()
    kept = [image for image in images if image.get("type") == "output"]
    if not kept:
        session.fail(session.signal("result:none", "success was reported without an image"), job)
    return {key: kept[0].get(key, "") for key in ("filename", "subfolder", "type")}


def timings_of(entry: Mapping[str, Any]) -> Timings:
    """Milliseconds between the events that the history entry records; None where one is missing."""
    at: dict[str, float] = {
        name: event["timestamp"]
        for name, event in (entry.get("status") or {}).get("messages") or ()
        if "timestamp" in event
    }
    submitted = next((part["create_time"] for part in entry.get("prompt", ())
                      if isinstance(part, Mapping) and "create_time" in part), None)  # fmt: skip
    start, end = at.get("execution_start"), at.get("execution_success")
    return Timings(
        queue_ms=start - submitted if start is not None and submitted is not None else None,
        run_ms=end - start if start is not None and end is not None else None,
    )


SPEC = ProviderSpec(
    name="comfyui",
    title="ComfyUI",
    settings=ComfyUISettings,
    connect=ComfyUIProvider,
    operations=frozenset(Operation),
    cold_start_seconds=30.0,
    help_url="https://docs.comfy.org/development/comfyui-server/comms_routes",
)
