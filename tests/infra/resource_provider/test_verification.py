"""Verification: when it generates, when it does not, and what a failure tells."""

from __future__ import annotations

from typing import Any

import pytest

from infra.resource_provider.controller import Session
from infra.resource_provider.property_values import UNKNOWN_STRING
from infra.resource_provider.verification import VerificationController
from provider_client.errors import Cancelled, VerificationFailed
from provider_client.models import Operation
from provider_client.verification import default_plan
from tests.infra.resource_provider.edge_stub import ACCOUNT, RUNPOD, SCENARIO, WORKER, EdgeStub


def plan(assets: int) -> dict[str, Any]:
    made = default_plan(stage="candidate", provider="runpod", assets=assets, operations=[Operation.TXT2IMG])
    return made.model_dump(mode="json")


INPUTS: dict[str, Any] = {
    "stage": "candidate",
    "provider": "runpod",
    "versionId": RUNPOD,
    "workerName": WORKER,
    "accountId": ACCOUNT,
    "targetUrl": "https://22222222-preview.invalid",
    "plan": plan(0),
    "subject": "digest-1",
}


@pytest.fixture
def verification() -> VerificationController:
    return VerificationController()


@pytest.mark.parametrize(
    ("change", "property_path"),
    [
        ({"stage": "dress-rehearsal"}, "stage"),
        ({"plan": {"assets": [{"name": "a", "operation": "paint"}]}}, "plan.assets.0.operation"),
        ({"plan": {"surprise": 1}}, "plan.surprise"),
        ({"subject": ""}, "subject"),
    ],
)
def test_check_names_the_wrong_property(
    verification: VerificationController, edge_session: Session, change: dict[str, Any], property_path: str
) -> None:
    assert property_path in {
        f.property for f in verification.check(edge_session, {}, {**INPUTS, **change}).failures
    }


def test_check_tolerates_what_is_not_known_yet(
    verification: VerificationController, edge_session: Session
) -> None:
    inputs = dict.fromkeys(INPUTS, UNKNOWN_STRING)
    assert not verification.check(edge_session, {}, inputs).failures


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, False),
        ({"targetUrl": "https://elsewhere.invalid"}, False),
        ({"subject": "digest-2"}, True),
        ({"versionId": SCENARIO}, True),
        ({"versionId": UNKNOWN_STRING}, True),
        ({"plan": plan(2)}, True),
    ],
)
def test_only_what_the_verdict_depends_on_is_a_difference(
    verification: VerificationController, edge_session: Session, change: dict[str, Any], differs: bool
) -> None:
    assert bool(verification.diff(edge_session, "id", INPUTS, {**INPUTS, **change}).changed) is differs


def test_preview_says_what_would_be_generated_and_what_it_costs(
    verification: VerificationController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    verification.create(edge_session, {**INPUTS, "plan": plan(4)}, preview=True)
    assert any("4 assets (4 txt2img), about $" in line for line in log.infos)
    assert not edge.generations


def test_a_good_version_passes_and_leaves_a_report(
    verification: VerificationController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    outputs = verification.create(edge_session, INPUTS, preview=False).outputs
    assert outputs["verdict"] == "SUCCESSFUL"
    assert (edge_session.config.project_dir / outputs["reportPath"]).is_file()
    assert not outputs["reportPath"].startswith("/")


def test_a_version_that_serves_all_traffic_passes_without_generating(
    verification: VerificationController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({RUNPOD: 100})
    made = verification.create(edge_session, {**INPUTS, "plan": plan(4)}, preview=False)
    assert (made.outputs["verdict"], made.outputs["total"]) == ("SUCCESSFUL", 0)
    assert not edge.generations


def test_a_container_changed_under_a_serving_version_is_verified(
    verification: VerificationController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({RUNPOD: 100})
    inputs = {**INPUTS, "plan": plan(3)}
    with pytest.raises(VerificationFailed):
        verification.update(edge_session, "id", inputs, {**inputs, "subject": "digest-2"}, preview=False)
    assert edge.generations


def test_a_failure_names_check_report_and_that_traffic_stayed(
    verification: VerificationController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    edge.deploy({SCENARIO: 100})
    edge.says[RUNPOD] = "scenario"
    with pytest.raises(VerificationFailed) as caught:
        verification.create(edge_session, {**INPUTS, "plan": plan(2)}, preview=False)
    told = str(caught.value)
    assert "runpod did not prove itself (FAILED): health.provider scenario, expected runpod" in told
    assert "traffic was not moved" in told
    assert ".switchback/reports/" in told
    assert "dummy-gateway-token" not in told
    assert not edge.generations, "the wrong provider is not paid for"


def test_a_cancelled_verification_is_no_verdict(
    verification: VerificationController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    edge_session.cancelled.set()
    with pytest.raises(Cancelled):
        verification.create(edge_session, {**INPUTS, "plan": plan(2)}, preview=False)
