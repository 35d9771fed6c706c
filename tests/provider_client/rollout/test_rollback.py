"""Which version a rollback goes to, when it refuses, and that it makes exactly one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.cloudflare import CloudflareApi
from provider_client.errors import RollbackFailed, RollbackRefused
from provider_client.rollout.history import WorkerHistory, entries
from provider_client.rollout.messages import DeploymentMessage
from provider_client.rollout.rollback import RollbackPlan, RollbackResult, plan_rollback, roll_back
from provider_client.rollout.traffic import Split, confirm_through_health
from provider_client.rollout.way_back import (
    Question,
    TargetCheck,
    WayBack,
    check_target,
    gateway_url_of,
    health_questions,
    preview_url,
)

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

WORKER = "image-generation-test"
GATEWAY_URL = f"https://{WORKER}.example.workers.dev"
OPEN = TargetCheck(WayBack.OPEN, "its health is ok")


def plan(api: CloudflareApi, to: str | None = None) -> RollbackPlan:
    history = WorkerHistory(api, WORKER)
    return plan_rollback(history.deployments, history.deployable, to, history.provider_of)


def test_without_to_the_previous_deployment_is_the_target(edge: Edge, api: CloudflareApi) -> None:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({scenario: 100}, "switchback:up")
    edge.deploy({runpod: 100}, "switchback:up")
    found = plan(api)
    assert (found.target.provider, found.target.version_id, found.leaving) == ("scenario", scenario, "runpod")
    assert found.warnings == ()
    assert not found.already


def test_to_means_the_version_uploaded_together_with_the_live_one(edge: Edge, api: CloudflareApi) -> None:
    edge.upload("scenario", digest="old", minute=1)
    edge.upload("scenario", digest="same", minute=1)  # an earlier upload of the same code with other secrets
    together, runpod = (
        edge.upload("scenario", digest="same", minute=30),
        edge.upload("runpod", digest="same", minute=30),
    )
    edge.upload("scenario", digest="new", minute=40)
    edge.deploy({runpod: 100})
    found = plan(api, "scenario")
    assert found.target.version_id == together
    assert found.warnings == ()


def test_a_worker_of_others_is_read_by_its_binding_whatever_its_tag_says(edge: Edge, api: CloudflareApi) -> None:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    for version in edge.versions:
        version["annotations"] = {"workers/tag": "v1.2.0", "workers/message": "nightly"}
    edge.deploy({scenario: 100})
    edge.deploy({runpod: 100})
    found = plan(api, "scenario")
    assert (found.target.version_id, found.leaving) == (scenario, "runpod")


def test_to_falls_back_to_the_newest_that_served_and_warns(edge: Edge, api: CloudflareApi) -> None:
    older, newer = edge.upload("scenario", digest="1"), edge.upload("scenario", digest="2")
    runpod = edge.upload("runpod", digest="3")
    for version in (older, newer, runpod):
        edge.deploy({version: 100})
    found = plan(api, "scenario")
    assert found.target.version_id == newer
    assert "was not uploaded with the live version" in found.warnings[0]


def test_a_canary_goes_back_to_the_other_version_of_its_own_split(edge: Edge, api: CloudflareApi) -> None:
    scenario, runpod = edge.upload("scenario", digest="1"), edge.upload("runpod", digest="2")
    edge.deploy({scenario: 20, runpod: 80})
    assert plan(api, "scenario").target.version_id == scenario
    assert plan(api, "runpod").target.percent == 100


def test_a_second_rollback_does_not_swing_back_to_the_broken_provider(edge: Edge, api: CloudflareApi) -> None:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({scenario: 100})
    edge.deploy({runpod: 100})
    edge.deploy({scenario: 100}, "switchback:rollback from=runpod to=scenario")
    found = plan(api)
    assert found.already
    assert found.target.provider == "scenario"


@pytest.mark.parametrize("kind", ["rollback", "restore"])
def test_a_deployment_that_was_taken_back_is_never_the_target(edge: Edge, api: CloudflareApi, kind: str) -> None:
    old, scenario, runpod = edge.upload("comfyui"), edge.upload("scenario"), edge.upload("runpod")
    newest = edge.upload("scenario", digest="next")
    edge.deploy({old: 100})
    edge.deploy({runpod: 100})
    edge.deploy({scenario: 100}, f"switchback:{kind}")
    edge.deploy({newest: 100}, "switchback:up")
    assert plan(api).target.version_id == scenario
    edge.deployments.pop(0)
    edge.deploy({scenario: 100}, "switchback:restore")
    assert plan(api).target.version_id == old


def test_a_version_that_can_no_longer_be_deployed_is_skipped_with_a_warning(
    edge: Edge, api: CloudflareApi
) -> None:
    older, gone, live = edge.upload("scenario"), edge.upload("comfyui"), edge.upload("runpod")
    for version in (older, gone, live):
        edge.deploy({version: 100})
    edge.versions = [version for version in edge.versions if version["id"] != gone]
    found = plan(api)
    assert found.target.version_id == older
    assert gone in found.warnings[0]


@pytest.mark.parametrize(("to", "words"), [("comfyui", "runpod, scenario"), (None, "--to")])
def test_without_a_target_the_rollback_is_refused_and_names_the_choices(
    edge: Edge, api: CloudflareApi, to: str | None, words: str
) -> None:
    edge.upload("scenario")
    edge.deploy({edge.upload("runpod"): 100})
    with pytest.raises(RollbackRefused) as caught:
        plan(api, to)
    assert words in caught.value.fix


def test_before_the_first_deployment_there_is_nothing_to_go_back_to(api: CloudflareApi) -> None:
    with pytest.raises(RollbackRefused, match="Nothing is deployed"):
        plan(api)


def execute(
    edge: Edge, api: CloudflareApi, http: httpx.Client, check: TargetCheck = OPEN, clock: ManualClock | None = None
) -> RollbackResult:
    def confirm(shares: Split) -> None:
        confirm_through_health(
            GATEWAY_URL, WORKER, shares, http=http, token="", clock=clock or edge.clock, progress=lambda line: None
        )

    return roll_back(
        api=api,
        worker=WORKER,
        plan=plan(api),
        check=check,
        actor="alice",
        reason="blank images",
        confirm=confirm,
        progress=lambda line: None,
        clock=clock or edge.clock,
        spent={"find": 0.2, "check": 0.1},
    )


@pytest.fixture
def switched(edge: Edge) -> Edge:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({scenario: 100}, "switchback:up")
    edge.deploy({runpod: 100}, "switchback:up")
    return edge


@pytest.mark.parametrize("check", [OPEN, TargetCheck(WayBack.UNKNOWN, "no answer within 1.5 s")])
def test_a_rollback_is_one_call_that_says_who_when_and_why(
    switched: Edge, api: CloudflareApi, http: httpx.Client, check: TargetCheck
) -> None:
    result = execute(switched, api, http, check)
    assert len(switched.mutating) == 1
    assert result.moved
    message = DeploymentMessage.parse(switched.messages[0])
    assert message is not None
    assert message.kind == "rollback"
    assert {key: message.fields[key] for key in ("from", "to", "actor", "reason")} == {
        "from": "runpod",
        "to": "scenario",
        "actor": "alice",
        "reason": "blank images",
    }
    assert set(result.seconds) == {"find", "check", "call", "confirm"}
    assert result.total_seconds < 5


def test_running_it_again_makes_no_call_and_confirms(
    switched: Edge, api: CloudflareApi, http: httpx.Client
) -> None:
    execute(switched, api, http)
    again = execute(switched, api, http)
    assert not again.moved
    assert len(switched.mutating) == 1


def test_a_target_known_to_be_bad_stops_the_rollback(
    switched: Edge, api: CloudflareApi, http: httpx.Client
) -> None:
    with pytest.raises(RollbackRefused, match="scenario is closed: its health is misconfigured"):
        execute(switched, api, http, TargetCheck(WayBack.CLOSED, "its health is misconfigured"))
    assert switched.mutating == []


def test_a_rollback_that_is_not_confirmed_has_failed(
    switched: Edge, api: CloudflareApi, http: httpx.Client
) -> None:
    switched.stale_answers = 10_000
    with pytest.raises(RollbackFailed, match="deployment-3 was accepted, but the gateway does not confirm"):
        execute(switched, api, http)


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.Response(503, text="busy")])
def test_a_call_whose_answer_is_lost_is_a_failed_rollback_that_may_be_run_again(
    switched: Edge, api: CloudflareApi, http: httpx.Client, lost: httpx.Response | Exception
) -> None:
    def lose_the_call(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        if isinstance(lost, Exception):
            raise lost
        return lost

    switched.answer_first = lose_the_call
    with pytest.raises(RollbackFailed, match="Whether the traffic moved is not known"):
        execute(switched, api, http)
    switched.answer_first = lambda request: None
    assert execute(switched, api, http).moved


def ask(edge: Edge, http: httpx.Client, version: str, provider: str = "scenario", token: str = "") -> TargetCheck:
    questions = [Question(f"https://{version[:8]}-{WORKER}.example.workers.dev")]
    return check_target(questions, provider=provider, version_id=version, token=token, http=http)


def test_the_way_back_is_open_when_the_target_says_so_itself(switched: Edge, http: httpx.Client) -> None:
    version = str(switched.versions[1]["id"])
    assert ask(switched, http, version) == OPEN
    assert switched.requests[-1].url.query == b""
    ask(switched, http, version, token="dummy")
    assert switched.requests[-1].url.query == b"deep=1"


def degraded(check: str, **found: object) -> dict[str, object]:
    """A health answer as infra/worker/src/health.js gives it to a caller with a token."""
    return {"status": "degraded", "checks": {"storage": {"ok": True}, check: {"ok": False, **found}}}


@pytest.mark.parametrize(
    ("body", "status", "state"),
    [
        ({"status": "misconfigured"}, 200, WayBack.CLOSED),
        (degraded("credentials", detail="missing: SCENARIO_API_KEY"), 200, WayBack.CLOSED),
        (degraded("provider", kind="AUTH"), 200, WayBack.CLOSED),
        (degraded("provider", kind="UNAVAILABLE"), 200, WayBack.CLOSED),
        (degraded("provider", kind="RATE_LIMITED"), 200, WayBack.UNKNOWN),
        (degraded("storage"), 200, WayBack.UNKNOWN),
        ({"status": "ok", "provider": "runpod"}, 200, WayBack.CLOSED),
        ({"status": "ok", "version": {"id": "another"}}, 200, WayBack.UNKNOWN),
        ("<html>", 404, WayBack.UNKNOWN),
    ],
)
def test_only_proof_closes_the_way_back(
    switched: Edge, http: httpx.Client, body: object, status: int, state: WayBack
) -> None:
    version = str(switched.versions[1]["id"])
    full = {"provider": "scenario", "version": {"id": version}} | body if isinstance(body, dict) else body
    switched.answer_first = lambda request: httpx.Response(status, json=full)
    found = ask(switched, http, version)
    assert found.state is state
    assert "checks" not in full or "(" in found.detail


def test_no_answer_leaves_the_way_back_unknown(switched: Edge, http: httpx.Client) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow", request=request)

    switched.answer_first = refuse
    assert ask(switched, http, "00000001-x") == TargetCheck(WayBack.UNKNOWN, "no answer (ConnectTimeout)")
    assert check_target([], provider="x", version_id="y", token="", http=http).state is WayBack.UNKNOWN


def test_a_deployed_version_is_asked_with_the_override_header_and_others_at_their_preview(
    edge: Edge, api: CloudflareApi
) -> None:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({runpod: 100, scenario: 0})
    history = WorkerHistory(api, WORKER)
    first = health_questions(history.version(scenario), history.active, WORKER, GATEWAY_URL)[0]
    assert (first.url, first.headers[0][1]) == (GATEWAY_URL, f'{WORKER}="{scenario}"')
    edge.deploy({runpod: 100})
    history = WorkerHistory(api, WORKER)
    (only,) = health_questions(history.version(scenario), history.active, WORKER, GATEWAY_URL)
    assert (only.url, only.headers) == (f"https://00000001-{WORKER}.example.workers.dev", ())


def test_preview_and_gateway_addresses_lead_to_each_other(edge: Edge, api: CloudflareApi) -> None:
    version = api.version(WORKER, edge.upload("scenario"))
    assert gateway_url_of(version) == GATEWAY_URL
    assert preview_url(GATEWAY_URL, WORKER, version.id) == version.urls[0]
    assert preview_url("https://images.example.com", WORKER, version.id) is None
    local = f"http://{WORKER}.emulator.localhost:8790"
    assert preview_url(local, WORKER, version.id) == f"http://00000001-{WORKER}.emulator.localhost:8790"


def test_the_history_reads_our_messages_and_keeps_those_of_others(switched: Edge, api: CloudflareApi) -> None:
    switched.deploy({str(switched.versions[0]["id"]): 100}, "hotfix by hand")
    switched.deploy({"ffffffff-gone": 100}, "switchback:rollback to=scenario actor=alice reason='too slow'")
    history = WorkerHistory(api, WORKER)
    lines = entries(history.deployments, {version.id: version.provider or "" for version in history.deployable})
    assert [(one.kind, one.traffic, one.actor, one.reason) for one in lines[:2]] == [
        ("rollback", "ffffffff 100 %", "alice", "too slow"),
        ("other", "runpod 100 %", "a@example.com", "hotfix by hand"),
    ]
