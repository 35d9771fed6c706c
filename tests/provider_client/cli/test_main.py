"""How the command line starts and ends."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from provider_client import cli
from provider_client.cli import main
from provider_client.cli.arguments import COMMANDS, parse
from provider_client.errors import AuthError, ExitCode, LockedError


def end_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(words: list[str]) -> ExitCode:
        raise error

    monkeypatch.setattr(cli, "_run", run)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(command in listed for command in COMMANDS)


@pytest.mark.parametrize("words", [["--version"], *([command, "--help"] for command in COMMANDS)])
def test_questions_about_the_command_end_well(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out


WRONG = [
    [],
    ["nonsense"],
    ["history", "--nonsense"],
    ["local", "sideways"],
    ["verify", "--assets", "-3"],
    ["cost", "--images-per-day", "many"],
    ["rollback", "--now", "--deadline", "nan"],  # would be waited for without an end
    ["verify", "--max-spend", "nan"],  # would cap nothing
    ["rollback", "--no"],  # --now is never taken from a shortened word
]


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_line_ends_in_2_and_names_the_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitCode.CONFIG
    shown = capsys.readouterr()
    assert shown.err.startswith("usage:")
    assert shown.err.endswith("--help\n")
    assert shown.out == ""


def test_an_unknown_flag_leads_to_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["history", "--nonsense"])
    assert capsys.readouterr().err.endswith("fix: see switchback history --help\n")


@pytest.mark.parametrize("words", WRONG)
def test_json_mode_answers_a_wrong_command_line_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--json"]) == ExitCode.CONFIG
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "ConfigError"


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
    arguments = parse(place("--json"))
    assert arguments.json is True
    assert arguments.limit == 20
