"""The committed production stack, given its secrets and the emulator's addresses, deploys as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.project import Project
from emulator.supervisor import Emulator
from tests.end_to_end.conftest import PATIENT_SECONDS, expect_success, state

pytestmark = pytest.mark.engine

SECRETS = {
    "scenarioApiKey": "planted-production-scenario-key",
    "scenarioSecretApiKey": "planted-production-scenario-secret",
    "runpodApiKey": "planted-production-runpod-key",
    "gatewayTokens[0]": "planted-production-gateway-token",
    "jobSigningKeys[0]": "planted-production-signing-key",
}


@pytest.fixture
def production(emulator: Emulator, tmp_path: Path) -> Project:
    """Pulumi.prod.yaml with nothing changed but the account, the addresses and the number of assets."""
    environment = emulator.environment()
    project = Project(tmp_path / "project", "prod", environment)
    project.create("prod")
    base_url = environment["SWITCHBACK_EMULATOR_URL"]
    project.set("accountId", environment["CLOUDFLARE_ACCOUNT_ID"])
    project.set("baseUrls.cloudflare", environment["CLOUDFLARE_BASE_URL"])
    project.set("baseUrls.runpodManagement", f"{base_url}/runpod/v2")
    project.set("baseUrls.runpodJobs", f"{base_url}/runpod-jobs/v2")
    project.set("baseUrls.scenario", f"{base_url}/scenario/v1")
    project.set("verification.liveAssets", "1")
    for operation in ("txt2img", "img2img", "remove_background", "pipeline"):
        project.set(f"verification.budgets.{operation}", str(PATIENT_SECONDS))
    for key, value in SECRETS.items():
        project.set(key, value, secret=True)
    return project


def test_production_deploys_and_protects_its_bucket(production: Project) -> None:
    """Scenario serves, RunPod stands by with no worker, the bucket survives a destroy, no secret is in the state."""
    expect_success(production.pulumi("up", "--skip-preview"))
    stored = state(production)
    assert [key for key, value in SECRETS.items() if value in stored] == []
    destroyed = production.pulumi("destroy", "--skip-preview")
    assert destroyed.code != 0
    assert "protected" in destroyed.output
