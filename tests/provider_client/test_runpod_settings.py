from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_client.gpu_catalog import packaged_catalog
from provider_client.runpod_settings import (
    MARKER,
    PROPERTIES,
    container_digest,
    differences,
    drift_in_words,
    problems,
    rolls_workers,
    with_defaults,
)
from provider_client.runpod_wire import changes_to_wire, from_wire, to_wire

CATALOG = packaged_catalog()
WISH = with_defaults({"name": "knights", "image": "a/b:1", "gpuTypes": ["NVIDIA L40"], "env": {"A": "1"}})

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
scaling = st.dictionaries(st.sampled_from(["type", "value"]), anything | st.sampled_from(["QUEUE_DELAY"]))
names = st.sampled_from((*PROPERTIES, "type", "workerMin"))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, anything) | st.fixed_dictionaries({"scaling": scaling}))
def test_no_input_makes_a_traceback(inputs: dict[str, Any]) -> None:
    """Whatever is configured, the answer is a list of problems; what has none can be sent and read back."""
    given_inputs = {name: value for name, value in inputs.items() if value is not None}
    complete = with_defaults({"name": "a", "image": "b", "gpuTypes": ["NVIDIA L40"], **given_inputs})
    if problems(complete, CATALOG):
        return
    live = from_wire(to_wire(complete, CATALOG, {MARKER: "x"}), CATALOG)
    assert differences(complete, live) == []


@pytest.mark.parametrize("name", [*PROPERTIES, "type"])
def test_a_problem_names_a_property(name: str) -> None:
    found = problems({**WISH, name: object()}, CATALOG)
    assert {problem.property.partition(".")[0].partition("[")[0] for problem in found} == {name}


def test_absent_settings_are_not_judged() -> None:
    assert problems({}, CATALOG) == []


def test_the_same_meaning_is_no_difference() -> None:
    other = {**WISH, "scaling": {"type": "QUEUE_DELAY", "value": 4.0}, "registry": None, "args": None}
    assert differences(WISH, other) == []
    two = {**WISH, "dataCenters": ["EU-RO-1", "US-TX-3"]}
    assert differences(two, {**two, "dataCenters": ["US-TX-3", "EU-RO-1"]}) == []


def test_scaling_back_by_queue_delay_brings_the_idle_timeout_with_it() -> None:
    """It was absent while scaling counted requests, and RunPod would take its own default."""
    assert set(changes_to_wire(WISH, ["scaling"], CATALOG, {})) == {"scaling", "workers"}


def test_the_digest_follows_the_container_and_nothing_else() -> None:
    digest = container_digest(WISH)
    assert container_digest({**WISH, "workersMin": 3, "name": "x", "flashBoot": "OFF"}) == digest
    for change in ({"image": "a/b:2"}, {"env": {"A": "2"}}, {"gpuTypes": ["NVIDIA L40S"]}, {"args": "--lowvram"}):
        assert container_digest({**WISH, **change}) != digest


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (
            {"workersMax": 2},
            {"workersMax": "RunPod itself lowered workersMax from 3 to 2 (it does so after 3 days"},
        ),
        (
            {"workersMax": 0, "workersMin": 0},
            {
                "workersMax": "RunPod itself lowered workersMax from 3 to 0 (it does so after 7 days",
                "workersMin": "RunPod itself lowered workersMin from 1 to 0",
            },
        ),
        ({"workersMax": 1}, {"workersMax": "changed outside of Pulumi: workersMax 3 → 1"}),
        ({"workersMax": 9}, {"workersMax": "changed outside of Pulumi: workersMax 3 → 9"}),
        (
            {"gpuTypes": ["NVIDIA L40S"]},
            {"gpuTypes": "changed outside of Pulumi: gpuTypes NVIDIA L40 → NVIDIA L40S"},
        ),
        ({"env": {"A": "secret", "B": "secret"}}, {"env": "changed outside of Pulumi: env (A, B)"}),
    ],
)
def test_drift_is_told_in_words(live: dict[str, Any], said: dict[str, str]) -> None:
    recorded = {**WISH, "workersMin": 1}
    words = drift_in_words(recorded, {**recorded, **live})
    assert words.keys() == said.keys()
    assert all(words[name].startswith(beginning) for name, beginning in said.items())


def test_only_what_is_in_the_container_rolls_workers() -> None:
    assert rolls_workers(["workersMin", "image"])
    assert not rolls_workers(["workersMin", "workersMax", "idleTimeoutSeconds", "scaling", "name"])
