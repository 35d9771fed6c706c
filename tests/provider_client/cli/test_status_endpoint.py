"""`switchback status` and RunPod: drift in words beside the four truths, and never in their way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from provider_client.cli import status, status_endpoint
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.errors import ExitCode

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

KEY = "dummy-runpod-key-of-the-environment"
STACK_KEY = "dummy-runpod-key-of-the-stack"
RUNPOD = "runpod.invalid"
STACK = f"""
config:
  image-generation:accountId: 0123456789abcdef0123456789abcdef
  image-generation:imageGenerationProvider: scenario
  image-generation:runpodApiKey: {{secure: "v1:dummy"}}
  image-generation:baseUrls: {{runpodManagement: "https://{RUNPOD}/v2"}}
  image-generation:runpod: {{image: "example/comfyui:1"}}
"""
SECRETS = {
    "image-generation:runpodApiKey": {"value": STACK_KEY, "secret": True},
    "image-generation:runpod": {"value": '{"image": "example/comfyui:1"}'},
}
Status = Callable[..., Any]


def endpoint(workers_max: int) -> dict[str, Any]:
    return {
        "id": "ep1",
        "name": "image-generation-test",
        "image": "example/comfyui:1",
        "disk": 30,
        "timeout": 600_000,
        "flashboot": "FLASHBOOT",
        "gpu": {
            "pools": ["ADA_48_PRO"],
            "excludedTypes": ["NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"],
            "count": 1,
        },
        "workers": {"min": 0, "max": workers_max, "idleTimeout": 30},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
    }


class RunPod:
    """RunPod on the same transport as Cloudflare. `answer` may be replaced."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={"endpoints": [endpoint(3)]})

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.host != RUNPOD:
            return None
        self.keys.append(request.headers["Authorization"].removeprefix("Bearer "))
        return self.answer()


@pytest.fixture
def runpod(edge: Edge) -> RunPod:
    stub = RunPod()
    edge.answer_first = stub
    edge.deploy({edge.upload("scenario"): 100}, "switchback:up to=scenario")
    return stub


@pytest.fixture
def shown(tmp_path: Path, edge: Edge, runpod: RunPod, capsys: pytest.CaptureFixture[str]) -> Status:
    """`switchback status` in a project with a `pulumi` that decrypts."""
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text(STACK)
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(f"#!/bin/sh\necho '{json.dumps(SECRETS)}'\n")
    pulumi.chmod(0o755)

    def run(*words: str, key: str = KEY, as_json: bool = True) -> Any:
        arguments = parse(["status", *words])
        environment = {
            "HOME": str(tmp_path),
            "PATH": f"{pulumi.parent}:/usr/bin:/bin",
            "CLOUDFLARE_API_TOKEN": "dummy-cloudflare-token-not-a-secret-0000",
            "SWITCHBACK_URL": "https://image-generation-test.example.workers.dev",
            "RUNPOD_API_KEY": key,
        }
        transport = httpx.MockTransport(edge.handle)
        flags = {"stack": "test", "json": as_json, **vars(arguments)}
        with Context(flags=flags, environment=environment, project_dir=tmp_path, transport=transport) as context:
            assert status.run(arguments, context) is ExitCode.OK
        said = capsys.readouterr().out
        assert KEY not in said
        assert STACK_KEY not in said
        return json.loads(said) if as_json else said

    return run


def test_the_scale_down_is_told_to_a_person_and_to_a_program(shown: Status, runpod: RunPod) -> None:
    runpod.answer = lambda: httpx.Response(200, json={"endpoints": [endpoint(0)]})
    words = "RunPod itself lowered workersMax from 3 to 0 (it does so after 7 days without requests)"
    told = shown()["runpod"]
    assert (told["state"], told["endpoint_id"]) == ("drifted", "ep1")
    assert words in told["drift"]["workersMax"]
    said = shown(as_json=False)
    assert words in said
    assert "pulumi preview shows" in said


def test_without_a_drift_it_is_one_request_and_one_line(shown: Status, runpod: RunPod) -> None:
    assert "runpod: as declared (endpoint ep1)" in shown(as_json=False)
    assert runpod.keys == [KEY]


def test_an_endpoint_that_is_gone_is_told(shown: Status, runpod: RunPod) -> None:
    runpod.answer = lambda: httpx.Response(200, json={"endpoints": []})
    assert shown()["runpod"]["state"] == "not found"


def test_without_a_key_it_says_so_and_asks_nobody(shown: Status, runpod: RunPod) -> None:
    told = shown(key="")["runpod"]
    assert told["state"] == "not looked at"
    assert "RUNPOD_API_KEY" in told["detail"]
    assert "--stack-secrets" in told["detail"]
    assert runpod.keys == []


def test_the_stacks_own_key_is_used_only_when_that_is_asked_for(shown: Status, runpod: RunPod) -> None:
    assert shown("--stack-secrets", key="")["runpod"]["state"] == "as declared"
    assert runpod.keys == [STACK_KEY]


@pytest.mark.parametrize("status_code", [401, 403, 500, None])
def test_a_runpod_that_does_not_answer_hides_nothing_else(
    shown: Status, runpod: RunPod, status_code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_endpoint, "LOOK_UP_SECONDS", 0.05)

    def answer() -> httpx.Response:
        if status_code is None:
            raise httpx.ConnectError("down")
        return httpx.Response(status_code, json={"title": "T", "detail": "why"})

    runpod.answer = answer
    told = shown()
    assert told["runpod"]["state"] == "not looked at"
    assert "RunPod" in told["runpod"]["detail"]
    assert told["truths"]["deployed"]["provider"] == "scenario"
    assert told["truths"]["reported"]["provider"] == "scenario"


def test_runpod_and_cloudflare_are_asked_at_the_same_time(shown: Status, runpod: RunPod, edge: Edge) -> None:
    """Each answers only when the other one has been asked: one after the other would end in the time-out."""
    runpod_asked, cloudflare_asked = threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response | None:
        (mine, other) = (
            (runpod_asked, cloudflare_asked) if request.url.host == RUNPOD else (cloudflare_asked, runpod_asked)
        )
        mine.set()
        assert other.wait(5)
        return runpod(request)

    edge.answer_first = answer
    assert shown()["runpod"]["state"] == "as declared"


def test_a_stack_without_runpod_has_nothing_to_say_of_it(shown: Status, runpod: RunPod, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text("\n".join(line for line in STACK.splitlines() if "runpodApiKey" not in line))
    assert shown()["runpod"] is None
    assert runpod.keys == []
