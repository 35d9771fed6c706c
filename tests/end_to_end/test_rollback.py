"""After an emergency rollback Pulumi tells the truth, does not undo it by accident, and is led back in line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from tests.end_to_end.conftest import changes, expect_success

pytestmark = pytest.mark.engine

Health = Callable[[], dict[str, Any]]


@pytest.fixture
def rolled_back(deployed: Project, cloud: EmulatedCloud) -> Project:
    """RunPod was live and died; somebody ran `switchback rollback --now`."""
    deployed.set("imageGenerationProvider", "runpod")
    expect_success(deployed.pulumi("up", "--skip-preview"))
    cloud.break_down("runpod_jobs", "down")
    sent = len(cloud.mutations("cloudflare"))
    ended = deployed.run(["switchback", "rollback", "--now", "--reason", "RunPod is down"])
    assert ended.code == 0, ended.output
    assert len(cloud.mutations("cloudflare")) == sent + 1, "a rollback is exactly one mutating call"
    return deployed


def test_the_old_provider_serves_and_a_plain_preview_says_so(rolled_back: Project, health: Health) -> None:
    """With unchanged configuration the preview is not "same"."""
    assert health()["provider"] == "scenario"
    assert changes(rolled_back).get("update", 0) >= 1


def test_up_refuses_to_undo_it_and_names_the_two_ways_on(rolled_back: Project, health: Health) -> None:
    """Who, when, why, and both commands; traffic stays where the rollback put it."""
    ended = rolled_back.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "RunPod is down" in ended.output
    assert "imageGenerationProvider scenario" in ended.output
    assert "acknowledgeRollback" in ended.output
    assert health()["provider"] == "scenario"


def test_reconcile_brings_configuration_and_state_in_line(rolled_back: Project, cloud: EmulatedCloud) -> None:
    """One command; no traffic moves, nothing is paid, and the next preview is quiet."""
    paid = cloud.paid()
    ended = rolled_back.run(["switchback", "reconcile", "--yes"])
    assert ended.code == 0, ended.output
    assert cloud.paid() == paid
    expect_success(rolled_back.pulumi("preview", "--expect-no-changes"))


def test_an_acknowledged_rollback_may_be_undone(
    rolled_back: Project, cloud: EmulatedCloud, health: Health
) -> None:
    """Once RunPod is mended and the deployment id acknowledged, `up` verifies it again and moves traffic."""
    cloud.heal()
    refused = rolled_back.pulumi("up", "--skip-preview").output
    deployment = refused.split("acknowledgeRollback ")[1].split("`")[0].split()[0]
    rolled_back.set("acknowledgeRollback", deployment)
    expect_success(rolled_back.pulumi("up", "--skip-preview"))
    assert health()["provider"] == "runpod"
