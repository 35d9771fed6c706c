"""`verify --local`: the Worker on this machine against the vendors that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator.supervisor import running
from provider_client.clock import SystemClock
from provider_client.errors import ConfigError
from provider_client.http import open_client
from provider_client.models import Operation
from provider_client.verification import Outcome, default_plan, verify
from provider_client.verification.local_gateway import local_bindings, local_gateway

PROJECT = Path(__file__).parents[3]
SPEED = 30.0


def test_the_local_worker_is_verified_like_a_deployed_one() -> None:
    plan = default_plan(stage="candidate", provider="comfyui", assets=1, operations=(Operation.TXT2IMG,))
    with running(speed=SPEED) as vendors, open_client() as http:
        environment = {**os.environ, **vendors.environment()}
        with local_gateway("comfyui", environment=environment, project_dir=PROJECT, http=http) as target:
            report = verify(
                target,
                plan,
                http=http,
                clock=SystemClock(SPEED),
                wall=SystemClock(),
                progress=lambda event: None,
            )
    assert report.verdict.outcome is Outcome.SUCCESSFUL, report.verdict
    assert vendors.base_url not in target.base_url, "the gateway is a process of its own"


def test_missing_keys_are_named_before_anything_starts() -> None:
    with (
        open_client() as http,
        pytest.raises(ConfigError, match="SCENARIO_API_KEY, SCENARIO_SECRET_API_KEY"),
        local_gateway("scenario", environment={}, project_dir=PROJECT, http=http),
    ):
        pytest.fail("it must not start")


def test_secrets_become_secret_bindings_and_base_urls_follow_the_environment() -> None:
    environment = {
        "RUNPOD_API_KEY": "dummy",
        "RUNPOD_COMFYUI_ENDPOINT_ID": "e",
        "RUNPOD_ENDPOINT_BASE_URL": "http://x",
    }
    found = {b["name"]: b for b in local_bindings("runpod", environment, token="dummy-t", signing_key="dummy-k")}
    assert found["RUNPOD_API_KEY"]["type"] == "secret_text"
    assert found["GATEWAY_TOKENS"] == {"type": "secret_text", "name": "GATEWAY_TOKENS", "text": '["dummy-t"]'}
    assert found["RUNPOD_ENDPOINT_BASE_URL"]["text"] == "http://x"
