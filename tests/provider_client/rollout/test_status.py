"""The four truths, and which of them contradict each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from provider_client.cloudflare import CloudflareApi
from provider_client.errors import ConfigError
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.observed import observed_truth
from provider_client.rollout.phases import Declared, Observed
from provider_client.rollout.reconcile import git_note, plan_reconcile
from provider_client.rollout.status import (
    Truth,
    declared_from,
    declared_truth,
    deployed_truth,
    disagreements,
    live_state,
    reported_truth,
    route_back,
)
from provider_client.rollout.traffic import Share
from provider_client.rollout.way_back import WayBack

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

WORKER = "image-generation-test"
GATEWAY_URL = f"https://{WORKER}.example.workers.dev"
RUNPOD = (Share("runpod", "v2", 100),)
CANARY = (Share("scenario", "v1", 90), Share("runpod", "v2", 10))


def truth(name: str, provider: str | None, version: str | None = None) -> Truth:
    return Truth(name, provider, "", "", version)


@pytest.mark.parametrize(
    ("truths", "live", "expected"),
    [
        (
            [truth("declared", "runpod"), truth("deployed", "runpod"), truth("reported", "runpod", "v2")],
            RUNPOD,
            [],
        ),
        (
            [truth("declared", "scenario"), truth("deployed", "runpod")],
            RUNPOD,
            ["declared says scenario, deployed says runpod"],
        ),
        (
            [truth("deployed", "runpod"), truth("reported", "scenario", "v1")],
            RUNPOD,
            ["deployed says runpod, reported says scenario"],
        ),
        ([truth("deployed", "scenario"), truth("reported", "runpod", "v2")], CANARY, []),
        ([truth("deployed", None), truth("reported", "runpod", "v2")], RUNPOD, []),
        (
            [truth("deployed", "runpod"), truth("reported", "runpod", "v9")],
            RUNPOD,
            ["/health answers from version v9, which the active deployment does not have"],
        ),
        (
            [truth("reported", "runpod", "v2"), truth("observed", "scenario")],
            RUNPOD,
            ["reported says runpod, observed says scenario"],
        ),
    ],
)
def test_only_what_is_known_can_contradict(
    truths: list[Truth], live: tuple[Share, ...], expected: list[str]
) -> None:
    assert disagreements(truths, Observed(live)) == expected


def test_the_declared_truth_is_the_stack_file() -> None:
    assert declared_from({}) is None
    assert declared_from({"accountId": "0"}) == Declared("scenario")
    declared = declared_from(
        {"imageGenerationProvider": "runpod", "candidateProvider": "comfyui", "candidatePercent": "5"}
    )
    assert declared == Declared("runpod", "comfyui", 5)
    assert declared_truth(declared, "here").detail == "candidate comfyui at 5 %"
    assert declared_truth(None, "here").provider is None


def test_the_deployed_truth_is_the_active_deployment(edge: Edge, api: CloudflareApi) -> None:
    assert deployed_truth(live_state(WorkerHistory(api, WORKER))).detail == "nothing is deployed"
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({scenario: 100})
    edge.deploy({runpod: 100})
    edge.deploy({scenario: 100}, "switchback:rollback from=runpod to=scenario")
    live = live_state(WorkerHistory(api, WORKER), datetime(2026, 11, 23, 5, 0, 3, tzinfo=UTC))
    assert live.is_rollback
    assert (live.provider, live.previous_provider, live.hours_since) == ("scenario", "runpod", 1.0)
    assert deployed_truth(live).detail == "scenario 100 %, rolled back"


def test_the_reported_truth_is_the_gateways_own(edge: Edge, http: httpx.Client) -> None:
    assert reported_truth(GATEWAY_URL, http).detail == "no answer (ConnectError)"
    version = edge.upload("runpod")
    edge.deploy({version: 100})
    reported = reported_truth(GATEWAY_URL, http)
    assert (reported.provider, reported.version_id, reported.detail) == ("runpod", version, "health ok")
    edge.answer_first = lambda request: httpx.Response(200, text="hello")
    assert reported_truth(GATEWAY_URL, http).provider is None


def test_the_way_back_is_proven_by_the_target_itself(edge: Edge, api: CloudflareApi, http: httpx.Client) -> None:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({runpod: 100})
    assert route_back(WorkerHistory(api, WORKER), GATEWAY_URL, "", http).check.state is WayBack.CLOSED
    edge.deploy({scenario: 100})
    edge.deploy({runpod: 100})
    back = route_back(WorkerHistory(api, WORKER), GATEWAY_URL, "", http)
    assert (back.provider, back.version_id, back.check.state) == ("scenario", scenario, WayBack.OPEN)
    assert back.uploads_left == 98, "one newer version is there"
    edge.health_status[scenario] = "misconfigured"
    assert route_back(WorkerHistory(api, WORKER), GATEWAY_URL, "", http).check.state is WayBack.CLOSED


def write_report(project: Path, folder: str, stage: str, started_at: str, provider: str) -> None:
    directory = project / ".switchback" / "reports" / folder
    directory.mkdir(parents=True)
    assets = [{"provider": provider, "sha256": "ab"}, {"provider": "", "sha256": ""}]
    report = {"stage": stage, "started_at": started_at, "assets": assets, "target": {"version_id": "v2"}}
    (directory / "report.json").write_text(json.dumps(report))


def test_the_observed_truth_is_the_last_asset_that_was_made(tmp_path: Path) -> None:
    assert observed_truth(tmp_path, "2026-11-23T04:00:00Z").provider is None
    write_report(tmp_path, "20261123T050000Z-live-runpod", "live", "2026-11-23T05:00:00Z", "runpod")
    write_report(tmp_path, "20261123T060000Z-candidate-comfyui", "candidate", "2026-11-23T06:00:00Z", "comfyui")
    broken = tmp_path / ".switchback" / "reports" / "20261123T070000Z-live-x"
    broken.mkdir()
    (broken / "report.json").write_text("{")
    observed = observed_truth(tmp_path, "2026-11-23T04:00:00Z")
    assert (observed.provider, observed.version_id) == ("runpod", "v2")


def test_an_asset_older_than_the_deployment_proves_nothing(tmp_path: Path) -> None:
    write_report(tmp_path, "20261123T050000Z-live-runpod", "live", "2026-11-23T05:00:00Z", "runpod")
    observed = observed_truth(tmp_path, "2026-11-23T05:30:00.123Z")
    assert observed.provider is None
    assert "before it: runpod" in observed.detail


def test_the_verification_that_followed_within_the_same_second_counts(tmp_path: Path) -> None:
    write_report(tmp_path, "20261123T050007Z-live-runpod", "live", "2026-11-23T05:00:00+00:00", "runpod")
    assert observed_truth(tmp_path, "2026-11-23T05:00:00.456543Z").provider == "runpod"
    assert observed_truth(tmp_path, "2026-11-23T05:00:01.1Z").provider is None


def test_reconcile_sets_what_is_live_and_moves_nothing() -> None:
    live = Observed((Share("scenario", "v1", 100),))
    plan = plan_reconcile(Declared("runpod"), live, "prod")
    assert plan.commands() == [
        "pulumi config set imageGenerationProvider scenario --stack prod",
        "pulumi up --yes --skip-preview --stack prod",
    ]
    assert plan_reconcile(Declared("scenario"), live, "prod").config == ()
    with_candidate = plan_reconcile(Declared("runpod", "scenario", 10), live, "prod")
    assert [words[1:3] for words in with_candidate.config] == [
        ("set", "imageGenerationProvider"),
        ("rm", "candidateProvider"),
        ("set", "candidatePercent"),
    ]
    with pytest.raises(ConfigError, match="nothing live"):
        plan_reconcile(Declared("runpod"), Observed(()), "prod")


@pytest.mark.parametrize(
    ("changed", "words"),
    [(None, "not in a Git work tree"), ([], "Git agrees"), (["Pulumi.prod.yaml"], "git commit")],
)
def test_git_is_told_what_it_still_needs(changed: list[str] | None, words: str) -> None:
    assert words in git_note(changed, "Pulumi.prod.yaml", "scenario")
