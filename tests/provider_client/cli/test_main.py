"""How the command line starts and ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from provider_client import cli
from provider_client.cli import COMMANDS, main
from provider_client.errors import AuthError, ExitCode, LockedError


def end_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(words: list[str]) -> ExitCode:
        raise error

    monkeypatch.setattr(cli, "_run", run)


def test_help_lists_every_command_and_starts_nothing_heavy() -> None:
    program = (
        "import sys\nfrom provider_client.cli import main\ncode = main(['--help'])\n"
        "assert not {'httpx', 'pydantic', 'rich', 'yaml'} & set(sys.modules), 'heavy import'\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("words", [["--version"], *([command, "--help"] for command in COMMANDS)])
def test_questions_about_the_command_end_well(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["history", "--nonsense"], ["local", "sideways"], ["verify", "--assets", "-3"]]
)
def test_a_wrong_command_line_ends_in_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.CONFIG
    assert "usage:" in capsys.readouterr().err


def test_an_error_shows_message_and_fix_and_ends_in_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, AuthError("the token is wrong", status=401, fix="set another"))
    assert main(["status"]) == ExitCode.AUTH
    shown = capsys.readouterr()
    assert shown.err == "error: the token is wrong\n  fix: set another\n"
    assert shown.out == ""


def test_json_mode_answers_errors_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, LockedError("locked by alice", fix="switchback unlock"))
    assert main(["status", "--json"]) == ExitCode.LOCKED
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "error": {"kind": "LockedError", "message": "locked by alice", "fix": "switchback unlock"},
        "exit_code": 14,
    }


def test_ctrl_c_ends_in_8(monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(monkeypatch, KeyboardInterrupt())
    assert main(["status"]) == ExitCode.CANCELLED


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "stopped"),
        (RuntimeError("dummy-secret"), "unexpected RuntimeError"),
        (PermissionError(13, "Permission denied", "/out"), "/out: Permission denied"),
    ],
)
def test_json_mode_answers_a_stop_and_the_unforeseen_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, message: str
) -> None:
    end_with(monkeypatch, error)
    code = main(["status", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["message"] == message
    assert answer["exit_code"] == code


def test_an_unforeseen_error_shows_neither_trace_nor_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(monkeypatch, RuntimeError("dummy-secret"))
    assert main(["status"]) == ExitCode.GENERIC
    shown = capsys.readouterr().err
    assert "RuntimeError" in shown
    assert "SWITCHBACK_DEBUG=1" in shown
    assert "dummy-secret" not in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("error", [RuntimeError("why"), LockedError("why"), KeyboardInterrupt()])
def test_debugging_shows_the_trace(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setenv("SWITCHBACK_DEBUG", "1")
    end_with(monkeypatch, error)
    with pytest.raises(type(error)):
        main(["status"])


@pytest.mark.parametrize("place", [lambda flag: [flag, "history"], lambda flag: ["history", flag]])
def test_shared_flags_work_before_and_after_the_command(place: Callable[[str], list[str]]) -> None:
    arguments = cli._parse(place("--json"))
    assert arguments.json is True
    assert arguments.limit == 20
