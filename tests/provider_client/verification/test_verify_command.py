"""`switchback verify` and the pytest plugin: other doors to the same verification."""

from __future__ import annotations

import json
import signal
import sys
import types
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_client.cli import verify as command
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.clock import SystemClock
from provider_client.errors import ConfigError, ExitCode
from provider_client.verification import pytest_plugin
from tests.provider_client.verification.gateway_spoils import change

SPEED = 400.0
TOKEN = "dummy-gateway-token-planted-to-be-searched-for"
PLAN = "assets: [{name: orc, operation: txt2img, prompt: An orc, width: 64, height: 64}]"


@pytest.fixture
def switchback(bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command against the double of a gateway, whose GPUs work at emulator speed."""
    bench.gateway.clock = SystemClock(SPEED)
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)

    def run(*words: str, **environment: str) -> tuple[ExitCode, str, str]:
        given = parse(["verify", "--url", "http://gateway.test", "--plan", str(plan), *words])
        variables = {
            "SWITCHBACK_CLOCK_SPEED": str(SPEED),
            "SWITCHBACK_GATEWAY_TOKEN": TOKEN,
            "HOME": str(tmp_path),
        }
        context = Context(
            flags=vars(given),
            environment=variables | environment,
            project_dir=tmp_path,
            transport=httpx.MockTransport(bench.gateway),
        )
        with context:
            code = command.run(given, context)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_good_provider_ends_in_0_and_leaves_a_report(switchback: Any, tmp_path: Path) -> None:
    code, out, err = switchback()
    assert code is ExitCode.OK
    assert "SUCCESSFUL" in out
    assert "txt2img 1/1 ok" in err
    assert len(list((tmp_path / ".switchback" / "reports").glob("*-live-runpod/report.html"))) == 1


@pytest.mark.parametrize(
    ("kind", "code"), [("MODEL_NOT_FOUND", ExitCode.VERIFICATION_FAILED), ("UNAVAILABLE", ExitCode.INCONCLUSIVE)]
)
def test_each_outcome_has_its_exit_code(bench: Any, switchback: Any, kind: str, code: ExitCode) -> None:
    def spoil(served: Any) -> None:
        served.status, served.error = "failed", {"kind": kind, "message": "no"}

    bench.gateway.spoil = spoil
    ended, out, _ = switchback()
    assert ended is code
    assert "reproduce: curl" in out
    assert TOKEN not in out


def test_the_verifiers_own_wrong_token_ends_in_3(bench: Any, switchback: Any) -> None:
    bench.gateway.refuse_token = True
    assert switchback()[0] is ExitCode.AUTH


def test_json_is_one_object_and_nothing_else(switchback: Any) -> None:
    code, out, err = switchback("--json")
    report = json.loads(out)
    assert (code, report["verdict"]["outcome"], err) == (ExitCode.OK, "SUCCESSFUL", "")
    assert Path(report["report"]).is_file()


def test_a_dry_run_pays_nothing(bench: Any, switchback: Any) -> None:
    code, out, _ = switchback("--dry-run", "--provider", "runpod")
    assert code is ExitCode.OK
    assert out.startswith("1 asset (1 txt2img), about $")
    assert not bench.gateway.requests


def test_a_run_by_hand_is_planned_like_the_run_of_pulumi_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    (tmp_path / "Pulumi.prod.yaml").write_text(
        "config:\n  image-generation:verification: {liveAssets: 5, operations: [txt2img, pipeline], maxSpendUsd: 2}\n"
        "  image-generation:scenario: {costPerImageUsd: 0.05}\n"
        "  image-generation:runpod: {gpuTypes: [NVIDIA L4], gpuCount: 2}\n"
    )
    own = tmp_path / "plan.yaml"
    own.write_text(PLAN)

    def planned(*words: str) -> dict[str, Any]:
        given = parse(["verify", "--url", "http://gateway.test", "--dry-run", *words])
        flags = {**vars(given), "stack": "prod", "json": True}
        with Context(flags=flags, environment={"HOME": str(tmp_path)}, project_dir=tmp_path) as context:
            assert command.run(given, context) is ExitCode.OK
        plan: dict[str, Any] = json.loads(capsys.readouterr().out)
        return plan

    plan = planned("--provider", "scenario")
    assert [asset["operation"] for asset in plan["assets"]] == ["txt2img", "pipeline"] * 2 + ["txt2img"]
    assert (plan["max_spend_usd"], plan["price"]["per_asset_usd"]) == (2, 0.05)
    assert planned("--provider", "scenario", "--plan", str(own))["max_spend_usd"] == 2
    assert planned("--provider", "runpod")["price"]["per_second_usd"] == pytest.approx(2 * 0.00019)


def test_a_pipeline_gets_its_step_summary(switchback: Any, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    switchback(GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text().startswith("### ✅ SUCCESSFUL: runpod, live")


def test_beside_live_asks_both_for_the_same_pictures(bench: Any, switchback: Any) -> None:
    _, out, _ = switchback("--json", "--beside-live")
    (pair,) = json.loads(out)["parity"]
    assert (pair["distance"], pair["differences"]) == (0, [])
    seeds = {served.request["seed"] for served in bench.gateway.jobs.values()}
    assert len(bench.gateway.jobs) == 2
    assert len(seeds) == 1


TEAMS_TEST = """
import httpx, pytest, sys
@pytest.fixture(scope="session")
def switchback_http():
    return httpx.Client(transport=httpx.MockTransport(sys.modules["gateway_of_the_test"].gateway))
def test_icons(switchback_verify):
    report = switchback_verify(assets=2)
    assert report.passed == 2
"""


def pytest_in(directory: Path, *options: str) -> int:
    """One pytest inside this one; the plugin's entry point is switched off, should it be installed."""
    path = directory / "test_team.py"
    path.write_text(TEAMS_TEST)
    where = ["-c", "/dev/null", "--rootdir", str(directory), "-p", "no:cacheprovider", "-p", "no:switchback"]
    where.append("--import-mode=importlib")  # several tests have such a file
    return int(pytest.main([str(path), "-q", *where, *options], plugins=[pytest_plugin]))


def test_the_pytest_plugin_passes_skips_and_fails(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.gateway.clock = SystemClock(SPEED)
    module = types.ModuleType("gateway_of_the_test")
    module.gateway = bench.gateway  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway_of_the_test", module)
    monkeypatch.setenv("SWITCHBACK_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("SWITCHBACK_CLOCK_SPEED", str(SPEED))
    where = ("--switchback-url", "http://gateway.test", "--switchback-provider", "runpod")
    assert pytest_in(tmp_path, *where) == 0
    assert pytest_in(tmp_path) == 0
    assert "skipped" in capsys.readouterr().out
    error = {"kind": "MODEL_NOT_FOUND", "message": "sd_xl not in []"}
    bench.gateway.spoil = lambda served: (setattr(served, "status", "failed"), setattr(served, "error", error))
    assert pytest_in(tmp_path, *where) == 1
    assert "MODEL_NOT_FOUND: sd_xl not in []" in capsys.readouterr().out


def test_ctrl_c_ends_the_whole_pytest_session_and_not_only_the_test(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(number: int) -> None:
        signal.raise_signal(signal.SIGINT)  # Python hands it to the main thread, which waits for the asset

    bench.gateway.clock = SystemClock(SPEED)
    bench.gateway.on_submit = interrupt
    bench.gateway.spoil = change(seconds=SPEED * 30)
    module = types.ModuleType("gateway_of_the_test")
    module.gateway = bench.gateway  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway_of_the_test", module)
    monkeypatch.setenv("SWITCHBACK_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("SWITCHBACK_CLOCK_SPEED", str(SPEED))
    where = ("--switchback-url", "http://gateway.test", "--switchback-provider", "runpod")
    assert pytest_in(tmp_path, *where) == pytest.ExitCode.INTERRUPTED
    assert bench.gateway.cancelled == ["job-1"]


@pytest.mark.parametrize("usd", ["nan", "inf", "-1", "free"])
def test_a_cap_that_is_no_amount_is_refused(switchback: Any, usd: str) -> None:
    with pytest.raises(ConfigError, match="--max-spend"):
        switchback("--max-spend", usd)
