"""The resource provider on the real engine: life, drift, import, half-made endpoints, kill -9 at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_client.runpod_settings import MARKER
from tests.infra.resource_provider.runpod_stub import RunPodStub, problem
from tests.infra.resource_provider.tiny_stack import PLANTED, SETTINGS, TinyStack, kill_group, plugin_pids, served

pytestmark = pytest.mark.engine

# Property of the Python class, new value, field of the wire, whether workers roll (runpod.md 2.9).
DIFF_RULES: list[tuple[str, Any, str, bool]] = [
    ("image", "example/comfyui:2", "image", True),
    ("env", {"TOKEN": "other", "MODEL": "flux"}, "env", True),
    ("args", "--lowvram", "args", True),
    ("disk_gb", 60, "disk", True),
    ("registry", "reg1", "registry", True),
    ("gpu_types", ["NVIDIA L40", "NVIDIA L40S"], "gpu", True),
    ("gpu_count", 2, "gpu", True),
    ("flash_boot", "OFF", "flashboot", True),
    ("name", "squires", "name", False),
    ("workers_min", 1, "workers", False),
    ("workers_max", 4, "workers", False),
    ("idle_timeout_seconds", 60, "workers", False),
    ("scaling", {"type": "QUEUE_DELAY", "value": 9}, "scaling", False),
    ("execution_timeout_seconds", 300, "timeout", False),
    ("data_centers", ["EU-RO-1"], "dataCenterIds", False),
    ("network_volumes", ["vol1"], "networkVolumes", False),
]


@pytest.fixture
def stack(runpod: RunPodStub, tmp_path: Path) -> Iterator[TinyStack]:
    with served(runpod) as url:
        yield TinyStack(tmp_path, url)


@pytest.fixture
def deployed(stack: TinyStack, runpod: RunPodStub) -> TinyStack:
    stack.up()
    runpod.requests.clear()
    return stack


def only_id(runpod: RunPodStub) -> str:
    (endpoint_id,) = runpod.endpoints
    return endpoint_id


def test_preview_writes_nothing_and_up_makes_the_endpoint_once(stack: TinyStack, runpod: RunPodStub) -> None:
    before = stack.files()
    told = stack.pulumi("preview")
    assert "RunPod's live catalog" in told
    assert (stack.files(), runpod.mutations) == (before, [])
    stack.up()
    assert runpod.endpoints[only_id(runpod)]["env"]["TOKEN"] == PLANTED
    runpod.requests.clear()
    stack.up("--expect-no-changes")
    assert not runpod.mutations
    assert PLANTED not in stack.files() + told


def test_destroy_leaves_nothing_and_accepts_that_it_is_gone(deployed: TinyStack, runpod: RunPodStub) -> None:
    runpod.endpoints.clear()
    assert "gone already" in deployed.pulumi("destroy", "--yes", "--skip-preview")
    assert deployed.state() == {}


def test_every_property_is_updated_in_place_as_the_table_says(deployed: TinyStack, runpod: RunPodStub) -> None:
    """One property after the other, each on top of those before. What a preview says of each is a unit test's
    matter; here one of either kind stands for all."""
    endpoint_id, settings = only_id(runpod), {}
    for name, value, wire_field, rolls in DIFF_RULES:
        settings[name] = value
        deployed.configure(**settings)
        runpod.requests.clear()
        if name in ("image", "workers_min"):
            told = deployed.pulumi("preview")
            assert ("workers will roll" if rolls else "no worker is replaced") in told, name
        deployed.up()
        ((method, path, body),) = runpod.mutations
        assert (method, path) == ("PATCH", f"/serverless/{endpoint_id}"), name
        assert set(body) - ({"workers"} if wire_field == "scaling" else set()) == {wire_field}, name
    deployed.up("--expect-no-changes")


def test_runpods_own_scale_down_is_seen_and_repaired(deployed: TinyStack, runpod: RunPodStub) -> None:
    endpoint = runpod.endpoints[only_id(runpod)]
    for live, days in ((2, "3 days"), (0, "7 days")):
        endpoint["workers"]["max"] = live
        words = f"RunPod itself lowered workersMax from 3 to {live} (it does so after {days}"
        assert words in deployed.pulumi("preview")
        assert "workersMax: 3 => " in deployed.pulumi("refresh", "--preview-only", "--diff")
        deployed.up()
        assert runpod.endpoints[only_id(runpod)]["workers"]["max"] == 3


def test_refresh_takes_drift_into_the_state_and_up_repairs_it(deployed: TinyStack, runpod: RunPodStub) -> None:
    runpod.endpoints[only_id(runpod)]["image"] = "somebody/else:1"
    deployed.pulumi("refresh", "--yes", "--skip-preview")
    assert deployed.state()["inputs"]["image"] == "somebody/else:1"
    deployed.up()
    assert runpod.endpoints[only_id(runpod)]["image"] == "example/comfyui:1"


def test_an_endpoint_made_by_hand_can_be_imported(stack: TinyStack, runpod: RunPodStub) -> None:
    stack.configure(name="ours")
    stack.up()
    first = runpod.endpoints.pop(only_id(runpod))
    by_hand = runpod.add(**{**first, "name": "knights", "env": {"TOKEN": PLANTED}, "id": None})
    runpod.endpoints[by_hand]["id"] = by_hand
    stack.pulumi("state", "delete", "--yes", stack.state()["urn"])
    stack.configure()
    refused = stack.up(succeeds=False)
    assert f"pulumi import switchback:index:RunPodEndpoint endpoint {by_hand}" in refused
    provider = next(
        line.split()[-1] for line in stack.pulumi("stack", "--show-urns").splitlines() if "::account" in line
    )
    stack.pulumi(
        *("import", "switchback:index:RunPodEndpoint", "endpoint", by_hand),
        *("--provider", f"switchback={provider}", "--yes", "--generate-code=false", "--protect=false"),
    )
    runpod.requests.clear()
    stack.up("--expect-no-changes")
    assert not runpod.mutations
    assert PLANTED not in stack.files()


def test_created_but_unhealthy_is_recorded_and_repaired_by_the_next_up(
    stack: TinyStack, runpod: RunPodStub
) -> None:
    runpod.summary = {"unhealthy": 1}
    stack.configure(workers_min=1)
    told = stack.up(succeeds=False)
    assert "exists, but it is not ready" in told
    assert "Traceback" not in told
    assert stack.state()["id"] == only_id(runpod)
    runpod.summary = {"idle": 1}
    stack.up()
    stack.up("--expect-no-changes")
    assert len(runpod.endpoints) == 1


def test_a_wrong_key_makes_nothing_and_is_explained(stack: TinyStack, runpod: RunPodStub) -> None:
    runpod.intercept = lambda _request: problem(401, "missing bearer token")
    told = stack.up(succeeds=False)
    assert "pulumi config set --secret runpodManagementApiKey" in told
    assert "Traceback" not in told
    assert not runpod.mutations
    assert stack.state() == {}


# What RunPod does when an endpoint is to be made, and what the user reads.
REFUSALS: dict[str, tuple[httpx.Response | type[Exception] | None, tuple[str, ...]]] = {
    "wrong-key": (problem(401, "missing bearer token"), ("revoked", "--secret runpodManagementApiKey")),
    "no-right": (problem(403, "access denied"), ("access denied", "write access to Serverless")),
    "not-there": (problem(404, "template not found"), ("template not found", "what is named there was deleted")),
    "invalid": (
        problem(422, "Request validation failed.", ["$.disk: 0 is less than 1", "$: missing property 'image'"]),
        ("- $.disk: 0 is less than 1", "- $: missing property 'image'", "correct the named property"),
    ),
    "limited": (
        problem(429, "limit of the hour", **{"Retry-After": "3000"}),
        ("limit of the hour", "wait 3000 s"),
    ),
    "broken": (problem(500, "boom"), ("RunPod has a problem of its own", "run it again")),
    "reset": (ConnectionResetError, ("the connection broke", "run it again")),
    "hanging": (None, ("no answer in time", "check the network")),
}


def test_whatever_runpod_does_to_a_create_is_told_with_its_cause_and_the_next_step(
    stack: TinyStack, runpod: RunPodStub
) -> None:
    """Within its deadline, without a traceback, with nothing left behind; the next `up` makes each of them once."""
    ended = threading.Event()

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        answer, _ = REFUSALS[json.loads(request.content)["name"]]
        if answer is None:
            ended.wait(60)
            raise ConnectionResetError
        if isinstance(answer, httpx.Response):
            return answer
        raise answer

    runpod.intercept = refuse
    stack.declare({name: {**SETTINGS, "name": name} for name in REFUSALS})
    started = time.monotonic()
    told = stack.up("--continue-on-error", succeeds=False)
    assert time.monotonic() - started < 60
    ended.set()
    words = [word for _, expected in REFUSALS.values() for word in expected]
    assert [word for word in words if word not in told] == [], told
    assert "Traceback" not in told
    assert told.count("fix: ") >= len(REFUSALS)
    assert "dummy-key" not in told
    runpod.intercept = lambda _request: None
    stack.up()
    assert sorted(endpoint["name"] for endpoint in runpod.endpoints.values()) == sorted(REFUSALS)


def test_an_existing_endpoint_is_checked_and_never_changed_nor_deleted(
    stack: TinyStack, runpod: RunPodStub
) -> None:
    """It belongs to somebody else, whatever becomes of this stack."""
    stack.declare({"endpoint": {"existing_endpoint_id": "ep-of-nobody"}})
    refused = stack.up(succeeds=False)
    assert "RunPod has no endpoint ep-of-nobody" in refused
    assert "pulumi config set --path runpod.endpointId" in refused
    theirs = runpod.add(name="theirs", image="theirs/comfyui:1", gpu={"pools": ["ADA_24"]}, workers={"max": 1})
    stack.declare({"endpoint": {"existing_endpoint_id": theirs}})
    stack.up()
    assert stack.state()["outputs"]["gpuPool"] == "ADA_24"
    stack.up("--expect-no-changes")
    runpod.endpoints[theirs]["image"] = "theirs/comfyui:2"
    assert "was changed by its owner" in stack.pulumi("preview")
    stack.pulumi("refresh", "--yes", "--skip-preview")
    stack.up()
    assert "stays" in stack.pulumi("destroy", "--yes", "--skip-preview")
    assert list(runpod.endpoints) == [theirs]
    assert runpod.mutations == []


@pytest.mark.parametrize(("victim", "moments"), [("engine and plugin", 10), ("engine", 4), ("plugin", 4)])
def test_kill_9_at_any_moment_leaves_one_endpoint_and_up_converges(
    stack: TinyStack, runpod: RunPodStub, victim: str, moments: int
) -> None:
    """At random moments, one half of them in a create, the other in an update."""
    chance = random.Random(f"kill {victim}")
    stack.up()
    for moment in range(moments):
        creates = moment < moments / 2
        if creates:
            stack.pulumi("destroy", "--yes", "--skip-preview")
        image = f"example/comfyui:{moment + 2}"
        stack.configure(image=image)
        runpod.requests.clear()
        runpod.intercept = _slow(chance.uniform(0.1, 0.6))
        process = stack.start("up", "--yes", "--skip-preview")
        _wait_for_request(runpod, chance.choice(["GET", "POST" if creates else "PATCH"]))
        time.sleep(chance.uniform(0, 0.6))
        _kill(process, victim)
        runpod.intercept = lambda _request: None
        stack.pulumi("cancel", "--yes", succeeds=None)
        stack.up()
        (endpoint,) = runpod.endpoints.values()
        assert endpoint["image"] == image
        assert endpoint["env"][MARKER]
    stack.up("--expect-no-changes")


def _slow(seconds: float) -> Any:
    """RunPod takes its time for whatever changes something, before or after doing it."""

    def intercept(request: httpx.Request) -> None:
        if request.method != "GET":
            time.sleep(seconds)

    return intercept


def _wait_for_request(runpod: RunPodStub, method: str) -> None:
    ends = time.monotonic() + 30
    while not any(request[0] == method for request in list(runpod.requests)):
        assert time.monotonic() < ends, f"no {method} came"
        time.sleep(0.01)


def _kill(process: Any, victim: str) -> None:
    if victim == "engine and plugin":
        kill_group(process)
        return
    if victim == "engine":
        os.kill(process.pid, signal.SIGKILL)
    for pid in plugin_pids(process) if victim == "plugin" else ():
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
