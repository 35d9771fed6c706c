"""RunPodEndpoint against the emulated RunPod, which was written from RunPod's documents and not from our client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.supervisor import Emulator, running
from infra.resource_provider.controller import ProviderConfig, Session
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from provider_client.clock import SystemClock
from provider_client.errors import ApiError, AuthError
from provider_client.http import open_client
from tests.infra.resource_provider.runpod_stub import WISH

SPEED = 500.0
DAY = 86_400


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(speed=SPEED, state_dir=tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture
def live(emulator: Emulator, log: Any, tmp_path: Path) -> Iterator[Session]:
    httpx.post(f"{emulator.base_url}/_emulator/reset").raise_for_status()
    with open_client() as http:
        yield Session(
            urn="urn:pulumi:dev::image-generation::switchback:index:RunPodEndpoint::endpoint",
            config=ProviderConfig(
                runpod_api_key="dummy-key",
                runpod_management_url=emulator.environment()["RUNPOD_REST_API_URL"],
                project_dir=tmp_path,
            ),
            http=http,
            log=log,
            wall=SystemClock(),
            clock=SystemClock(SPEED),
            cancelled=threading.Event(),
        )


def with_key(session: Session, key: str) -> Session:
    config = ProviderConfig(
        runpod_api_key=key, runpod_management_url=session.config.runpod_management_url, project_dir=Path()
    )
    return Session(**{**session.__dict__, "config": config})


def test_up_waits_for_the_first_worker_and_is_then_all_the_same(
    controller: RunPodEndpointController, live: Session, log: Any
) -> None:
    wish = {**WISH, "workersMin": 1}
    made = controller.create(live, wish, preview=False)
    assert any("1 starting" in line for line in log.statuses)
    assert not controller.diff(live, made.id, made.outputs, wish).changed
    read = controller.read(live, made.id, made.outputs, wish)
    assert read is not None
    assert read.inputs == wish


def test_the_scale_down_after_idle_days_is_told_and_repaired(
    controller: RunPodEndpointController, live: Session, emulator: Emulator, log: Any
) -> None:
    made = controller.create(live, WISH, preview=False)
    for days, words in (
        (3.1, "from 3 to 2 (it does so after 3 days"),
        (4.1, "from 3 to 0 (it does so after 7 days"),
    ):
        clock = {"advance_seconds": days * DAY}
        httpx.post(f"{emulator.base_url}/_emulator/clock", json=clock).raise_for_status()
        assert controller.diff(live, made.id, made.outputs, WISH).changed == ("workersMax",)
        assert words in log.warnings[-1]
    outputs = controller.update(live, made.id, made.outputs, WISH, preview=False)
    assert not controller.diff(live, made.id, outputs, WISH).changed


def test_every_setting_can_be_changed_one_after_the_other(
    controller: RunPodEndpointController, live: Session
) -> None:
    made = controller.create(live, WISH, preview=False)
    wish, outputs = dict(WISH), made.outputs
    for change in (
        {"image": "example/comfyui:2"},
        {"env": {"A": "b"}},
        {"gpuTypes": ["NVIDIA L40S", "NVIDIA A40"]},
        {"registry": "reg1", "args": "--lowvram", "diskGb": 60},
        {"dataCenters": ["EU-RO-1"], "networkVolumes": ["vol1"]},
        {"scaling": {"type": "REQUEST_COUNT", "value": 2}, "idleTimeoutSeconds": None},
        {"scaling": {"type": "QUEUE_DELAY", "value": 2.5}, "idleTimeoutSeconds": 40},
        {"flashBoot": "OFF", "executionTimeoutSeconds": 0, "workersMax": 5},
        {"registry": None, "args": "", "dataCenters": [], "networkVolumes": []},
    ):
        wish = {name: value for name, value in {**wish, **change}.items() if value is not None}
        outputs = controller.update(live, made.id, outputs, wish, preview=False)
        assert not controller.diff(live, made.id, outputs, wish).changed, change


@pytest.mark.parametrize(("key", "words"), [("invalid-key", "revoked"), ("forbidden-key", "write access")])
def test_a_key_without_the_right_makes_nothing(
    controller: RunPodEndpointController, live: Session, key: str, words: str
) -> None:
    with pytest.raises(AuthError, match=words):
        controller.create(with_key(live, key), WISH, preview=False)
    assert controller.create(live, WISH, preview=False).outputs["name"] == WISH["name"]


def test_an_image_that_does_not_exist_is_refused_in_runpods_words(
    controller: RunPodEndpointController, live: Session
) -> None:
    with pytest.raises(ApiError, match="422"):
        controller.create(live, {**WISH, "image": "example/does-not-exist:1"}, preview=False)


def test_a_lost_answer_leaves_one_endpoint(
    controller: RunPodEndpointController, live: Session, emulator: Emulator
) -> None:
    fault = {"service": "runpod", "kind": "reset", "times": 1, "method": "POST"}
    httpx.post(f"{emulator.base_url}/_emulator/faults", json=fault).raise_for_status()
    try:
        made_id = controller.create(live, WISH, preview=False).id
    except Exception:  # noqa: BLE001 - a reset before the work makes nothing, and the next up makes it
        made_id = controller.create(live, WISH, preview=False).id
    url = f"{live.config.runpod_management_url}/serverless"
    endpoints = live.http.get(url, headers={"Authorization": "Bearer dummy-key"}).json()["endpoints"]
    assert [endpoint["id"] for endpoint in endpoints] == [made_id]


def test_a_release_that_somebody_else_made_is_named(
    controller: RunPodEndpointController, live: Session, log: Any
) -> None:
    made = controller.create(live, WISH, preview=False)
    url = f"{live.config.runpod_management_url}/serverless/{made.id}"
    body = {"image": "somebody/else:1"}
    live.http.patch(url, json=body, headers={"Authorization": "Bearer console"}).raise_for_status()
    assert controller.diff(live, made.id, made.outputs, WISH).changed == ("image",)
    assert "image example/comfyui:1 → somebody/else:1" in log.warnings[0]
    assert "newest release, 2, was made" in log.warnings[1]


def test_delete_is_final(controller: RunPodEndpointController, live: Session) -> None:
    made = controller.create(live, WISH, preview=False)
    controller.delete(live, made.id, made.outputs)
    assert controller.read(live, made.id, made.outputs, WISH) is None
