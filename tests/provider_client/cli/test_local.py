"""`switchback local` with a stand-in for the emulator's command line (the real one is tried end to end)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider_client import local_emulator
from provider_client.cli import local
from provider_client.cli.arguments import parse
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode, SwitchbackError

SERVE = """
import json, signal, sys, time
port = sys.argv[sys.argv.index("--port") + 1]
if port == "1":
    sys.exit("address already in use")
environment = {"CLOUDFLARE_API_TOKEN": "dummy with spaces", "SWITCHBACK_EMULATOR_URL": f"http://127.0.0.1:{port}"}
ready = {"ready": True, "base_url": f"http://127.0.0.1:{port}", "environment": environment}
print("starting", flush=True)
print(json.dumps(ready), flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    (tmp_path / "emulator.py").write_text(SERVE)  # `python -m emulator` looks in the working directory first
    environment = {"HOME": str(tmp_path / "home")}
    with Context(flags={}, environment=environment, project_dir=tmp_path) as context:
        yield context
        running = local_emulator.find(local_emulator.state_dir(environment))
        if running is not None:
            local_emulator.stop(running)


def do(context: Context, *words: str) -> ExitCode:
    return local.run(parse(["local", *words]), context)


def test_up_status_env_down_and_up_again_is_the_same_process(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    context.json = True
    do(context, "up", "--port", "18790")
    first = json.loads(capsys.readouterr().out)
    assert (first["running"], first["base_url"]) == (True, "http://127.0.0.1:18790")
    do(context, "up")
    do(context, "status")
    again, status = (json.loads(f"{{{part}") for part in capsys.readouterr().out.split("{")[1:])
    assert again == status == first
    context.json = False
    do(context, "env")
    assert "export CLOUDFLARE_API_TOKEN='dummy with spaces'" in capsys.readouterr().out
    assert do(context, "down") is ExitCode.OK
    assert do(context, "down") is ExitCode.OK
    assert capsys.readouterr().out == "the emulator: stopped\nthe emulator: it was not running\n"


def test_env_without_the_emulator_says_how_to_start_it(context: Context) -> None:
    with pytest.raises(ConfigError) as caught:
        do(context, "env")
    assert caught.value.fix == "switchback local up"


def test_an_emulator_that_ends_at_once_shows_its_last_words(context: Context) -> None:
    with pytest.raises(SwitchbackError, match="address already in use"):
        do(context, "up", "--port", "1")


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(context: Context) -> None:
    do(context, "up", "--port", "18791")
    folder = local_emulator.state_dir(context.environment)
    running = local_emulator.find(folder)
    assert running is not None
    file = folder / "process.json"
    recorded = file.read_text()
    file.write_text(json.dumps({**json.loads(recorded), "born": "another time"}))
    assert local_emulator.find(folder) is None
    assert do(context, "down") is ExitCode.OK
    file.write_text(recorded)
    assert local_emulator.find(folder) is not None
