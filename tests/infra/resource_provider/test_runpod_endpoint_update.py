"""What RunPodEndpoint changes, and what it says about it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import Session
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.clock import ManualClock
from provider_client.errors import ApiError, SwitchbackError, UnreachableError
from provider_client.runpod_management import DEFAULT_DEADLINE_SECONDS
from provider_client.runpod_settings import INPUTS_DIGEST, MARKER
from tests.infra.resource_provider.runpod_stub import WISH, Create, RunPodStub, problem


@pytest.mark.parametrize(
    ("change", "field", "rolls"),
    [
        ({"image": "example/comfyui:2"}, "image", True),
        ({"env": {"MODEL": "flux"}}, "env", True),
        ({"args": "--lowvram"}, "args", True),
        ({"diskGb": 60}, "disk", True),
        ({"registry": "reg1"}, "registry", True),
        ({"gpuTypes": ["NVIDIA L40", "NVIDIA L40S"]}, "gpu", True),
        ({"gpuCount": 2}, "gpu", True),
        ({"flashBoot": "OFF"}, "flashboot", True),
        ({"name": "squires"}, "name", False),
        ({"workersMin": 1}, "workers", False),
        ({"workersMax": 4}, "workers", False),
        ({"idleTimeoutSeconds": 60}, "workers", False),
        ({"scaling": {"type": "QUEUE_DELAY", "value": 9}}, "scaling", False),
        ({"executionTimeoutSeconds": 300}, "timeout", False),
        ({"dataCenters": ["EU-RO-1"]}, "dataCenterIds", False),
        ({"networkVolumes": ["vol1"]}, "networkVolumes", False),
    ],
)
def test_update_sends_only_what_changed_and_says_whether_workers_roll(
    create: Create,
    controller: RunPodEndpointController,
    session: Session,
    runpod: RunPodStub,
    log: Any,
    change: dict[str, Any],
    field: str,
    rolls: bool,
) -> None:
    endpoint_id, outputs = create()
    wish = {**WISH, **change}
    assert controller.diff(session, endpoint_id, outputs, wish).changed == tuple(change)
    controller.update(session, endpoint_id, outputs, wish, preview=True)
    assert len(runpod.mutations) == 1, "a preview writes nothing"
    assert any(("workers will roll" if rolls else "no worker is replaced") in line for line in log.infos)
    outputs = controller.update(session, endpoint_id, outputs, wish, preview=False)
    method, _, body = runpod.mutations[-1]
    sent = set(body) - ({"workers"} if field == "scaling" else set())
    assert (method, sent) == ("PATCH", {field})
    assert not controller.diff(session, endpoint_id, outputs, wish).changed


def test_an_env_update_keeps_the_marker(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, outputs = create()
    before = runpod.endpoints[endpoint_id]["env"]
    controller.update(session, endpoint_id, outputs, {**WISH, "env": {"A": "b"}}, preview=False)
    after = runpod.endpoints[endpoint_id]["env"]
    assert after == {"A": "b", MARKER: before[MARKER], INPUTS_DIGEST: before[INPUTS_DIGEST]}


@pytest.mark.parametrize(
    "answer",
    [
        problem(401, "missing bearer token"),
        problem(403, "access denied"),
        problem(429, "limit of the hour", **{"Retry-After": "3000"}),
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
    ],
)
def test_nothing_that_ails_runpod_stops_the_return_to_another_provider(
    create: Create,
    controller: RunPodEndpointController,
    session: Session,
    runpod: RunPodStub,
    log: Any,
    answer: httpx.Response,
) -> None:
    endpoint_id, outputs = create(workersMin=1)
    runpod.intercept = lambda _request: answer
    asleep = {**WISH, "workersMin": 0}
    kept = controller.update(session, endpoint_id, outputs, asleep, preview=False)
    assert kept["workersMin"] == 1, "the next up must see that it is still to do"
    assert any("$45.79 a day" in line for line in log.warnings)
    with pytest.raises((ApiError, UnreachableError)):
        controller.update(session, endpoint_id, outputs, {**asleep, "image": "example/comfyui:2"}, preview=False)


def test_a_rollout_that_does_not_end_does_not_stop_the_return_either(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    """An image that does not start keeps the release in progress for as long as anybody waits."""
    endpoint_id, outputs = create(workersMin=1)
    runpod.summary, runpod.rollout["inProgress"] = {"unhealthy": 1}, True
    asleep = {**WISH, "workersMin": 0}
    outputs = controller.update(session, endpoint_id, outputs, asleep, preview=False)
    assert outputs["workersMin"] == runpod.endpoints[endpoint_id]["workers"]["min"] == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(401, "missing bearer token"), "revoked"),
        (problem(403, "access denied"), "write access"),
        (problem(404, "endpoint not found"), "pulumi refresh"),
        (problem(422, "validation failed", ["$.disk: too small"]), "- $.disk: too small"),
        (problem(429, "limit of the minute", **{"Retry-After": "3000"}), "wait 3000 s"),
        (problem(500, "boom"), "RunPod has a problem of its own"),
        (httpx.ReadError("reset"), "the connection broke"),
        (httpx.ReadTimeout("hang"), "no answer in time"),
    ],
)
def test_an_update_that_fails_is_told_with_its_cause_inside_the_deadline(
    create: Create,
    controller: RunPodEndpointController,
    session: Session,
    runpod: RunPodStub,
    answer: httpx.Response | Exception,
    words: str,
) -> None:
    """A hanging RunPod takes all the time that it is given, again and again: the sum has its limit."""
    assert isinstance(session.wall, ManualClock)
    endpoint_id, outputs = create()
    began = session.wall.now()

    def fail(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH":
            return None
        if isinstance(answer, httpx.Response):
            return answer
        session.wall.sleep(request.extensions["timeout"]["read"] if isinstance(answer, httpx.ReadTimeout) else 0)
        raise answer

    runpod.intercept = fail
    with pytest.raises(SwitchbackError) as caught:
        controller.update(session, endpoint_id, outputs, {**WISH, "image": "example/comfyui:2"}, preview=False)
    assert words in str(caught.value)
    assert "fix: " in str(caught.value)
    assert session.wall.now() - began <= DEFAULT_DEADLINE_SECONDS
    assert runpod.endpoints[endpoint_id]["image"] == WISH["image"]


def test_delete_accepts_that_it_is_gone(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    endpoint_id, outputs = create()
    controller.delete(session, endpoint_id, outputs)
    controller.delete(session, endpoint_id, outputs)
    assert not runpod.endpoints
    assert any("gone already" in line for line in log.infos)
