"""Every way in which a move of traffic ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.cloudflare import CloudflareApi, Deployment, VersionShare
from provider_client.errors import (
    DeadlineExceeded,
    RollbackFailed,
    SwitchbackError,
    TrafficRefused,
    UnreachableError,
    VerificationFailed,
)
from provider_client.rollout.messages import DeploymentMessage, MessageKind
from provider_client.rollout.traffic import (
    LiveVerdict,
    MoveResult,
    Share,
    Split,
    confirm_through_health,
    describe,
    guard_rollback,
    move_traffic,
)

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

WORKER = "image-generation-test"
GATEWAY_URL = f"https://{WORKER}.example.workers.dev"
UP = DeploymentMessage(MessageKind.UP, {"from": "scenario", "to": "runpod"})


@dataclass(frozen=True)
class Verdict:
    outcome: str
    sentence: str = "errors 3 > 0 over 12 samples"


@dataclass
class Stage:
    """A gateway with scenario live and runpod uploaded beside it."""

    edge: Edge
    api: CloudflareApi
    http: httpx.Client
    scenario: str
    runpod: str

    def confirm(self, shares: Split) -> None:
        confirm_through_health(
            GATEWAY_URL,
            WORKER,
            shares,
            http=self.http,
            token="",
            clock=self.edge.clock,
            deadline_seconds=60,
            progress=lambda line: None,
        )

    def move(
        self, desired: Split | None = None, verify: Callable[[], LiveVerdict] | None = None, report: str = ""
    ) -> MoveResult:
        return move_traffic(
            api=self.api,
            worker=WORKER,
            desired=desired or (Share("runpod", self.runpod, 100),),
            message=UP,
            confirm=self.confirm,
            verify_live=verify,
            progress=lambda line: None,
            clock=self.edge.clock,
            report_path=lambda: report,
        )


@pytest.fixture
def stage(edge: Edge, api: CloudflareApi, http: httpx.Client) -> Stage:
    stage = Stage(edge, api, http, edge.upload("scenario"), edge.upload("runpod"))
    edge.deploy({stage.scenario: 100}, "switchback:up to=scenario")
    return stage


def test_traffic_moves_with_one_call_and_is_proven_by_the_gateway(stage: Stage) -> None:
    result = stage.move(verify=lambda: Verdict("SUCCESSFUL"))
    assert result.moved
    assert result.previous is not None
    assert result.previous.main_version_id == stage.scenario
    assert stage.edge.live == {stage.runpod: 100}
    assert len(stage.edge.mutating) == 1
    assert stage.edge.messages[0] == "switchback:up from=scenario to=runpod"


def test_the_confirmation_asks_the_version_itself_and_then_five_plain_answers(stage: Stage) -> None:
    stage.move()
    asked = [request for request in stage.edge.requests if request.url.path == "/health"]
    overrides = [request.headers.get("cloudflare-workers-version-overrides") for request in asked]
    assert overrides == [f'{WORKER}="{stage.runpod}"', *[None] * 5]


def test_traffic_that_is_already_as_desired_is_not_touched_nor_paid_for(stage: Stage) -> None:
    stage.edge.deploy({stage.runpod: 100}, "switchback:rollback from=scenario to=runpod")
    result = stage.move(verify=lambda: pytest.fail("verified what nobody moved"))
    assert not result.moved
    assert stage.edge.mutating == []


def test_a_run_killed_before_its_verdict_is_made_up_for_without_another_call(stage: Stage) -> None:
    stage.edge.deploy({stage.runpod: 100}, UP.format())
    asked: list[int] = []
    stage.move(verify=lambda: asked.append(1) or Verdict("SUCCESSFUL"))
    assert asked == [1]
    assert stage.edge.mutating == []


def test_a_run_killed_before_a_bad_verdict_still_goes_back_to_what_was_live(stage: Stage) -> None:
    stage.edge.deploy({stage.runpod: 100}, UP.format())
    with pytest.raises(VerificationFailed):
        stage.move(verify=lambda: Verdict("FAILED"))
    assert stage.edge.live == {stage.scenario: 100}


def test_stale_answers_are_waited_out_and_plain_answers_count_in_a_row(stage: Stage) -> None:
    stage.edge.stale_answers = 3
    stage.move()
    assert len(stage.edge.mutating) == 1
    assert 0 < stage.edge.clock.now() < 60


@pytest.mark.parametrize("outcome", ["SUCCESSFUL", "INCONCLUSIVE"])
def test_traffic_stays_unless_the_live_verdict_is_bad(stage: Stage, outcome: str) -> None:
    result = stage.move(verify=lambda: Verdict(outcome))
    assert result.verdict == Verdict(outcome)
    assert stage.edge.live == {stage.runpod: 100}


@pytest.mark.parametrize("outcome", ["FAILED", "ERROR"])
def test_a_bad_live_verdict_puts_the_previous_split_back_and_then_fails(stage: Stage, outcome: str) -> None:
    with pytest.raises(VerificationFailed, match="errors 3 > 0 over 12 samples") as caught:
        stage.move(verify=lambda: Verdict(outcome), report=".switchback/reports/live/report.html")
    assert stage.edge.live == {stage.scenario: 100}
    assert len(stage.edge.mutating) == 2
    assert stage.edge.messages[0].startswith("switchback:restore ")
    assert ".switchback/reports/live/report.html" in str(caught.value)
    assert "scenario 100 %" in str(caught.value)


def test_a_split_is_put_back_as_it_was(stage: Stage) -> None:
    stage.edge.deploy({stage.scenario: 90, stage.runpod: 10}, "switchback:up to=runpod")
    with pytest.raises(VerificationFailed, match=r"scenario 90 % \+ runpod 10 %"):
        stage.move(verify=lambda: Verdict("FAILED"))
    assert stage.edge.live == {stage.scenario: 90, stage.runpod: 10}


def test_a_restored_rollback_stays_a_rollback(stage: Stage) -> None:
    rollback = stage.edge.deploy({stage.scenario: 100}, "switchback:rollback from=runpod to=scenario actor=alice")
    with pytest.raises(VerificationFailed):
        stage.move(verify=lambda: Verdict("FAILED"))
    active = stage.api.active_deployment(WORKER)
    with pytest.raises(TrafficRefused, match="alice"):
        guard_rollback(active, (Share("runpod", stage.runpod, 100),), lambda version: None, None)
    guard_rollback(active, (Share("runpod", stage.runpod, 100),), lambda version: None, rollback)


def test_without_a_previous_split_the_gateway_stays_dark_and_says_so(stage: Stage) -> None:
    stage.edge.deployments.clear()
    with pytest.raises(VerificationFailed, match="stays dark"):
        stage.move(verify=lambda: Verdict("FAILED"))
    assert len(stage.edge.mutating) == 1


def test_a_verification_that_breaks_off_puts_the_previous_split_back(stage: Stage) -> None:
    def stop() -> LiveVerdict:
        raise SwitchbackError("stopped by the user")

    with pytest.raises(SwitchbackError, match="stopped by the user"):
        stage.move(verify=stop)
    assert stage.edge.live == {stage.scenario: 100}


def test_a_move_that_the_gateway_never_confirms_is_taken_back(stage: Stage) -> None:
    def never_runpod(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/health" and stage.edge.live == {stage.runpod: 100}:
            body = {"status": "ok", "provider": "scenario", "version": {"id": stage.scenario}}
            return httpx.Response(200, json=body)
        return None

    stage.edge.answer_first = never_runpod
    with pytest.raises(DeadlineExceeded, match=rf"answers as scenario, version {stage.scenario}"):
        stage.move()
    assert stage.edge.live == {stage.scenario: 100}


def test_a_way_back_that_fails_is_its_own_error(stage: Stage) -> None:
    def second_call_fails(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and len(stage.edge.mutating) == 2:
            raise httpx.ConnectError("gone", request=request)
        return None

    stage.edge.answer_first = second_call_fails
    with pytest.raises(RollbackFailed, match="could not be put back") as caught:
        stage.move(verify=lambda: Verdict("FAILED"))
    assert "switchback rollback" in caught.value.fix


def test_a_rollback_that_a_person_made_meanwhile_is_left_alone(stage: Stage) -> None:
    def somebody_rolls_back() -> LiveVerdict:
        stage.edge.deploy({stage.scenario: 100}, "switchback:rollback from=runpod to=scenario actor=alice")
        return Verdict("FAILED")

    with pytest.raises(VerificationFailed, match=r"Somebody moved the traffic meanwhile .*alice"):
        stage.move(verify=somebody_rolls_back)
    assert stage.edge.messages[0].startswith("switchback:rollback ")
    assert len(stage.edge.mutating) == 1


def test_a_gateway_that_is_silent_after_a_rollback_never_brings_the_broken_provider_back(stage: Stage) -> None:
    stage.edge.deploy({stage.runpod: 100}, "switchback:up")
    stage.edge.deploy({stage.scenario: 100}, "switchback:rollback from=runpod to=scenario")
    silent = httpx.Response(502, text="bad gateway")
    stage.edge.answer_first = lambda request: silent if request.url.path == "/health" else None
    with pytest.raises(DeadlineExceeded):
        stage.move((Share("scenario", stage.scenario, 100),), verify=lambda: Verdict("SUCCESSFUL"))
    assert stage.edge.mutating == []


def test_a_lost_answer_is_settled_by_reading_what_is_live(stage: Stage) -> None:
    def lose_answer(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            stage.edge.deploy({stage.runpod: 100}, UP.format())
            raise httpx.ReadTimeout("lost", request=request)
        return None

    stage.edge.answer_first = lose_answer
    assert stage.move().moved
    assert len(stage.edge.mutating) == 1


def test_a_refused_call_changes_nothing_and_is_passed_on(stage: Stage) -> None:
    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            raise httpx.ConnectError("gone", request=request)
        return None

    stage.edge.answer_first = refuse
    with pytest.raises(UnreachableError):
        stage.move()
    assert stage.edge.live == {stage.scenario: 100}


def test_a_provider_that_is_not_the_expected_one_is_not_confirmed(stage: Stage) -> None:
    with pytest.raises(DeadlineExceeded, match="says its provider is scenario, not runpod"):
        stage.confirm((Share("runpod", stage.scenario, 100),))


def test_answers_that_are_no_health_are_described_without_their_body(stage: Stage) -> None:
    stage.edge.answer_first = lambda request: httpx.Response(502, text="<html>bad gateway</html>")
    with pytest.raises(DeadlineExceeded, match="HTTP 502 without a readable health answer"):
        stage.confirm((Share("scenario", stage.scenario, 100),))
    assert stage.edge.clock.now() <= 60


def deployment(message: str) -> Deployment:
    return Deployment(
        "d-9", "2026-11-23T05:00:00Z", "api", "a@example.com", (VersionShare("v1", 100),), message, ""
    )


RUNPOD = (Share("runpod", "v2", 100),)
ROLLED_BACK = (
    "switchback:rollback from=runpod to=scenario actor=alice at=2026-11-23T06:00:00Z reason='blank images'"
)


@pytest.mark.parametrize(
    ("message", "desired", "acknowledged"),
    [
        ("", RUNPOD, None),
        ("hotfix by hand", RUNPOD, None),
        ("switchback:up to=scenario", RUNPOD, None),
        ("switchback:restore to='scenario 100 %'", RUNPOD, None),
        (ROLLED_BACK, (Share("scenario", "v3", 100),), None),
        (ROLLED_BACK, (Share("scenario", "v3", 100), Share("runpod", "v2", 0)), None),
        (ROLLED_BACK, RUNPOD, "d-9"),
    ],
)
def test_a_move_is_allowed(message: str, desired: Split, acknowledged: str | None) -> None:
    guard_rollback(deployment(message), desired, lambda version: "scenario", acknowledged)


@pytest.mark.parametrize(
    ("message", "desired", "acknowledged"),
    [
        (ROLLED_BACK, RUNPOD, None),
        (ROLLED_BACK, RUNPOD, "another-deployment"),
        (ROLLED_BACK, (Share("scenario", "v1", 90), Share("runpod", "v2", 10)), None),
        ("switchback:rollback actor=alice at=2026-11-23T06:00:00Z reason='blank images'", RUNPOD, None),
    ],
)
def test_a_rollback_is_not_undone_by_accident(message: str, desired: Split, acknowledged: str | None) -> None:
    with pytest.raises(TrafficRefused) as caught:
        guard_rollback(deployment(message), desired, lambda version: "scenario", acknowledged)
    said = str(caught.value)
    for word in ("alice", "2026-11-23T06:00:00Z", "blank images", "scenario"):
        assert word in said
    assert "pulumi config set imageGenerationProvider scenario" in said
    assert "pulumi config set acknowledgeRollback d-9" in said


def test_before_the_first_deployment_nothing_is_guarded() -> None:
    guard_rollback(None, RUNPOD, lambda version: None, None)


def test_a_split_is_described_in_percent() -> None:
    assert (
        describe((Share("scenario", "v1", 99.5), Share("runpod", "v2", 0.5))) == "scenario 99.5 % + runpod 0.5 %"
    )


def test_what_somebody_else_uploaded_is_not_asked_for_proof() -> None:
    """A version of a Worker that was taken over need not know /health: no request is made, and it is said."""
    said: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked")

    with httpx.Client(transport=httpx.MockTransport(refuse)) as http:
        confirm_through_health(
            "https://gateway.invalid",
            "gateway",
            (Share("unknown", "legacy", 100, is_ours=False),),
            http=http,
            token="dummy",
            clock=ManualClock(),
            progress=said.append,
        )
    assert "not uploaded by this stack" in said[0]
