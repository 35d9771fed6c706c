"""status, history, rollback and reconcile on an account that answers as recorded."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import httpx
import pytest

from provider_client.cli import history, reconcile, rollback, status, unlock
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode, LockedError, RollbackRefused, SwitchbackError

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "dummy-cloudflare-token-not-a-secret-0000"
GATEWAY_URL = "https://image-generation-test.example.workers.dev"
Run = Callable[..., ExitCode]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose `pulumi` writes down what it is asked, and ends in the code that `exit_code` holds."""
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text(
        f"config:\n  image-generation:accountId: {ACCOUNT}\n  image-generation:imageGenerationProvider: runpod\n"
        "  image-generation:runpod:\n    workersMin: 1\n"
    )
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(
        '#!/bin/sh\necho "$@" >> calls\n[ "$1" = up ] && exit $(cat exit_code 2>/dev/null || echo 0)\nexit 0\n'
    )
    pulumi.chmod(0o755)
    return tmp_path


@pytest.fixture
def run(folder: Path, edge: Edge) -> Run:
    def start(
        command: ModuleType, *words: str, environment: dict[str, str] | None = None, **shared: object
    ) -> ExitCode:
        arguments = parse([command.__name__.rpartition(".")[2], *words])
        flags = {"stack": "test", **vars(arguments), **shared}
        values = {
            "HOME": str(folder / "home"),
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "SWITCHBACK_URL": GATEWAY_URL,
            "SWITCHBACK_ACTOR": "alice",
            **(environment or {}),
        }
        transport = httpx.MockTransport(edge.handle)
        with Context(flags=flags, environment=values, project_dir=folder, transport=transport) as context:
            return ExitCode(command.run(arguments, context))

    return start


@pytest.fixture
def switched(edge: Edge) -> Edge:
    scenario, runpod = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({scenario: 100}, "switchback:up to=scenario")
    edge.deploy({runpod: 100}, "switchback:up from=scenario to=runpod")
    return edge


def pulumi_calls(folder: Path) -> list[str]:
    calls = folder / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_rollback_now_needs_no_pulumi_and_makes_one_call(
    run: Run, switched: Edge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rollback, "--now", "--reason", "blank images", json=True) is ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["from"], answer["to"], answer["moved"]) == ("runpod", "scenario", True)
    assert answer["way_back"]["state"] == "open"
    assert answer["way_forward"][1] == f"pulumi config set acknowledgeRollback {answer['deployment_id']}"
    assert "$45.79 a day" in answer["idle_cost"]
    assert answer["total_seconds"] <= 5
    assert len(switched.mutating) == 1
    assert "actor=alice" in switched.messages[0]
    assert pulumi_calls(folder) == []


def test_rollback_tells_a_person_times_cost_and_both_ways_on(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rollback, "--now", "--to", "scenario") is ExitCode.OK
    said = capsys.readouterr().out
    for words in (
        "scenario serves again",
        "confirm 0.",
        "switchback reconcile",
        "acknowledgeRollback deployment-3",
    ):
        assert words in said


def test_rollback_without_now_shows_the_plan_and_asks(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="Not done without agreement"):
        run(rollback, quiet=True)
    assert "target    scenario 100 %" in capsys.readouterr().err
    assert switched.mutating == []


def test_rollback_in_json_mode_answers_with_the_plan_instead_of_asking(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rollback, json=True) is ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["to"], answer["done"]) == ("scenario", False)
    assert switched.mutating == []


def test_a_bad_target_stops_a_rollback_unless_one_insists(run: Run, switched: Edge) -> None:
    switched.health_status[str(switched.versions[1]["id"])] = "misconfigured"
    with pytest.raises(RollbackRefused, match="misconfigured"):
        run(rollback, "--now")
    assert switched.mutating == []
    assert run(rollback, "--now", "--skip-target-check") is ExitCode.OK


def test_rollback_finds_the_gateway_by_the_targets_preview_address(run: Run, switched: Edge) -> None:
    assert run(rollback, "--now", environment={"SWITCHBACK_URL": ""}) is ExitCode.OK
    asked = {request.url.host for request in switched.requests if request.url.path == "/health"}
    assert "image-generation-test.example.workers.dev" in asked


def test_status_shows_the_four_truths_and_remembers_the_target(
    run: Run, switched: Edge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    switched.deploy({str(switched.versions[1]["id"]): 100}, "switchback:rollback from=runpod to=scenario")
    assert run(status, json=True) is ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert {name: truth["provider"] for name, truth in answer["truths"].items()} == {
        "declared": "runpod",
        "deployed": "scenario",
        "reported": "scenario",
        "observed": None,
    }
    assert answer["disagreements"] == ["declared says runpod, deployed says scenario"]
    assert answer["phase"] == "rolled back"
    assert "switchback reconcile" in answer["next"]
    kept = next(folder.glob("home/.config/switchback/remembered.json")).read_text()
    assert GATEWAY_URL in kept
    assert TOKEN not in kept


def test_status_says_what_it_cannot_know_and_hides_nothing_else(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is known is shown, and the exit code says that the rest is missing, and why."""
    assert run(status, environment={"CLOUDFLARE_API_TOKEN": ""}) is ExitCode.CONFIG
    said = capsys.readouterr().out
    assert "phase: not known" in said
    assert "cloudflare token is not set" in said.lower().replace("_", " ")
    assert "health ok" in said


def test_status_of_a_stack_that_is_not_there_names_those_that_are(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped name is no stack that waits for its first `up`."""
    environment = {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    assert run(status, environment=environment, stack="tset", json=True) is ExitCode.CONFIG
    answer = json.loads(capsys.readouterr().out)
    assert answer["phase"] == "not known"
    assert answer["next"] == "choose a stack that is there with --stack: test"


def test_status_before_the_first_up_says_that_nothing_is_deployed(
    run: Run, edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.worker = "another-worker"
    assert run(status) is ExitCode.OK
    said = capsys.readouterr().out
    assert "nothing is deployed" in said
    assert "phase: dry run" in said
    assert "too little is known" in said


def test_history_is_newest_first_with_who_and_why(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    run(rollback, "--now", "--reason", "too slow", json=True)
    capsys.readouterr()
    assert run(history, json=True) is ExitCode.OK
    lines = json.loads(capsys.readouterr().out)["deployments"]
    assert [(line["kind"], line["traffic"]) for line in lines] == [
        ("rollback", "scenario 100 %"),
        ("up", "runpod 100 %"),
        ("up", "scenario 100 %"),
    ]
    assert (lines[0]["actor"], lines[0]["reason"]) == ("alice", "too slow")
    run(history, "--limit", "1")
    table = capsys.readouterr().out
    assert "too slow" in table
    assert "runpod 100 %" not in table


def test_history_on_a_narrow_terminal_keeps_every_id_whole(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(history, json=True)
    ids = [line["deployment_id"] for line in json.loads(capsys.readouterr().out)["deployments"]]
    monkeypatch.setattr("provider_client.cli.context.PIPED_WIDTH", 80)
    run(history)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert all(one in lines for one in ids)
    assert max(map(len, lines)) <= 80


def test_other_peoples_words_are_shown_as_they_are(
    run: Run, switched: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    switched.deploy({str(switched.versions[1]["id"]): 100}, "by hand [/red] [bold]\x1b[31m")
    run(history)
    said = capsys.readouterr().out
    assert "by hand [/red] [bold]" in said
    assert "\x1b" not in said


def test_reconcile_sets_the_config_to_what_is_live_and_runs_up(
    run: Run, switched: Edge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(rollback, "--now")
    assert run(reconcile, yes=True) is ExitCode.OK
    assert pulumi_calls(folder) == [
        "config set imageGenerationProvider scenario --stack test --non-interactive",
        "up --yes --skip-preview --stack test --non-interactive",
    ]
    assert len(switched.mutating) == 1
    assert "not in a Git work tree" in capsys.readouterr().out


def test_reconcile_dry_run_runs_nothing(run: Run, switched: Edge, folder: Path) -> None:
    run(rollback, "--now")
    assert run(reconcile, "--dry-run") is ExitCode.OK
    assert pulumi_calls(folder) == []


def test_reconcile_passes_on_how_pulumi_ended(run: Run, switched: Edge, folder: Path) -> None:
    run(rollback, "--now")
    (folder / "exit_code").write_text("4")
    with pytest.raises(SwitchbackError, match="exit code 4") as caught:
        run(reconcile, yes=True)
    assert caught.value.exit_code is ExitCode.RESOURCE


def test_reconcile_says_what_git_still_needs(
    run: Run, switched: Edge, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    run(reconcile, "--dry-run", json=True)
    assert "git commit" in json.loads(capsys.readouterr().out)["git"]


@pytest.fixture
def locked(folder: Path) -> dict[str, str]:
    """A lock of a process that ended, in a file backend."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = {
        "pid": ended.pid,
        "username": "root",
        "hostname": socket.gethostname(),
        "timestamp": "2026-11-23T06:15:27Z",
    }
    locks = folder / "state/.pulumi/locks/organization/image-generation/test"
    locks.mkdir(parents=True)
    (locks / "one.json").write_text(json.dumps(lock))
    return {"PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}


def test_unlock_cancels_once_the_holder_is_dead(
    run: Run, locked: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="Not done without agreement"):
        run(unlock, environment=locked)
    assert pulumi_calls(folder) == []
    assert run(unlock, environment=locked, yes=True, json=True) is ExitCode.OK
    assert pulumi_calls(folder) == ["cancel --yes --stack test --non-interactive"]
    answer = json.loads(capsys.readouterr().out)
    assert (answer["unlocked"], answer["locks"][0]["user"]) == (True, "root")


@pytest.mark.parametrize("stranger", [{"hostname": "another-machine"}, {"pid": "alive"}])
def test_unlock_refuses_while_the_holder_may_live(
    run: Run, locked: dict[str, str], folder: Path, stranger: dict[str, str]
) -> None:
    file = next(folder.glob("state/.pulumi/locks/**/one.json"))
    shutil.copy("/bin/sleep", folder / "pulumi-engine")
    with subprocess.Popen([folder / "pulumi-engine", "30"]) as living:
        changed = stranger if "pid" not in stranger else {"pid": living.pid}
        file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
        with pytest.raises(LockedError) as caught:
            run(unlock, environment=locked, yes=True)
        living.kill()
    assert "root@" in caught.value.message
    assert pulumi_calls(folder) == []


def test_unlock_of_a_free_stack_does_nothing(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(unlock, environment={"PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}) is ExitCode.OK
    assert "not locked" in capsys.readouterr().out


def test_unlock_takes_ones_word_where_it_cannot_look(run: Run, folder: Path) -> None:
    with pytest.raises(ConfigError, match="a s3 backend"):
        run(unlock, environment={"PULUMI_BACKEND_URL": "s3://bucket"}, yes=True)
    assert (
        run(unlock, "--holder-is-dead", environment={"PULUMI_BACKEND_URL": "s3://bucket"}, yes=True) is ExitCode.OK
    )
    assert pulumi_calls(folder) == ["cancel --yes --stack test --non-interactive"]
