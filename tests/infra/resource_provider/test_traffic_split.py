"""TrafficSplit: what a preview says of the traffic, what moves it, and what it refuses to undo."""

from __future__ import annotations

from typing import Any

import pytest

from infra.resource_provider.controller import Session
from infra.resource_provider.property_values import UNKNOWN_STRING
from infra.resource_provider.traffic_split import TrafficSplitController
from provider_client.errors import TrafficRefused, VerificationFailed
from provider_client.models import Operation
from provider_client.verification import default_plan
from tests.infra.resource_provider.edge_stub import ACCOUNT, GATEWAY_URL, RUNPOD, SCENARIO, WORKER, EdgeStub

ROLLED_BACK = (
    "switchback:rollback from=runpod to=scenario actor=alice at=2026-11-23T05:00:00Z reason='out of memory'"
)
HEALTH_ONLY = default_plan(stage="live", provider="runpod", assets=0, operations=()).model_dump(mode="json")


def wish(*versions: tuple[str, str, float], **changes: Any) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "workerName": WORKER,
        "gatewayUrl": GATEWAY_URL,
        "versions": [{"provider": p, "versionId": v, "percent": percent} for p, v, percent in versions],
        "verification": "digest",
        **changes,
    }


TO_SCENARIO = wish(("scenario", SCENARIO, 100))
TO_RUNPOD = wish(("runpod", RUNPOD, 100))


@pytest.fixture
def split() -> TrafficSplitController:
    return TrafficSplitController()


@pytest.mark.parametrize(
    ("versions", "property_path", "words"),
    [
        ([], "versions", "one or 2"),
        ([{"provider": "a", "versionId": "x", "percent": 40}], "versions", "add up to 40"),
        ([{"provider": "a", "versionId": "x", "percent": "100"}], "versions[0].percent", "from 0 to 100"),
        ([{"provider": "a", "percent": 100}], "versions[0].versionId", "required"),
        (["a"], "versions[0].percent", "from 0 to 100"),
    ],
)
def test_check_refuses_what_is_no_split(
    split: TrafficSplitController, edge_session: Session, versions: Any, property_path: str, words: str
) -> None:
    failures = split.check(edge_session, {}, {**TO_SCENARIO, "versions": versions}).failures
    assert words in {failure.property: failure.reason for failure in failures}[property_path]


def test_an_unknown_version_is_no_failure_and_preview_still_says_what_moves(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    edge.deploy({SCENARIO: 100})
    inputs = wish(("runpod", UNKNOWN_STRING, 100))  # type: ignore[arg-type]
    assert not split.check(edge_session, {}, inputs).failures
    assert split.diff(edge_session, "id", TO_SCENARIO, inputs).changed == ("versions",)
    split.update(edge_session, "id", TO_SCENARIO, inputs, preview=True)
    assert "traffic: scenario 100 % → runpod 100 %" in log.infos
    assert not edge.mutations


def test_create_moves_the_traffic_with_one_call_and_leaves_an_audit_trail(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    made = split.create(edge_session, {**TO_RUNPOD, "reason": "cheaper"}, preview=False)
    assert edge.live == {RUNPOD: 100}
    assert len(edge.mutations) == 1
    message = edge.mutations[0]["annotations"]["workers/message"]
    assert message.startswith("switchback:up ")
    assert "reason=cheaper" in message
    assert "verification=digest" in message
    assert made.outputs["deploymentId"] == edge.deployments[0]["id"]


def test_already_as_desired_is_no_call(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({RUNPOD: 100})
    split.create(edge_session, TO_RUNPOD, preview=False)
    assert not edge.mutations


def test_unchanged_and_live_is_no_difference(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    edge.deploy({RUNPOD: 100})
    inputs = {**TO_RUNPOD, "reason": "another", "verification": "another", "acknowledgeRollback": "x"}
    assert not split.diff(edge_session, "id", TO_RUNPOD, inputs).changed
    assert not log.warnings


def test_a_plain_preview_after_a_rollback_says_who_when_and_why(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    edge.deploy({RUNPOD: 100})
    edge.deploy({SCENARIO: 100}, ROLLED_BACK)
    assert split.diff(edge_session, "id", TO_RUNPOD, TO_RUNPOD).changed == ("versions",)
    told = " ".join(log.warnings)
    assert all(word in told for word in ("alice", "2026-11-23T05:00:00Z", "out of memory"))
    split.update(edge_session, "id", TO_RUNPOD, TO_RUNPOD, preview=True)
    assert any("pulumi up will refuse" in line and "acknowledgeRollback" in line for line in log.warnings)


def test_up_refuses_to_undo_a_rollback_until_it_is_acknowledged(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({RUNPOD: 100})
    edge.deploy({SCENARIO: 100}, ROLLED_BACK)
    with pytest.raises(TrafficRefused, match="alice"):
        split.update(edge_session, "id", TO_RUNPOD, TO_RUNPOD, preview=False)
    assert not edge.mutations
    acknowledged = {**TO_RUNPOD, "acknowledgeRollback": "deployment-2"}
    split.update(edge_session, "id", TO_RUNPOD, acknowledged, preview=False)
    assert edge.live == {RUNPOD: 100}


def test_agreeing_with_a_rollback_moves_nothing(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100}, ROLLED_BACK)
    assert split.diff(edge_session, "id", TO_RUNPOD, TO_SCENARIO).changed == ("versions",)
    split.update(edge_session, "id", TO_RUNPOD, TO_SCENARIO, preview=False)
    assert not edge.mutations


def test_an_unreachable_cloudflare_is_a_warning_in_preview(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub, log: Any
) -> None:
    edge.down = True
    assert not split.diff(edge_session, "id", TO_RUNPOD, TO_RUNPOD).changed
    assert split.diff(edge_session, "id", TO_SCENARIO, TO_RUNPOD).changed == ("versions",)
    split.update(edge_session, "id", TO_SCENARIO, TO_RUNPOD, preview=True)
    assert any("runpod 100 %" in line for line in log.warnings)


def test_a_failed_live_verification_puts_the_previous_split_back(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    plan = default_plan(stage="live", provider="runpod", assets=3, operations=[Operation.TXT2IMG])
    inputs = {**TO_RUNPOD, "livePlan": plan.model_dump(mode="json")}
    with pytest.raises(VerificationFailed, match="previous split is back") as caught:
        split.update(edge_session, "id", TO_SCENARIO, inputs, preview=False)
    assert edge.live == {SCENARIO: 100}
    assert ".switchback/reports/" in str(caught.value)


def test_every_move_is_verified_live_whatever_was_proven_before(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    state = {**TO_SCENARIO, "deploymentId": "deployment-1", "liveVerdict": "INCONCLUSIVE"}
    moved = split.update(edge_session, "id", state, {**TO_RUNPOD, "livePlan": HEALTH_ONLY}, preview=False)
    assert moved["liveVerdict"] == "SUCCESSFUL"
    reports = edge_session.config.project_dir / ".switchback" / "reports"
    assert len(list(reports.iterdir())) == 1
    split.update(edge_session, "id", moved, {**TO_RUNPOD, "livePlan": HEALTH_ONLY}, preview=False)
    assert len(list(reports.iterdir())) == 1, "what is proven is not verified again"


def test_a_live_verification_pins_the_version_of_a_canary(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 100})
    inputs = wish(("scenario", SCENARIO, 90), ("runpod", RUNPOD, 10), livePlan=HEALTH_ONLY)
    made = split.update(edge_session, "id", TO_SCENARIO, inputs, preview=False)
    assert made["liveVerdict"] == "SUCCESSFUL"
    assert (edge_session.config.project_dir / made["reportPath"]).is_file()


def test_a_move_killed_before_its_live_verification_is_verified_by_the_next_up(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    """With and without a refresh in between; afterwards nothing is left to do."""
    edge.deploy({SCENARIO: 100})
    edge.deploy({RUNPOD: 100}, "switchback:up from=scenario to=runpod")
    inputs = {**TO_RUNPOD, "livePlan": HEALTH_ONLY}
    before = {**TO_SCENARIO, "deploymentId": "deployment-1", "liveVerdict": "SUCCESSFUL"}
    refreshed = split.read(edge_session, f"{ACCOUNT}/{WORKER}", before, TO_SCENARIO)
    assert refreshed is not None
    for state in (before, refreshed.outputs):
        assert split.diff(edge_session, "id", state, inputs).changed
        after = split.update(edge_session, "id", state, inputs, preview=False)
        assert after["liveVerdict"] == "SUCCESSFUL"
        assert not split.diff(edge_session, "id", after, inputs).changed
    assert not edge.mutations


def test_read_shows_the_live_split_as_inputs(
    split: TrafficSplitController, edge_session: Session, edge: EdgeStub
) -> None:
    edge.deploy({SCENARIO: 90, RUNPOD: 10})
    live = split.read(edge_session, f"{ACCOUNT}/{WORKER}", TO_RUNPOD, TO_RUNPOD)
    assert live is not None
    assert {(v["provider"], v["percent"]) for v in live.inputs["versions"]} == {("scenario", 90), ("runpod", 10)}


def test_read_without_any_deployment_says_gone(split: TrafficSplitController, edge_session: Session) -> None:
    assert split.read(edge_session, f"{ACCOUNT}/{WORKER}", TO_RUNPOD, TO_RUNPOD) is None


def test_another_worker_is_another_split(split: TrafficSplitController, edge_session: Session) -> None:
    assert split.diff(edge_session, "id", TO_RUNPOD, {**TO_RUNPOD, "workerName": "b"}).replaces == ("workerName",)


def test_a_domain_that_is_not_bound_yet_is_not_asked(
    split: TrafficSplitController, edge: EdgeStub, edge_session: Session
) -> None:
    """The first move comes before the custom domain: the version proves itself on its own preview address."""
    edge.domains = []
    inputs = {**TO_RUNPOD, "gatewayUrl": "https://images.invalid", "livePlan": HEALTH_ONLY}
    outputs = split.create(edge_session, inputs, preview=False).outputs
    assert outputs["liveVerdict"] == "SUCCESSFUL"
    assert outputs["gatewayUrl"] == "https://images.invalid"


def test_what_somebody_else_uploaded_is_put_back_without_asking_it(
    split: TrafficSplitController, edge: EdgeStub, edge_session: Session
) -> None:
    """A Worker that was taken over serves again when ours fails, though it has no /health that could prove it."""
    edge.foreign, edge.says = {SCENARIO}, {SCENARIO: "no provider of ours"}
    edge.deploy({SCENARIO: 100}, message="made in the dashboard")
    broken = default_plan(stage="live", provider="runpod", assets=4, operations=[Operation.TXT2IMG])
    inputs = {**TO_RUNPOD, "livePlan": broken.model_dump(mode="json")}
    with pytest.raises(VerificationFailed, match="previous split is back"):
        split.create(edge_session, inputs, preview=False)
    assert edge.live == {SCENARIO: 100}
