"""What `switchback status` says of RunPod's endpoint: compared with the stack's configuration, told in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.errors import ConfigError
from provider_client.gpu_catalog import packaged_catalog
from provider_client.rollout.endpoint_truth import EndpointState, EndpointTruth, compare, declared_endpoint, look
from provider_client.rollout.phases import Declared
from provider_client.runpod_management import RunPodManagementApi
from provider_client.runpod_wire import to_wire

NAME = "image-generation-test"
SECTION: dict[str, Any] = {
    "image": "example/comfyui:1",
    "workersMin": 1,
    "env": {"MODEL": "sdxl", "HF_TOKEN": {"secure": "v1:dummy"}},
}
LIVE = Declared("runpod")
STANDBY = Declared("scenario")


def wire(declared: Declared = LIVE, **changes: Any) -> dict[str, Any]:
    """The endpoint as `up` makes it from SECTION, then changed by somebody."""
    settings = dict(declared_endpoint(SECTION, declared, NAME).settings)
    settings["env"] = {"MODEL": "sdxl", "HF_TOKEN": "planted-secret-value"}
    return {"id": "ep1", **to_wire({**settings, **changes}, packaged_catalog(), {"SWITCHBACK_MARKER": "m"})}


def compared(live: dict[str, Any], declared: Declared = LIVE) -> EndpointTruth:
    return compare(declared_endpoint(SECTION, declared, NAME), [live], packaged_catalog())


@pytest.mark.parametrize("declared", [LIVE, STANDBY, Declared("scenario", candidate="runpod")])
def test_what_up_made_is_as_declared_awake_or_asleep(declared: Declared) -> None:
    """Encrypted values of the environment are taken to be right: only Pulumi could read them."""
    truth = compared(wire(declared), declared)
    assert (truth.state, truth.drift, truth.endpoint_id) == (EndpointState.AS_DECLARED, {}, "ep1")


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"workersMax": 2}, "workersMax", "RunPod itself lowered workersMax from 3 to 2 (it does so after 3 days"),
        (
            {"workersMax": 0, "workersMin": 0},
            "workersMax",
            "from 3 to 0 (it does so after 7 days without requests)",
        ),
        ({"workersMax": 5}, "workersMax", "declared → live: workersMax 3 → 5"),
        ({"gpuTypes": ["NVIDIA L40S"]}, "gpuTypes", "gpuTypes NVIDIA L40 → NVIDIA L40S"),
        ({"image": "somebody/else:1"}, "image", "image example/comfyui:1 → somebody/else:1"),
        ({"env": {"MODEL": "planted-secret-value", "HF_TOKEN": "x"}}, "env", "declared → live: env (MODEL)"),
        ({"env": {"MODEL": "sdxl"}}, "env", "declared → live: env (HF_TOKEN)"),
    ],
)
def test_drift_is_named(change: dict[str, Any], name: str, words: str) -> None:
    """One sentence per setting; values of the environment are in none."""
    truth = compared(wire(**change))
    assert truth.state is EndpointState.DRIFTED
    assert words in truth.drift[name]
    assert "planted-secret-value" not in str(truth)


def test_an_endpoint_that_is_gone_is_named() -> None:
    truth = compare(declared_endpoint(SECTION, LIVE, NAME), [wire(name="another")], packaged_catalog())
    assert truth.state is EndpointState.NOT_FOUND
    assert f"the name {NAME} for this key: it is gone" in truth.detail


@pytest.mark.parametrize(
    ("live", "state"), [({}, EndpointState.AS_DECLARED), ({"workersMax": 0}, EndpointState.DRIFTED)]
)
def test_of_an_endpoint_that_is_only_used_one_wants_to_know_whether_it_can_work(
    live: dict[str, Any], state: EndpointState
) -> None:
    declared = declared_endpoint({"mode": "existing", "endpointId": "ep1"}, LIVE, NAME)
    assert compare(declared, [wire(image="anything:1", **live)], packaged_catalog()).state is state
    assert compare(declared, [], packaged_catalog()).state is EndpointState.NOT_FOUND


@pytest.mark.parametrize("section", [{"secure": "v1:dummy"}, {"image": "x", "workersMin": "many"}, {"env": 1}])
def test_a_section_that_cannot_be_read_is_a_configuration_error(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="runpod section"):
        declared_endpoint(section, LIVE, NAME)


def looked_at(live: dict[str, Any], **answers: httpx.Response) -> tuple[EndpointTruth, list[str]]:
    """What `look` finds, and the last word of each path that it asked for."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        return answers.get(asked[-1]) or httpx.Response(200, json={"endpoints": [live]})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    api = RunPodManagementApi("dummy-key", http=http, clock=ManualClock(), base_url="https://runpod.invalid/v2")
    return look(api, declared_endpoint(SECTION, LIVE, NAME)), asked


def test_one_request_is_enough_where_nothing_has_to_be_explained() -> None:
    assert looked_at(wire(workersMax=2))[1] == ["serverless"]


def test_a_release_that_somebody_else_made_is_named() -> None:
    release = {
        "version": 7,
        "source": "MANUAL",
        "createdAt": "2026-11-20T10:00:00Z",
        "diff": [{"field": "template.imageName", "old": "a", "new": "b"}],
    }
    truth, asked = looked_at(wire(image="b"), releases=httpx.Response(200, json={"releases": [release]}))
    assert asked == ["serverless", "releases"]
    assert (
        "newest release, 7, was made 2026-11-20T10:00:00Z (MANUAL) and changes template.imageName" in truth.detail
    )


def test_a_drift_is_told_although_it_cannot_be_explained() -> None:
    truth, _ = looked_at(wire(image="b"), releases=httpx.Response(403, json={"title": "Forbidden"}))
    assert (truth.state, truth.detail) == (EndpointState.DRIFTED, "")


def test_a_gpu_that_the_package_does_not_know_is_looked_up() -> None:
    """RunPod's pools decide: what the packaged catalog misses is no drift."""
    gpus = [{"id": "NVIDIA L40", "pool": "NEW_48"}, {"id": "NVIDIA L40S", "pool": "NEW_48"}]
    live = wire() | {"gpu": {"pools": ["NEW_48"], "excludedTypes": ["NVIDIA L40S"], "count": 1}}
    truth, asked = looked_at(live, gpus=httpx.Response(200, json={"gpus": gpus}))
    assert asked == ["serverless", "gpus"]
    assert truth.state is EndpointState.AS_DECLARED
