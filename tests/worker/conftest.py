"""One emulator for all tests of the Worker, and one gateway per provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.supervisor import running
from provider_client.http import open_client
from tests.worker.worker_harness import Cloud, Gateway

SPEED = 200.0


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with running(speed=SPEED) as emulator, open_client() as http:
        yield Cloud(emulator, http)


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault of one test does not hit the next."""
    yield
    if "cloud" in request.fixturenames:
        request.getfixturevalue("cloud").clear_faults()


@pytest.fixture(scope="session")
def gateways(cloud: Cloud) -> dict[str, Gateway]:
    """One gateway per provider, with the same bucket and the same keys."""
    return {provider: cloud.deploy(provider) for provider in ("scenario", "comfyui", "runpod")}


@pytest.fixture(params=["scenario", "comfyui", "runpod"])
def gateway(request: pytest.FixtureRequest, gateways: dict[str, Gateway]) -> Gateway:
    """Each provider's gateway in turn."""
    return gateways[request.param]
