from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import ProviderConfig, Session
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.clock import ManualClock
from tests.infra.resource_provider.edge_stub import CLOUDFLARE_URL, EdgeStub
from tests.infra.resource_provider.runpod_stub import BASE_URL, WISH, Create, RunPodStub


class RecordingLog:
    """What a user would have read, by kind of line."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def status(self, text: str) -> None:
        self.statuses.append(text)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def log() -> RecordingLog:
    return RecordingLog()


@pytest.fixture
def runpod() -> RunPodStub:
    return RunPodStub()


@pytest.fixture
def new_session(log: RecordingLog, runpod: RunPodStub, tmp_path: Path) -> Callable[..., Session]:
    """Sessions of one stack against the RunPod stub; waits take no time."""

    def make(name: str = "endpoint", key: str = "dummy-key") -> Session:
        return Session(
            urn=f"urn:pulumi:dev::image-generation::switchback:index:RunPodEndpoint::{name}",
            config=ProviderConfig(runpod_api_key=key, runpod_management_url=BASE_URL, project_dir=tmp_path),
            http=runpod.client(),
            log=log,
            wall=ManualClock(),
            clock=ManualClock(),
            cancelled=threading.Event(),
        )

    return make


@pytest.fixture
def session(new_session: Callable[..., Session]) -> Session:
    return new_session()


@pytest.fixture
def controller() -> RunPodEndpointController:
    return RunPodEndpointController()


@pytest.fixture
def create(session: Session) -> Create:
    """Makes the wished endpoint, by a plugin process of its own, and gives its id and outputs."""

    def make(in_session: Session = session, **changes: Any) -> tuple[str, dict[str, Any]]:
        made = RunPodEndpointController().create(in_session, {**WISH, **changes}, preview=False)
        return made.id, made.outputs

    return make


@pytest.fixture
def edge() -> EdgeStub:
    return EdgeStub()


@pytest.fixture
def edge_session(log: RecordingLog, edge: EdgeStub, tmp_path: Path) -> Session:
    """A session against Cloudflare and the gateway."""
    return Session(
        urn="urn:pulumi:dev::image-generation::switchback:index:TrafficSplit::traffic",
        config=ProviderConfig(
            cloudflare_api_token="dummy-cloudflare-token-of-forty-characters",
            cloudflare_base_url=CLOUDFLARE_URL,
            gateway_token="dummy-gateway-token",
            project_dir=tmp_path,
        ),
        http=httpx.Client(transport=httpx.MockTransport(edge)),
        log=log,
        wall=ManualClock(),
        clock=ManualClock(),
        cancelled=threading.Event(),
    )
