"""The real engine against the emulator: a stack of its own for every test, gone when the test ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from demo.emulated import EmulatedCloud
from demo.project import Ended, Project
from emulator.supervisor import Emulator, running
from provider_client.http import open_client

SPEED = 60.0
PATIENT_SECONDS = 900  # budgets in simulated time: a loaded machine must not make a provider look slow


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with running(speed=SPEED, state_dir=tmp_path / "emulator") as started:
        yield started


@pytest.fixture
def cloud(emulator: Emulator) -> Iterator[EmulatedCloud]:
    with EmulatedCloud(emulator.base_url) as connected:
        yield connected


@pytest.fixture
def project(emulator: Emulator, tmp_path: Path) -> Project:
    """The local stack on this emulator, not yet deployed; two assets before and three after a move of traffic:
    three failures in a row are the fewest that prove anything."""
    created = Project(tmp_path / "project", "local", emulator.environment())
    created.create()
    created.set("verification.candidateAssets", "2")
    created.set("verification.liveAssets", "3")
    for operation in ("txt2img", "img2img", "remove_background", "pipeline"):
        created.set(f"verification.budgets.{operation}", str(PATIENT_SECONDS))
    return created


@pytest.fixture
def deployed(project: Project) -> Project:
    """The stack, serving with Scenario."""
    expect_success(project.pulumi("up", "--skip-preview"))
    return project


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client


@pytest.fixture
def health(deployed: Project, http: httpx.Client) -> Callable[[], dict[str, Any]]:
    """What the gateway says of itself now."""
    url = deployed.expect("pulumi", "stack", "output", "apiUrl").strip()
    return lambda: dict(http.get(f"{url}/health").raise_for_status().json())


def expect_success(ended: Ended) -> Ended:
    assert ended.code == 0, ended.output
    return ended


def state(project: Project) -> str:
    """The stack's state as it lies on disk."""
    backend = Path(urlsplit(project.environment["PULUMI_BACKEND_URL"]).path)
    files = sorted((backend / ".pulumi/stacks").rglob("*.json"))
    return "\n".join(path.read_text() for path in files)


def changes(project: Project, *arguments: str) -> dict[str, int]:
    """How many resources a preview would create, update, replace, leave the same."""
    ended = expect_success(project.pulumi("preview", "--json", *arguments))
    summary: dict[str, int] = json.loads(ended.output[ended.output.index("{") :])["changeSummary"]
    return summary
