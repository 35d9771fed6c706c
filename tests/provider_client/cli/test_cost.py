"""`switchback cost` with a `pulumi` that tells a stack's configuration and a RunPod over MockTransport."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_client.cli import cost
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.cli.cost_sentence import cost_sentence
from provider_client.costs import Endpoint as CostEndpoint
from provider_client.costs import Range, Saving, Usage, runpod_cost, scenario_cost, unknown_cost
from provider_client.errors import ConfigError
from provider_client.gpu_catalog import Price

KEY = "dummy-runpod-key-not-a-secret"
STACK = {
    "imageGenerationProvider": "scenario",
    "runpod": {"image": "example/worker:1", "workersMin": 1, "gpuTypes": ["NVIDIA L40"], "workersMax": 3},
    "scenario": {"costPerImageUsd": 0.05},
}
CATALOG = {"gpus": [{"id": "NVIDIA L40", "pool": "ADA_48_PRO", "price": {"serverless": 2.0}}]}
Cost = Callable[..., dict[str, Any]]


@pytest.fixture
def runpod() -> dict[str, Any]:
    """What RunPod answers by path; a path without an answer is a 401."""
    return {"/v2/catalog/gpus": CATALOG, "/v2/serverless": {"endpoints": []}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    return tmp_path


@pytest.fixture
def ask(folder: Path, runpod: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Cost:
    def handle(request: httpx.Request) -> httpx.Response:
        answer = runpod.get(request.url.path)
        return httpx.Response(200, json=answer) if answer else httpx.Response(401, json={"title": "Unauthorized"})

    def start(
        *words: str, stack: dict[str, Any] | None = None, key: str = KEY, as_json: bool = True
    ) -> dict[str, Any]:
        config = {
            f"image-generation:{name}": {
                "value": value if isinstance(value, str) else json.dumps(value),
                "secret": False,
            }
            for name, value in {**STACK, **(stack or {})}.items()
        }
        config["image-generation:runpodApiKey"] = {"value": key, "secret": True}
        (folder / "config.json").write_text(json.dumps(config))
        pulumi = folder / "pulumi"
        pulumi.write_text("#!/bin/sh\ncat config.json\n")
        pulumi.chmod(0o755)
        arguments = parse(["cost", *words])
        with Context(
            flags={"stack": "test", "json": as_json, **vars(arguments)},
            environment={"HOME": str(folder), "PATH": f"{folder}:/usr/bin:/bin"},
            project_dir=folder,
            transport=httpx.MockTransport(handle),
        ) as context:
            assert cost.run(arguments, context) == 0
        out = capsys.readouterr().out
        assert KEY not in out
        return dict(json.loads(out)) if as_json else {"text": out}

    return start


def test_the_live_catalog_gives_the_price_and_is_named_with_its_date(ask: Cost) -> None:
    """$2.00 an hour are $48.00 a day, whatever the package's table says."""
    answer = ask()
    assert (answer["current"], answer["wanted"]) == ("scenario", "runpod")
    assert answer["costs_usd"]["runpod"]["live_workers_per_day"] == 48.0
    assert "live catalog, 20" in answer["costs_usd"]["runpod"]["source"]


def test_without_an_accepted_key_the_packages_table_is_used_and_said(ask: Cost, runpod: dict[str, Any]) -> None:
    """The list price of 2026-06-08, and why RunPod was not asked."""
    runpod.clear()
    answer = ask()
    assert answer["costs_usd"]["runpod"]["live_workers_per_day"] == 45.79
    assert "2026-06-08" in answer["costs_usd"]["runpod"]["source"]
    assert any("401" in note for note in answer["notes"])
    assert "$45.79" in answer["notes"][-1]


def test_other_endpoints_count_into_the_worker_quota(ask: Cost, runpod: dict[str, Any]) -> None:
    """Three workers elsewhere and three here pass the default quota of five; our own endpoint counts once."""
    elsewhere = {"id": "a", "name": "other", "workers": {"max": 3}}
    own = {"id": "b", "name": "image-generation-test", "workers": {"max": 3}}
    runpod["/v2/serverless"] = {"endpoints": [own]}
    assert not any("quota" in warning for warning in ask()["warnings"])
    runpod["/v2/serverless"] = {"endpoints": [own, elsewhere]}
    assert any("6 workers" in warning for warning in ask()["warnings"])


def test_an_endpoint_that_the_stack_only_uses_is_priced_as_it_is(ask: Cost, runpod: dict[str, Any]) -> None:
    """mode existing: workers and GPU come from RunPod, not from defaults of ours."""
    live = {
        "id": "ep1",
        "name": "made-by-hand",
        "gpu": {"pools": ["ADA_48_PRO"], "excludedTypes": [], "count": 2},
        "workers": {"min": 2, "max": 4, "idleTimeout": 60},
    }
    runpod["/v2/serverless"] = {"endpoints": [live]}
    answer = ask(stack={"runpod": {"mode": "existing", "endpointId": "ep1"}})
    assert answer["costs_usd"]["runpod"]["live_workers_per_day"] == 192.0
    assert answer["costs_usd"]["runpod"]["idle_per_burst"] == pytest.approx(2 * 2.0 / 60)


def test_an_existing_endpoint_that_cannot_be_asked_has_no_known_cost(ask: Cost, runpod: dict[str, Any]) -> None:
    """Nothing is guessed from defaults."""
    runpod.clear()
    answer = ask(stack={"runpod": {"mode": "existing", "endpointId": "ep1"}})
    assert answer["costs_usd"]["runpod"]["live_workers_per_day"] is None
    assert "not known" in answer["sentence"]


def test_measured_seconds_of_the_last_verification_replace_the_plans(ask: Cost, folder: Path) -> None:
    """run_ms of RunPod's warm images in the newest report."""
    report = folder / ".switchback/reports/20261123T060000Z-live-runpod"
    report.mkdir(parents=True)
    assets = [
        {"provider": "runpod", "operation": "txt2img", "timings": {"run_ms": milliseconds}}
        for milliseconds in (9000, 11000, None)
    ]
    (report / "report.json").write_text(json.dumps({"assets": assets}))
    answer = ask()
    assert answer["usage"]["seconds_per_image"] == {"low": 9.0, "high": 11.0}
    assert report.name in answer["usage"]["seconds_source"]
    assert ask("--seconds-per-image", "5")["usage"]["seconds_source"] == "as you said"


def test_the_table_says_not_known_instead_of_a_figure(ask: Cost) -> None:
    """A ComfyUI server of one's own, and Scenario without its price."""
    text = ask("--to", "comfyui", stack={"scenario": {}}, as_json=False)["text"]
    assert "$" not in text.split("\n\n")[0].replace("US$", "")
    assert "costPerImageUsd" in text
    assert max(len(line.rstrip()) for line in text.split("\n\n")[0].splitlines()) <= 80


def test_a_price_that_pulumi_stored_as_text_counts(ask: Cost) -> None:
    """`pulumi config set --path scenario.costPerImageUsd 0.05` stores "0.05"."""
    assert (
        ask(stack={"scenario": {"costPerImageUsd": "0.05"}})["costs_usd"]["scenario"]["per_image"]["low"] == 0.05
    )


@pytest.mark.parametrize("wrong", [{"scenario": {"costPerImageUsd": "much"}}, {"runpod": {"workersMin": -1}}])
def test_a_wrong_section_is_named(ask: Cost, wrong: dict[str, Any]) -> None:
    """doctor lists what is wrong with it."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ask(stack=wrong)


def test_an_unknown_provider_is_refused(ask: Cost) -> None:
    """--to names a provider of the registry."""
    with pytest.raises(ConfigError):
        ask("--to", "runpood")


ENDPOINT = CostEndpoint(
    workers_min=0,
    standby_workers_min=0,
    workers_max=3,
    idle_timeout_seconds=30,
    gpu_types=("NVIDIA L40",),
    gpu_count=1,
)


@pytest.mark.parametrize(
    ("images", "baseline", "share", "expected"),
    [
        (None, 0.05, Range(0.58, 0.79), "58 to 79 % less than Scenario's $0.05 an image"),
        (None, None, None, "not known without scenario.costPerImageUsd"),
        (100.0, 0.05, Range(-8.2, -0.1), "10 to 820 % more"),
        (100.0, 0.05, Range(-0.1, 0.4), "from 10 % more to 40 % less"),
    ],
)
def test_the_sentence_claims_no_more_than_is_known(
    images: float | None, baseline: float | None, share: Range | None, expected: str
) -> None:
    """Savings as a span, or that nothing can be said."""
    usage = Usage(images_per_day=images)
    wanted = runpod_cost(ENDPOINT, Price(0.00053, "test"), usage)
    found = Saving(share, "per_image") if share else None
    assert expected in cost_sentence(wanted, scenario_cost(baseline, usage), usage, found, None)


def test_the_sentence_of_an_unknown_cost_says_so() -> None:
    """No figure at all."""
    said = cost_sentence(unknown_cost("comfyui", "why"), scenario_cost(0.05, Usage()), Usage(), None, None)
    assert said == "What ComfyUI costs is not known here: why."
