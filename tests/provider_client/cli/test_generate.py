"""`switchback generate`: saves the picture, says where, what it took and what it cost; fails with a next step."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from provider_client.cli import generate
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode

KEYS = {
    "RUNPOD_API_KEY": "fake-runpod-key",
    "RUNPOD_COMFYUI_ENDPOINT_ID": "endpoint1",
    "RUNPOD_ENDPOINT_BASE_URL": "http://runpod.localhost/v2",
    "SWITCHBACK_CLOCK_SPEED": "10000",
}


def png(width: int = 64, height: int = 64) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(encoded, format="PNG")
    return encoded.getvalue()


def runpod(request: httpx.Request) -> httpx.Response:
    """Makes whatever size is asked for; prompts with "broken" fail."""
    path = request.url.path
    if path.endswith("/run"):
        graph = json.loads(request.content)["input"]["workflow"]
        bad = "broken" in graph["6"]["inputs"]["text"]
        size = graph["5"]["inputs"]
        return httpx.Response(
            200, json={"id": f"{size['width']}x{size['height']}{'x' * bad}", "status": "IN_QUEUE"}
        )
    job = path.rpartition("/")[2]
    if job.endswith("x"):
        return httpx.Response(200, json={"id": job, "status": "FAILED", "error": "CUDA out of memory"})
    width, height = map(int, job.split("x"))
    image = {"type": "base64", "data": base64.b64encode(png(width, height)).decode("ascii")}
    done = {
        "id": job,
        "status": "COMPLETED",
        "delayTime": 900,
        "executionTime": 4000,
        "output": {"images": [image]},
    }
    return httpx.Response(200, json=done)


def run(
    words: list[str],
    tmp_path: Path,
    flags: dict[str, object] | None = None,
    vendor: Callable[[httpx.Request], httpx.Response] = runpod,
    **environment: str,
) -> ExitCode:
    arguments = parse(["generate", *words, "--out", str(tmp_path / "out")])
    context = Context(
        flags={"no_color": True, **vars(arguments), **(flags or {})},
        environment={**KEYS, **environment},
        project_dir=tmp_path,
        transport=httpx.MockTransport(vendor),
    )
    with context:
        return generate.run(arguments, context)


def test_a_knight_is_saved_and_its_place_time_and_cost_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        ["A knight", "txt2img", "--size", "96x64", "--seed", "7"], tmp_path, IMAGE_GENERATION_PROVIDER="runpod"
    )
    out = capsys.readouterr().out
    saved = tmp_path / "out" / "a-knight-txt2img-runpod.png"
    assert code is ExitCode.OK
    with Image.open(saved) as image:
        assert image.size == (96, 64)
    assert str(saved) in out
    for part in ("96x64 image/png", "waiting 0.9 s", "running 4.0 s", "4 GPU seconds", "seed 7"):
        assert part in out


def test_json_is_one_object_with_the_same_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["A knight", "--provider", "runpod"], tmp_path, flags={"json": True})
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == 1
    assert (answer["operation"], answer["provider"], answer["width"]) == ("txt2img", "runpod", 1024)
    assert Path(answer["file"]).is_file()
    assert answer["cost"] == {"quantity": 4.0, "unit": "GPU seconds", "usd": None}


def test_a_second_picture_does_not_overwrite_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        run(["A knight", "--provider", "runpod"], tmp_path)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_plan_makes_every_asset_and_a_failed_one_does_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "assets.yaml"
    plan.write_text(
        "- {prompt: a knight, name: knight, width: 64, height: 64}\n- {prompt: broken}\n- {prompt: a tile}\n"
    )
    code = run(["--plan", str(plan), "--provider", "runpod"], tmp_path)
    out = capsys.readouterr().out
    assert code is ExitCode.RESOURCE
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert "OUT_OF_MEMORY" in out
    assert "fix: The GPU ran out of memory" in out


def test_missing_keys_are_named_and_no_value_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SCENARIO_API_KEY, SCENARIO_SECRET_API_KEY"):
        run(["A knight", "--provider", "scenario"], tmp_path)


def test_a_refused_key_is_named_with_where_it_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the keys are the shell's own: advice about the stack's secrets would lead astray."""
    code = run(["A knight", "--provider", "runpod"], tmp_path, vendor=lambda _: httpx.Response(401))
    said = capsys.readouterr().out
    assert code is ExitCode.AUTH
    assert "fix: check RUNPOD_API_KEY in the environment and in .env" in said
    assert KEYS["RUNPOD_API_KEY"] not in said


def test_no_provider_named_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="IMAGE_GENERATION_PROVIDER"):
        run(["A knight"], tmp_path)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["A knight", "paint", "--provider", "runpod"], "no operation 'paint'"),
        (["A knight", "--provider", "dalle"], "no provider 'dalle'"),
        (["--provider", "runpod"], "nothing says what to draw"),
        (["A knight", "--strength", "3", "--provider", "runpod"], "strength"),
        (["A knight", "--image", "absent.png", "--provider", "runpod"], "absent.png"),
        (["A knight", "--plan", "absent.yaml", "--provider", "runpod"], "a plan names its own prompts"),
        (["--plan", "absent.yaml", "--provider", "runpod"], "absent.yaml"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid(words: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        run(words, tmp_path)


def test_an_operation_without_a_prompt_may_stand_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "in.png"
    picture.write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match="not a PNG"):
        run(["remove_background", "--image", str(picture), "--provider", "runpod"], tmp_path)


GENERATION = {
    "id": "job-1",
    "status": "succeeded",
    "provider": "scenario",
    "operation": "txt2img",
    "timings": {"queue_ms": 100, "run_ms": 900, "store_ms": 10},
    "assets": [
        {"url": "http://gateway.localhost/assets/a.png", "key": "a.png", "content_type": "image/png", "bytes": 1,
         "width": 64, "height": 64, "sha256": "0" * 64}
    ],
}  # fmt: skip
GATEWAY = {"SWITCHBACK_URL": "http://gateway.localhost", "SWITCHBACK_GATEWAY_TOKEN": "fake-gateway-token"}


def gateway(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/assets/a.png":
        return httpx.Response(200, content=png(), headers={"content-type": "image/png"})
    wish = json.loads(request.content)
    if wish["prompt"] == "broken":
        error = {"kind": "MODEL_NOT_FOUND", "message": "no such checkpoint", "mitigation": "install it"}
        return httpx.Response(200, json={**GENERATION, "status": "failed", "assets": [], "error": error})
    return httpx.Response(200, json=GENERATION)


def test_the_gateway_makes_it_when_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["A knight", "--via-gateway"], tmp_path, vendor=gateway, **GATEWAY)
    assert code is ExitCode.OK
    assert "a-knight-txt2img-scenario.png" in capsys.readouterr().out


def test_a_failure_behind_the_gateway_keeps_its_kind_and_mitigation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["broken", "--via-gateway"], tmp_path, vendor=gateway, **GATEWAY)
    out = capsys.readouterr().out
    assert code is ExitCode.RESOURCE
    assert "MODEL_NOT_FOUND: no such checkpoint" in out
    assert "scenario.models" in out


def test_every_variable_of_every_provider_is_in_the_example_file() -> None:
    from provider_client.providers import PROVIDERS

    example = (Path(__file__).parents[3] / ".env.example").read_text()
    named = {line.partition("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    assert {binding.name for spec in PROVIDERS.values() for binding in spec.bindings} <= named
