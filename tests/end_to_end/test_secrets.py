"""A planted secret is found nowhere: state, output, reports, the emulator's own log."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from emulator.supervisor import Emulator
from tests.end_to_end.conftest import state

pytestmark = pytest.mark.engine

PLANTED = {
    "scenarioApiKey": "planted-scenario-key-5e1f",
    "scenarioSecretApiKey": "planted-scenario-secret-77aa",
    "runpodApiKey": "planted-runpod-key-90c4",
    "runpodManagementApiKey": "planted-management-key-13d8",
    "gatewayTokens[0]": "planted-gateway-token-42ee",
    "jobSigningKeys[0]": "planted-signing-key-c0de",
    "runpod.env.HF_TOKEN": "planted-container-token-8b8b",
}


def everything_written(directory: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())


def test_no_secret_is_written_or_shown(
    project: Project, cloud: EmulatedCloud, emulator: Emulator, tmp_path: Path
) -> None:
    """Through preview, up, a failing switch, refresh and the reports of all of them."""
    for key, value in PLANTED.items():
        project.set(key, value, secret=not key.startswith("runpod.env"))
    shown = [project.pulumi("preview", "--diff").output, project.pulumi("up", "--skip-preview").output]
    cloud.break_down("runpod_jobs", "out_of_memory")
    project.set("imageGenerationProvider", "runpod")
    shown += [project.pulumi("up").output, project.pulumi("refresh", "--diff").output]
    shown += [project.expect("pulumi", "stack", "output", "--json"), state(project)]
    shown += [
        str(cloud.summary()),
        str(cloud.mutations()),
        everything_written(tmp_path / "project" / ".switchback"),
    ]
    text = "\n".join(shown)
    found = [key for key, value in PLANTED.items() if value in text]
    assert "MODEL_NOT_FOUND" in text or "OUT_OF_MEMORY" in text  # the failing switch did run
    assert found == []
