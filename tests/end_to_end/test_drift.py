"""What somebody changed behind Pulumi's back is seen, named, and put right."""

from __future__ import annotations

import sys

import httpx
import pytest

from demo.project import Project
from emulator.supervisor import Emulator
from tests.end_to_end.conftest import changes, expect_success

pytestmark = pytest.mark.engine

SECONDS_PER_DAY = 86_400
AUTHORIZATION = {"Authorization": "Bearer somebody-in-the-console"}


@pytest.fixture
def endpoint_url(deployed: Project, emulator: Emulator) -> str:
    """The stack's RunPod endpoint, as RunPod's console reaches it."""
    endpoint_id = deployed.expect("pulumi", "stack", "output", "runpodEndpointId").strip()
    return f"{emulator.base_url}/runpod/v2/serverless/{endpoint_id}"


def workers_max(endpoint_url: str) -> int:
    return int(httpx.get(endpoint_url, headers=AUTHORIZATION).raise_for_status().json()["workers"]["max"])


def told_by_all(project: Project) -> list[str]:
    """What a plain preview, a refresh that writes nothing, and `switchback status` say."""
    return [
        expect_success(ended).output
        for ended in (
            project.pulumi("preview", "--diff"),
            project.pulumi("refresh", "--preview-only", "--diff"),
            project.run([sys.executable, "-m", "provider_client", "status"]),
        )
    ]


def test_runpods_own_scale_down_is_named_and_repaired(
    deployed: Project, emulator: Emulator, endpoint_url: str
) -> None:
    """Nobody asks the standby for anything: after three days it may have two workers, after seven none."""
    for days, left, words in (
        (3, 2, "RunPod itself lowered workersMax from 3 to 2 (it does so after 3 days without requests)"),
        (4, 0, "RunPod itself lowered workersMax from 3 to 0 (it does so after 7 days without requests)"),
    ):
        clock = {"advance_seconds": days * SECONDS_PER_DAY}
        httpx.post(f"{emulator.base_url}/_emulator/clock", json=clock).raise_for_status()
        assert workers_max(endpoint_url) == left
        for told in told_by_all(deployed):
            assert words in told
            assert "Traceback" not in told
    expect_success(deployed.pulumi("up", "--skip-preview"))
    assert workers_max(endpoint_url) == 3
    expect_success(deployed.pulumi("up", "--skip-preview", "--expect-no-changes"))


def test_what_somebody_changed_in_the_console_is_named_and_repaired(deployed: Project, endpoint_url: str) -> None:
    """Workers, GPU and image: the last two are a release, which is named too."""
    gpu = {"pools": ["AMPERE_48"], "excludedTypes": ["NVIDIA RTX A6000"], "count": 1}
    by_hand = {"workers": {"max": 1}, "gpu": gpu, "image": "somebody/else:1"}
    httpx.patch(endpoint_url, json=by_hand, headers=AUTHORIZATION).raise_for_status()
    words = ("workersMax 3 → 1", "gpuTypes NVIDIA L40 → NVIDIA A40", "→ somebody/else:1")
    in_preview, in_refresh, in_status = told_by_all(deployed)
    for told in (in_preview, in_refresh, in_status):
        assert all(word in told for word in words), told
    assert "RunPod's newest release, 2, was made" in in_preview
    assert "RunPod's newest release, 2, was made" in in_status
    expect_success(deployed.pulumi("up", "--skip-preview"))
    live = httpx.get(endpoint_url, headers=AUTHORIZATION).json()
    assert (live["workers"]["max"], live["gpu"]["pools"]) == (3, ["ADA_48_PRO"])
    assert live["image"] != "somebody/else:1"
    expect_success(deployed.pulumi("up", "--skip-preview", "--expect-no-changes"))


def test_traffic_moved_in_the_dashboard(deployed: Project, emulator: Emulator) -> None:
    """A deployment made by hand is seen by a plain preview and by refresh, and `up` takes it back."""
    versions = deployed.expect("pulumi", "stack", "output", "versions", "--json")
    runpod = httpx.Response(200, text=versions).json()["runpod"]["versionId"]
    account, worker = (
        deployed.expect("pulumi", "stack", "output", name).strip() for name in ("accountId", "workerName")
    )
    url = f"{emulator.base_url}/client/v4/accounts/{account}/workers/scripts/{worker}/deployments"
    split = {"strategy": "percentage", "versions": [{"version_id": runpod, "percentage": 100}]}
    httpx.post(url, json=split, headers=AUTHORIZATION).raise_for_status()
    assert changes(deployed).get("update", 0) >= 1
    assert "runpod" in deployed.pulumi("refresh", "--preview-only", "--diff").output
    expect_success(deployed.pulumi("up", "--skip-preview"))
    active = httpx.get(url, headers=AUTHORIZATION).json()["result"]["deployments"][0]
    assert runpod not in [version["version_id"] for version in active["versions"]]
