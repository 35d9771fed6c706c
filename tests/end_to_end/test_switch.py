"""Switching: refused when the candidate is bad, verified when it is good, a no-op when nothing changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from demo.witness import Witness
from tests.end_to_end.conftest import changes, expect_success, state

pytestmark = pytest.mark.engine

Health = Callable[[], dict[str, Any]]


def gateway_url(project: Project) -> str:
    return project.expect("pulumi", "stack", "output", "apiUrl").strip()


@contextmanager
def break_down_after_the_move(cloud: EmulatedCloud, service: str = "runpod_jobs") -> Iterator[None]:
    """The provider paints blank pictures from the moment that it gets the traffic."""
    before, ended = len(cloud.mutations("cloudflare")), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if any("/deployments" in sent["path"] for sent in cloud.mutations("cloudflare")[before:]):
                cloud.break_down(service, "blank")
                return
            time.sleep(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def test_a_bad_candidate_is_refused_and_nobody_notices(deployed: Project, cloud: EmulatedCloud) -> None:
    """`up` fails naming check, value, budget and mitigation; the live provider answers every request meanwhile."""
    cloud.break_down("runpod_jobs", "model_not_found")
    deployed.set("imageGenerationProvider", "runpod")
    with Witness(gateway_url(deployed)) as witness:
        ended = deployed.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "MODEL_NOT_FOUND" in ended.output
    assert "models_manifest.json" in ended.output  # the mitigation
    assert "Traceback" not in ended.output
    assert witness.errors == []
    assert set(witness.answers) == {"scenario"}


def test_a_good_candidate_gets_the_traffic_and_the_next_up_is_free(
    deployed: Project, cloud: EmulatedCloud, health: Health
) -> None:
    """The switch is verified before and after; a second `up` is all "same" and generates nothing."""
    deployed.set("imageGenerationProvider", "runpod")
    with Witness(gateway_url(deployed)) as witness:
        expect_success(deployed.pulumi("up", "--skip-preview"))
    assert health()["provider"] == "runpod"
    assert witness.errors == []
    paid = cloud.paid()
    expect_success(deployed.pulumi("up", "--skip-preview", "--expect-no-changes"))
    assert cloud.paid() == paid


def test_a_preview_writes_nothing_anywhere(deployed: Project, cloud: EmulatedCloud) -> None:
    """No mutating request, no byte of the state, although a switch is to be previewed."""
    deployed.set("imageGenerationProvider", "runpod")
    before, sent = state(deployed), len(cloud.mutations())
    assert changes(deployed)["update"] >= 1
    assert state(deployed) == before
    assert len(cloud.mutations()) == sent


def test_a_failed_live_verification_puts_the_traffic_back(
    deployed: Project, cloud: EmulatedCloud, health: Health
) -> None:
    """The candidate passes, production does not: Scenario is back before `up` ends, and the wish stays a wish."""
    deployed.set("imageGenerationProvider", "runpod")
    with break_down_after_the_move(cloud):
        ended = deployed.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "previous split is back" in ended.output
    assert health()["provider"] == "scenario"
    cloud.heal()
    assert changes(deployed).get("update", 0) + changes(deployed).get("create", 0) >= 1


def test_destroy_leaves_nothing(deployed: Project, cloud: EmulatedCloud) -> None:
    """No Worker, no bucket, no endpoint, although the bucket held pictures."""
    expect_success(deployed.pulumi("destroy", "--skip-preview"))
    assert cloud.leftovers() == {}
