"""What RunPodEndpoint refuses before anything is sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import Session
from infra.resource_provider.property_values import UNKNOWN_STRING
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.runpod_settings import MARKER
from tests.infra.resource_provider.runpod_stub import WISH, RunPodStub


def test_check_fills_in_every_setting(controller: RunPodEndpointController, session: Session) -> None:
    checked = controller.check(session, {}, {"name": "a", "image": "b", "gpuTypes": ["NVIDIA L40"]})
    assert not checked.failures
    assert {"workersMin", "idleTimeoutSeconds", "flashBoot", "scaling", "executionTimeoutSeconds"} <= set(
        checked.inputs
    )


@pytest.mark.parametrize(
    ("change", "property_path", "words"),
    [
        ({"idleTimeoutSeconds": 0}, "idleTimeoutSeconds", "from 1 to 3600"),
        ({"idleTimeoutSeconds": 3601}, "idleTimeoutSeconds", "from 1 to 3600"),
        ({"workersMin": 4, "workersMax": 2}, "workersMax", "at least workersMin (4)"),
        ({"gpuTypes": ["L40"]}, "gpuTypes[0]", "'NVIDIA L40'"),
        ({"gpuTypes": ["ADA_48_PRO"]}, "gpuTypes[0]", "is a pool"),
        ({"gpuTypes": []}, "gpuTypes", "at least one"),
        ({"type": "LOAD_BALANCER"}, "type", "only QUEUE"),
        ({"scaling": {"type": "REQUEST_COUNT", "value": 2}}, "idleTimeoutSeconds", "REQUEST_COUNT"),
        ({"scaling": {"type": "QUEUE_DELAY", "value": 0.4}}, "scaling.value", "0.5"),
        ({"flashBoot": "ON"}, "flashBoot", "FLASHBOOT"),
        ({"executionTimeoutSeconds": 4}, "executionTimeoutSeconds", "5 s"),
        ({"workerMax": 3}, "workerMax", "did you mean 'workersMax'"),
        ({"env": {MARKER: "x"}}, "env", "Switchback itself"),
        ({"existingEndpointId": "ep1"}, "name", "existingEndpointId"),
    ],
)
def test_check_names_the_property_and_the_way_out(
    controller: RunPodEndpointController, session: Session, change: dict[str, Any], property_path: str, words: str
) -> None:
    failures = controller.check(session, {}, {**WISH, **change}).failures
    assert words in {failure.property: failure.reason for failure in failures}[property_path]


def test_check_requires_name_image_and_gpu(controller: RunPodEndpointController, session: Session) -> None:
    assert {f.property for f in controller.check(session, {}, {}).failures} == {"name", "image", "gpuTypes"}


def test_check_tolerates_what_is_not_known_yet(controller: RunPodEndpointController, session: Session) -> None:
    inputs = {**WISH, "image": UNKNOWN_STRING, "workersMax": UNKNOWN_STRING}
    checked = controller.check(session, {}, inputs)
    assert not checked.failures
    assert checked.inputs["image"] == UNKNOWN_STRING


def test_check_asks_the_network_nothing_when_nothing_changed(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    assert not controller.check(session, WISH, WISH).failures
    assert not runpod.requests


def test_an_unreachable_runpod_is_a_warning_in_check(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    runpod.intercept = lambda _request: httpx.Response(502, text="<html>bad gateway</html>")
    assert not controller.check(session, {**WISH, "workersMin": 1}, WISH).failures
    assert any("not looked up" in line for line in log.warnings)


def test_check_warns_of_the_worker_quota(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    runpod.add(name="another", workers={"max": 3})
    controller.check(session, {}, WISH)
    assert any("6 workers" in line and "quota is 5" in line for line in log.warnings)


def test_an_endpoint_that_is_renamed_is_counted_once(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    runpod.add(name=WISH["name"], workers={"max": 3})
    controller.check(session, WISH, {**WISH, "name": "squires"})
    assert not log.warnings


def test_one_operation_waits_for_an_outage_once(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    """Check, diff and preview together take no longer than one look-up, and tell the outage once each."""
    wish = {**WISH, "workersMin": 1}
    runpod.intercept = lambda _request: httpx.Response(503)
    controller.check(session, WISH, wish)
    waited = session.wall.now()
    controller.diff(session, "ep1", WISH, wish)
    controller.update(session, "ep1", WISH, wish, preview=True)
    assert session.wall.now() == waited <= 5
    assert len([line for line in log.warnings if "not looked up" in line]) == 1
    assert len([line for line in log.warnings if "drift" in line]) == 1
