"""What somebody changed behind Pulumi's back is seen, named, and put right."""

from __future__ import annotations

import httpx
import pytest

from demo.project import Project
from emulator.supervisor import Emulator
from tests.end_to_end.conftest import changes, expect_success

pytestmark = pytest.mark.engine

AUTHORIZATION = {"Authorization": "Bearer somebody-in-the-console"}


def test_workers_changed_in_the_console(deployed: Project, emulator: Emulator) -> None:
    """RunPod's max workers lowered by hand: preview and refresh both show it, `up` repairs it."""
    endpoint = deployed.expect("pulumi", "stack", "output", "runpodEndpointId").strip()
    url = f"{emulator.base_url}/runpod/v2/serverless/{endpoint}"
    httpx.patch(url, json={"workers": {"max": 1}}, headers=AUTHORIZATION).raise_for_status()
    assert changes(deployed).get("update", 0) >= 1
    assert "workersMax" in deployed.pulumi("refresh", "--preview-only", "--diff").output
    expect_success(deployed.pulumi("up", "--skip-preview"))
    assert httpx.get(url, headers=AUTHORIZATION).json()["workers"]["max"] == 3


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
