"""Scenario.com: jobs that end in assets, asked for in its current shape (`custom`) or the older one (`legacy`).

Scenario has no operation for the whole pipeline, so it is a chain: generate, remove the background, both at
Scenario, and scale here with Pillow.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from provider_client.clock import Clock
from provider_client.models import Operation, Timings
from provider_client.providers.base import (
    Cost,
    ProviderHealth,
    ProviderSettings,
    ProviderSpec,
    fits_a_header,
    is_http_address,
)
from provider_client.providers.images import Picture, scale
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
from provider_client.workflows import native_size

CLOCK_DIFFERENCE = timedelta(minutes=2)  # between this machine and Scenario
LARGEST_UPLOAD_BYTES = 6_000_000  # POST /assets; larger ones need an upload in parts
IN_FLIGHT = frozenset({"pending", "queued", "warming-up", "in-progress", "finalizing"})

Stage = Literal[Operation.TXT2IMG, Operation.IMG2IMG, Operation.REMOVE_BACKGROUND]

DEFAULT_MODELS: Mapping[str, Mapping[Operation, str]] = {
    "custom": {
        Operation.TXT2IMG: "model_bfl-flux-2-dev",
        Operation.IMG2IMG: "model_bfl-flux-2-dev",
        Operation.REMOVE_BACKGROUND: "model_photoroom-background-removal",
    },
    "legacy": {Operation.TXT2IMG: "flux.1-dev", Operation.IMG2IMG: "flux.1-dev"},
}
LEGACY_ROUTES: Mapping[Operation, str] = {
    Operation.TXT2IMG: "/generate/txt2img",
    Operation.IMG2IMG: "/generate/img2img",
    Operation.REMOVE_BACKGROUND: "/generate/remove-background",
}


class ScenarioOptions(BaseModel):
    """Which of Scenario's two request shapes to speak, and the model per operation where it is not the default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    request_shape: Literal["custom", "legacy"] = Field("custom", alias="requestShape")
    models: Mapping[Operation, str] = Field(default_factory=dict)

    def model_for(self, operation: Operation) -> str | None:
        return self.models.get(operation) or DEFAULT_MODELS[self.request_shape].get(operation)


class ScenarioSettings(ProviderSettings):
    """Scenario authenticates with two secrets: HTTP Basic, key as user, secret as password."""

    scenario_api_key: SecretStr
    scenario_secret_api_key: SecretStr
    scenario_base_url: str = "https://api.cloud.scenario.com/v1"
    scenario: ScenarioOptions = ScenarioOptions()

    _address = field_validator("scenario_base_url")(is_http_address)
    _key = field_validator("scenario_api_key", "scenario_secret_api_key")(fits_a_header)


@dataclass(frozen=True)
class Finished:
    """One job that succeeded: its id, the asset it made, what it cost in creative units, and how long it took."""

    job: str
    asset: str
    creative_units: float
    timings: Timings


class ScenarioProvider(JobProvider):
    name = "scenario"
    poll_seconds = 2.0  # docs.scenario.com advises 2 to 3 s

    def __init__(self, settings: ScenarioSettings, http: httpx.Client, clock: Clock) -> None:
        super().__init__(http, clock)
        self._key = settings.scenario_api_key.get_secret_value()
        self._secret = settings.scenario_secret_api_key.get_secret_value()
        self._base_url = settings.scenario_base_url
        self._options = settings.scenario

    def health(self) -> ProviderHealth:
        """GET /models?pageSize=1: the cheapest call that needs the credentials."""
        self._session().get("/models", pageSize="1")
        return ProviderHealth(True, "credentials accepted")

    def _make(self, session: Session, order: Order, patience: Patience) -> Made:
        jobs = self._run(session, order, patience)
        picture = _download(session, jobs[-1])
        if order.operation is Operation.PIPELINE:
            picture = scale(picture, order.width, order.height)
        cost = Cost(sum(job.creative_units for job in jobs), "creative units")
        return Made(picture, jobs[-1].job, _added_up([job.timings for job in jobs]), cost)

    def _run(self, session: Session, order: Order, patience: Patience) -> list[Finished]:
        if order.operation is not Operation.PIPELINE:
            image = _upload(session, order.image) if order.image else None
            return [self._job(session, order.operation, order, (order.width, order.height), image, patience)]
        size = native_size(order.width, order.height)
        made = self._job(session, Operation.TXT2IMG, order, size, None, patience)
        return [made, self._job(session, Operation.REMOVE_BACKGROUND, order, size, made.asset, patience)]

    def _job(
        self,
        session: Session,
        stage: Operation,
        order: Order,
        size: tuple[int, int],
        image: str | None,
        patience: Patience,
    ) -> Finished:
        route, body = request_of(stage, order, size, image, self._options)
        job, created = _submit(session, route, body)
        last: dict[str, str] = {}
        with cancelling(lambda: _cancel(session, job)):
            done = patience.wait(session, lambda: _finished(session, job, last), lambda: last["status"])
        assets = (done.get("metadata") or {}).get("assetIds")
        if not assets:
            session.fail({"job": done}, job)
        return Finished(job, assets[0], _creative_units(created), timings_of(done))

    def _session(self, *hidden: str) -> Session:
        pair = base64.b64encode(f"{self._key}:{self._secret}".encode()).decode("ascii")
        return Session(
            "scenario", self._base_url, self._http, self._clock,
            headers={"Authorization": f"Basic {pair}"},
            hidden=(self._key, self._secret, pair, *hidden),
        )  # fmt: skip


def request_of(
    stage: Operation, order: Order, size: tuple[int, int], image: str | None, options: ScenarioOptions
) -> tuple[str, dict[str, Any]]:
    """Route and body of one job. `image` is the id of an asset at Scenario."""
    model = options.model_for(stage)
    body: dict[str, Any] = {}
    if stage is not Operation.REMOVE_BACKGROUND:
        body |= {"prompt": order.prompt, "width": size[0], "height": size[1], "seed": order.seed}
        if order.negative_prompt:
            body["negativePrompt"] = order.negative_prompt
    if image is not None:
        body["image"] = image
    if stage is Operation.IMG2IMG:
        body["strength"] = order.strength
    if options.request_shape == "custom":
        return f"/generate/custom/{model}", body
    body |= {"modelId": model, "numSamples": 1} if model is not None else {"format": "png"}
    return LEGACY_ROUTES[stage], body


def _submit(session: Session, route: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The job's id, and the answer that says what it costs."""
    before = datetime.now(UTC)
    try:
        answer: Mapping[str, Any] = session.submit(route, json=body)
    except AmbiguousSubmit as lost:
        with session.reconciling(lost):
            taken = _taken_since(session, body, before)
        if taken is None:
            session.fail_unknown(lost)
        answer = {"job": taken}
    if not isinstance(answer.get("job"), Mapping):
        session.fail(answer)
    job = answer["job"].get("jobId") or answer["job"].get("id")  # the docs' quick start has `id`, all else `jobId`
    if not isinstance(job, str):
        session.fail_unknown(AmbiguousSubmit("answer:not_json", "the answer names no job"))
    return job, answer


def _taken_since(session: Session, body: Mapping[str, Any], before: datetime) -> Mapping[str, Any] | None:
    """The job that a lost submit made, if the list of jobs shows exactly one that can only be it."""
    mine = [
        job
        for job in session.get("/jobs", pageSize="20").get("jobs", ())
        if (created := _moment(job.get("createdAt"))) is not None
        and created >= before - CLOCK_DIFFERENCE
        and _same_input((job.get("metadata") or {}).get("input") or {}, body)
    ]
    return mine[0] if len(mine) == 1 else None


def _same_input(echoed: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    told_apart_by = [key for key in ("prompt", "seed", "image") if key in body]
    return all(str(echoed.get(key)) == str(body[key]) for key in told_apart_by)


def _finished(session: Session, job: str, last: dict[str, str]) -> Mapping[str, Any] | None:
    record: Mapping[str, Any] = session.field(session.get(f"/jobs/{job}"), "job")
    last["status"] = session.state(record)
    if last["status"] in IN_FLIGHT:
        return None
    if last["status"] != "success":
        session.fail({"job": record}, job)
    return record


def _upload(session: Session, picture: Picture) -> str:
    if len(picture.content) >= LARGEST_UPLOAD_BYTES:
        raise refusal("scenario", "the input image is too large: Scenario takes pictures below 6 MB in one piece")
    answer = session.upload("/assets", json={"image": picture.base64, "name": f"input.{picture.extension}"})
    return str(session.field(answer, "asset", "id"))


def _download(session: Session, done: Finished) -> Picture:
    """The link is signed and expires, so the bytes are fetched at once."""
    answer = session.get(f"/assets/{done.asset}", originalAssets="true")
    url = session.field(answer, "asset", "url", code="result:missing")
    return finished_picture(session, session.download(url).content, done.job)


def _cancel(session: Session, job: str) -> None:
    session.post(f"/jobs/{job}/action", json={"action": "cancel"})


def _creative_units(created: Mapping[str, Any]) -> float:
    billing = created["job"].get("billing") or {}
    return float(created.get("creativeUnitsCost") or billing.get("cuCost") or 0)


def timings_of(job: Mapping[str, Any]) -> Timings:
    """Waiting until `in-progress`, then running until `success`, by the job's own history."""
    at = {step.get("status"): _moment(step.get("date")) for step in job.get("statusHistory") or ()}
    created, started = _moment(job.get("createdAt")), at.get("in-progress")
    ended = at.get("success") or _moment(job.get("updatedAt"))
    return Timings(queue_ms=_between(created, started), run_ms=_between(started or created, ended))


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() * 1000 if start is not None and end is not None else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _added_up(parts: list[Timings]) -> Timings:
    queues = [part.queue_ms for part in parts if part.queue_ms is not None]
    runs = [part.run_ms for part in parts if part.run_ms is not None]
    return Timings(queue_ms=sum(queues) if queues else None, run_ms=sum(runs) if runs else None)


SPEC = ProviderSpec(
    name="scenario",
    title="Scenario",
    settings=ScenarioSettings,
    connect=ScenarioProvider,
    operations=frozenset(Operation),
    cold_start_seconds=5.0,
    help_url="https://docs.scenario.com",
)
