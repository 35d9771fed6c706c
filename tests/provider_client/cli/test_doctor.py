"""`switchback doctor` as a process: a `pulumi` that tells a stack's configuration and state, vendors emulated."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.supervisor import Emulator, running
from provider_client.http import open_client

SECRETS = (
    "dummy-gateway-token-hidden",
    "dummy-signing-key-hidden",
    "dummy-scenario-secret-hidden",
    "dummy-runpod-hidden",
)
PULUMI = """#!/bin/sh
case "$1" in
  version) echo v3.259.0 ;;
  config) cat config.json ;;
  stack) cat state.json ;;
esac
"""


@dataclass
class Doctor:
    """A stack `test`; `change` sets keys of its configuration, None removes one."""

    emulator: Emulator
    http: httpx.Client
    folder: Path
    values: dict[str, Any]

    def change(self, **values: Any) -> None:
        self.values = {key: value for key, value in {**self.values, **values}.items() if value is not None}

    def command(self, *words: str) -> list[str]:
        entries = {
            f"image-generation:{key}": {
                "value": value if isinstance(value, str) else json.dumps(value),
                "secret": key.endswith(("ApiKey", "Tokens", "Keys")),
            }
            for key, value in self.values.items()
        }
        (self.folder / "config.json").write_text(json.dumps(entries))
        return [sys.executable, "-m", "provider_client", "doctor", "--stack", "test", *words]

    def environment(self, **more: str) -> dict[str, str]:
        emulated = {**self.emulator.environment(), "PULUMI_HOME": str(self.folder / "home")}
        path = f"{self.folder}:{emulated.get('PATH', os.environ['PATH'])}"
        return {**emulated, "PATH": path, "HOME": str(self.folder), **more}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]
        return done

    def run_on_a_terminal(self) -> str:
        """All that a terminal of 80 columns shows."""
        reader, writer = pty.openpty()
        os.set_blocking(reader, True)
        with subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment(COLUMNS="80", TERM="xterm", NO_COLOR="1"),
            stdin=writer,
            stdout=writer,
            stderr=writer,
        ):
            os.close(writer)
            shown = b""
            try:
                while chunk := os.read(reader, 65536):
                    shown += chunk
            except OSError:  # Linux: the other end is closed
                pass
        os.close(reader)
        return shown.decode()

    def count(self, what: str) -> int:
        return len(self.http.get(f"{self.emulator.base_url}/_emulator/requests{what}").json()["requests"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(speed=1000, state_dir=tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def doctor(cloud: Emulator, tmp_path: Path) -> Iterator[Doctor]:
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    (tmp_path / "state.json").write_text('{"deployment": {}}')
    (tmp_path / "pulumi").write_text(PULUMI)
    (tmp_path / "pulumi").chmod(0o755)
    (tmp_path / "pulumi-language-python").write_text("")
    (tmp_path / "pulumi-language-python").chmod(0o755)
    values = {
        "accountId": cloud.environment()["CLOUDFLARE_ACCOUNT_ID"],
        "runpod": {"image": "registry.test/team/worker:1", "gpuTypes": ["NVIDIA L40"]},
        "scenario": {"costPerImageUsd": 0.05},
        "gatewayTokens": [SECRETS[0]],
        "jobSigningKeys": [SECRETS[1]],
        "scenarioApiKey": "dummy-scenario-key",
        "scenarioSecretApiKey": SECRETS[2],
        "runpodApiKey": SECRETS[3],
        "baseUrls": {"scenario": f"{cloud.base_url}/scenario/v1"},
    }
    with open_client() as http:
        http.post(f"{cloud.base_url}/_emulator/reset").raise_for_status()
        yield Doctor(cloud, http, tmp_path, values)


def test_a_ready_stack_ends_with_0_and_costs_nothing(doctor: Doctor) -> None:
    """One object on stdout; every vendor was asked, none was changed."""
    done = doctor.run("--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["exit_code"], answer["ready"]) == (0, 0, True), done.stdout
    assert {"tools", "config", "cloudflare", "worker", "bucket", "runpod", "gpu", "scenario jobs"} <= {
        finding["check"] for finding in answer["findings"]
    }
    assert doctor.count("") > 5
    assert doctor.count("?mutating=1") == 0


@pytest.mark.parametrize(("service", "kind", "code"), [("scenario", "unauthorized", 3), ("cloudflare", "down", 4)])
def test_what_stands_against_an_up_decides_the_exit_code(
    doctor: Doctor, service: str, kind: str, code: int
) -> None:
    """Credentials 3, the rest 4; the last line says it in words."""
    doctor.emulator.world.faults.arm(service, kind, times=None)
    done = doctor.run()
    assert done.returncode == code, done.stdout
    assert "not ready for `pulumi up`" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("words", "told"), [(["--json"], True), (["--quiet"], False)])
def test_progress_goes_to_stderr_when_it_takes_long(doctor: Doctor, words: list[str], told: bool) -> None:
    """And not at all with --quiet; a vendor that never answers is a problem, not a wait."""
    doctor.emulator.world.faults.arm("runpod", "hang", times=None)
    done = doctor.run(*words)
    assert done.returncode == 4
    assert ("still checking after" in done.stderr) is told


def test_a_wrong_configuration_comes_first(doctor: Doctor) -> None:
    """Exit code 2, although a credential is refused as well; each problem is listed with its command."""
    doctor.change(imageGenerationProvidr="runpod", accountId=None)
    doctor.emulator.world.faults.arm("scenario", "unauthorized", times=None)
    done = doctor.run()
    assert done.returncode == 2
    assert "pulumi config rm imageGenerationProvidr" in done.stdout
    assert "pulumi config set accountId" in done.stdout


def test_commands_of_the_team_run_last(doctor: Doctor) -> None:
    """The end of the output of the one that fails; its secrets are taken out."""
    doctor.change(preSwitchCommands=["true", f"echo {SECRETS[0]}; echo the end; exit 1"])
    done = doctor.run()
    assert done.returncode == 4
    assert "`true` succeeded" in done.stdout
    assert "| the end" in done.stdout


def test_a_stack_that_pulumi_does_not_give_is_said_and_the_rest_is_checked(doctor: Doctor) -> None:
    """Credentials of the environment are still tried."""
    (doctor.folder / "pulumi").write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo v3.259.0 && exit\necho "no stack named \'test\' found" >&2; exit 1\n'
    )
    done = doctor.run()
    assert done.returncode == 2
    assert "fix: pulumi stack init test" in done.stdout
    assert "the API token is active" in done.stdout


def test_a_terminal_of_80_columns_shows_no_broken_line(doctor: Doctor) -> None:
    """Sentences are folded under their column; only a command to be copied may run on."""
    shown = doctor.run_on_a_terminal()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    lines = [line.rstrip() for line in plain.splitlines() if "fix:" not in line]
    assert "nothing stands against" in lines[-1]
    assert max(map(len, lines)) <= 80
