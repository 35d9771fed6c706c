"""How RunPodEndpoint is made: once, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import CreatedButUnhealthy, Session
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.errors import ApiError, AuthError, Cancelled, ConfigError
from provider_client.runpod_settings import INPUTS_DIGEST, MARKER
from tests.infra.resource_provider.runpod_stub import WISH, Create, RunPodStub, problem


def lost_answer(runpod: RunPodStub) -> Callable[[httpx.Request], httpx.Response | None]:
    """The POST arrives, its answer does not."""

    def intercept(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            runpod.intercept = lambda _request: None
            runpod(request)
            raise httpx.ReadError("reset", request=request)
        return None

    return intercept


def test_create_sends_every_field_and_the_marker(create: Create, session: Session, runpod: RunPodStub) -> None:
    endpoint_id, outputs = create()
    ((_, _, body),) = runpod.mutations
    assert body["gpu"] == {
        "pools": ["ADA_48_PRO"],
        "excludedTypes": ["NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"],
        "count": 1,
    }
    assert body["workers"] == {"min": 0, "max": 3, "idleTimeout": 30}
    assert body["scaling"] == {"type": "QUEUE_DELAY", "queueDelay": 4}
    assert (body["type"], body["timeout"], body["flashboot"]) == ("QUEUE", 600_000, "FLASHBOOT")
    assert {"MODEL", MARKER, INPUTS_DIGEST} == set(body["env"])
    assert outputs["endpointId"] == endpoint_id
    assert (outputs["gpuPool"], outputs["pricePerWorkerDayUsd"]) == ("ADA_48_PRO", 45.79)


def test_create_adopts_what_an_interrupted_create_left(
    create: Create, session: Session, runpod: RunPodStub, log: Any
) -> None:
    first, _ = create()
    again, _ = create(workersMax=5)
    assert again == first
    assert len(runpod.endpoints) == 1
    assert runpod.mutations[-1][2] == {"workers": {"min": 0, "max": 5, "idleTimeout": 30}}
    assert any("left by an interrupted update" in line for line in log.infos)


def test_create_finds_its_endpoint_when_the_answer_was_lost(
    create: Create, session: Session, runpod: RunPodStub
) -> None:
    runpod.intercept = lost_answer(runpod)
    endpoint_id, _ = create()
    assert list(runpod.endpoints) == [endpoint_id]


def test_create_never_takes_somebody_elses_endpoint(
    create: Create, new_session: Callable[..., Session], runpod: RunPodStub
) -> None:
    create(new_session("other-resource"))
    with pytest.raises(ConfigError, match="pulumi import switchback:index:RunPodEndpoint endpoint ep000001"):
        create(new_session("endpoint"))
    assert len(runpod.endpoints) == 1


def test_a_replacement_does_not_adopt_the_endpoint_it_replaces(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    first, outputs = create()
    controller.check(session, WISH, WISH)  # the engine checks with the old inputs before it replaces
    second = controller.create(session, WISH, preview=False).id
    assert second != first
    controller.delete(session, first, outputs)
    assert list(runpod.endpoints) == [second]


def test_an_interrupted_replacement_is_continued(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    """The endpoint vanished, the create of the new one was killed: its own endpoint is not the one it replaces."""
    gone, outputs = create()
    del runpod.endpoints[gone]
    left, _ = create()
    controller.check(session, WISH, WISH)
    assert controller.diff(session, gone, outputs, WISH).replaces == ("name",)
    assert controller.create(session, WISH, preview=False).id == left
    assert list(runpod.endpoints) == [left]


def test_a_wrong_key_makes_nothing(create: Create, session: Session, runpod: RunPodStub) -> None:
    runpod.intercept = lambda _request: problem(401, "missing bearer token")
    with pytest.raises(AuthError, match="runpodManagementApiKey") as caught:
        create()
    assert "dummy-key" not in str(caught.value)
    assert not runpod.mutations


def test_422_shows_the_lines_of_the_api(create: Create, session: Session, runpod: RunPodStub) -> None:
    runpod.intercept = lambda request: (
        problem(422, "Request validation failed.", ["$: missing property 'image'"])
        if request.method == "POST"
        else None
    )
    with pytest.raises(ApiError, match=r"- \$: missing property 'image'"):
        create()


def test_preview_of_create_writes_nothing_and_tells_the_cost(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    made = controller.create(session, {**WISH, "workersMin": 1}, preview=True)
    assert not runpod.mutations
    assert "endpointId" not in made.outputs
    assert made.outputs["containerDigest"]
    assert any("1 worker always on: $45.79 a day" in line and "live catalog" in line for line in log.infos)


def test_without_workers_that_must_be_up_it_counts_as_rolled_out(
    create: Create, session: Session, runpod: RunPodStub
) -> None:
    runpod.summary = {}
    runpod.rollout = {"inProgress": False, "workersOnLatest": 0, "workersTotal": 0}
    assert create()[0]


def test_created_but_not_ready_is_recorded_with_its_id(
    create: Create, session: Session, runpod: RunPodStub, log: Any
) -> None:
    runpod.summary = {"unhealthy": 1}
    with pytest.raises(CreatedButUnhealthy, match="unhealthy") as caught:
        create(workersMin=1)
    assert caught.value.resource_id in runpod.endpoints
    assert caught.value.outputs["workersMin"] == 1
    assert any("waiting for RunPod" in line for line in log.statuses)


def test_a_cancelled_wait_stops_and_records_what_was_made(
    create: Create, session: Session, runpod: RunPodStub
) -> None:
    runpod.summary = {"initializing": 1}
    session.cancelled.set()
    with pytest.raises(CreatedButUnhealthy, match="cancelled") as caught:
        create(workersMin=1)
    assert isinstance(caught.value.__cause__, Cancelled)
