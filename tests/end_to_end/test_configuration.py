"""Wrong configuration is refused at preview: the key is named, and the command that mends it."""

from __future__ import annotations

import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from tests.end_to_end.conftest import expect_success

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("imageGenerationProvider", "runpd", ("imageGenerationProvider", "Did you mean runpod?")),
        (
            "runpod.idleTimeoutSeconds",
            "0",
            ("runpod.idleTimeoutSeconds", "at least 1", "pulumi config set --path"),
        ),
        ("runpod.gpuTypes[0]", "NVIDIA L4O", ("gpuTypes", "NVIDIA L40")),
        ("runpod.workerMin", "1", ("runpod.workerMin", "Did you mean runpod.workersMin?")),
    ],
)
def test_a_wrong_value_is_refused_at_preview(
    project: Project, cloud: EmulatedCloud, key: str, value: str, named: tuple[str, ...]
) -> None:
    """Nothing was sent to anybody, and the message is a sentence, not a traceback."""
    project.set(key, value)
    ended = project.pulumi("preview")
    assert ended.code != 0
    assert "Traceback" not in ended.output
    for words in named:
        assert words in ended.output
    assert cloud.mutations() == []


def test_a_provider_without_its_keys_is_refused(project: Project) -> None:
    """The message names the missing key and the providers whose keys are there."""
    project.expect("pulumi", "config", "rm", "runpodApiKey")
    project.set("imageGenerationProvider", "runpod")
    ended = project.pulumi("preview")
    assert ended.code != 0
    assert "runpodApiKey is not set" in ended.output
    assert "pulumi config set --secret runpodApiKey" in ended.output


def test_a_wrong_runpod_key_is_a_clear_error(project: Project, cloud: EmulatedCloud) -> None:
    """Nothing half-made at RunPod, the key not shown, the cause and the next step named."""
    project.set("runpodApiKey", "invalid-planted-runpod-key", secret=True)
    ended = project.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "RunPod" in ended.output
    assert "401" in ended.output or "rejected" in ended.output
    assert "invalid-planted-runpod-key" not in ended.output
    assert "Traceback" not in ended.output
    assert cloud.leftovers().get("endpoints") is None
    project.set("runpodApiKey", "emulator-runpod-key", secret=True)
    expect_success(project.pulumi("up", "--skip-preview"))
