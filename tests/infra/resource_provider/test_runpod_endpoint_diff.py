"""What RunPodEndpoint sees of the live endpoint."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import Session
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.errors import ConfigError
from tests.infra.resource_provider.runpod_stub import WISH, Create, RunPodStub


def test_nothing_changed_is_no_difference(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    endpoint_id, outputs = create()
    endpoint = runpod.endpoints[endpoint_id]
    endpoint["gpu"]["excludedTypes"].reverse()
    endpoint["scaling"]["queueDelay"] = 4.0
    endpoint["args"] = None
    diff = controller.diff(session, endpoint_id, outputs, WISH)
    assert (diff.changed, diff.replaces, log.warnings) == ((), (), [])


@pytest.mark.parametrize(("live", "days"), [(2, "3 days"), (0, "7 days")])
def test_runpods_own_scale_down_is_named_in_a_plain_preview(
    create: Create,
    controller: RunPodEndpointController,
    session: Session,
    runpod: RunPodStub,
    log: Any,
    live: int,
    days: str,
) -> None:
    endpoint_id, outputs = create()
    runpod.endpoints[endpoint_id]["workers"]["max"] = live
    assert controller.diff(session, endpoint_id, outputs, WISH).changed == ("workersMax",)
    assert any(f"workersMax from 3 to {live}" in line and days in line for line in log.warnings)
    controller.update(session, endpoint_id, outputs, WISH, preview=False)
    assert runpod.endpoints[endpoint_id]["workers"]["max"] == 3


def test_drift_of_env_names_keys_and_no_values(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    endpoint_id, outputs = create()
    runpod.endpoints[endpoint_id]["env"] |= {"HF_TOKEN": "planted-secret"}
    assert controller.diff(session, endpoint_id, outputs, WISH).changed == ("env",)
    assert any("HF_TOKEN" in line for line in log.warnings)
    assert not any("planted-secret" in line for line in log.warnings)


def test_an_unreachable_runpod_is_a_warning_in_diff(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    endpoint_id, outputs = create()
    runpod.intercept = lambda _request: httpx.Response(503)
    assert controller.diff(session, endpoint_id, outputs, {**WISH, "workersMin": 1}).changed == ("workersMin",)
    assert log.warnings


def test_an_endpoint_that_vanished_is_made_anew(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, outputs = create()
    runpod.endpoints.clear()
    assert controller.diff(session, endpoint_id, outputs, WISH).replaces == ("name",)


def test_read_gives_live_inputs_without_our_markers(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, outputs = create()
    runpod.endpoints[endpoint_id]["workers"]["max"] = 2
    live = controller.read(session, endpoint_id, outputs, WISH)
    assert live is not None
    assert live.inputs == {**WISH, "workersMax": 2}
    assert (live.outputs["workersMax"], live.outputs["endpointId"]) == (2, endpoint_id)


def test_what_read_imports_passes_check_unchanged(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, _ = create()
    live = controller.read(session, endpoint_id, {}, {})
    assert live is not None
    assert controller.check(session, {}, live.inputs).inputs == live.inputs
    assert not controller.diff(session, endpoint_id, live.outputs, live.inputs).changed


def test_read_of_a_deleted_endpoint_says_gone(controller: RunPodEndpointController, session: Session) -> None:
    assert controller.read(session, "ep-gone", {}, {}) is None


def test_an_existing_endpoint_is_checked_and_never_changed(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, outputs = create()
    runpod.requests.clear()
    inputs = {"existingEndpointId": endpoint_id}
    assert not controller.check(session, {}, inputs).failures
    made = controller.create(session, inputs, preview=False)
    assert (made.id, made.outputs["gpuPool"]) == (endpoint_id, "ADA_48_PRO")
    assert made.outputs["containerDigest"] == outputs["containerDigest"]
    assert not controller.diff(session, endpoint_id, made.outputs, inputs).changed
    runpod.endpoints[endpoint_id]["image"] = "example/comfyui:2"
    assert controller.diff(session, endpoint_id, made.outputs, inputs).changed == ("containerDigest",)
    controller.delete(session, endpoint_id, made.outputs)
    assert not runpod.mutations


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("wanted", ["nope", "https://api.runpod.ai/v2/nope/run", "../catalog/gpus"])
def test_an_existing_endpoint_that_is_not_there_is_a_config_error(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, wanted: str, preview: bool
) -> None:
    """Whatever was pasted leads to no other route of RunPod's API."""
    with pytest.raises(ConfigError, match=r"runpod\.endpointId"):
        controller.create(session, {"existingEndpointId": wanted}, preview=preview)


def test_an_existing_endpoint_without_a_queue_is_a_config_error(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    """The Worker submits jobs, which a load balancer does not take."""
    balancer = runpod.add(name="theirs", image="theirs:1", type="LOAD_BALANCER")
    with pytest.raises(ConfigError, match="LOAD_BALANCER"):
        controller.create(session, {"existingEndpointId": balancer}, preview=True)


def test_a_preview_does_without_an_answer_about_an_existing_endpoint(
    controller: RunPodEndpointController, session: Session, runpod: RunPodStub, log: Any
) -> None:
    runpod.intercept = lambda _request: httpx.Response(503)
    controller.create(session, {"existingEndpointId": "ep"}, preview=True)
    assert any("was not looked at" in line for line in log.warnings)


def test_a_name_that_is_said_twice_is_no_difference(
    create: Create, controller: RunPodEndpointController, session: Session
) -> None:
    """RunPod gives each GPU type back once."""
    endpoint_id, outputs = create(gpuTypes=["NVIDIA L40", "NVIDIA L40"])
    wish = {**WISH, "gpuTypes": ["NVIDIA L40", "NVIDIA L40"]}
    assert not controller.diff(session, endpoint_id, outputs, wish).changed


def test_giving_up_ownership_does_not_delete(
    create: Create, controller: RunPodEndpointController, session: Session, runpod: RunPodStub
) -> None:
    endpoint_id, outputs = create()
    same = {"existingEndpointId": endpoint_id}
    assert controller.diff(session, endpoint_id, outputs, same).replaces == ()
    outputs = controller.update(session, endpoint_id, outputs, same, preview=False)
    controller.delete(session, endpoint_id, outputs)
    assert endpoint_id in runpod.endpoints
    other = {"existingEndpointId": "another"}
    assert controller.diff(session, endpoint_id, {**WISH}, other).replaces == ("existingEndpointId",)
