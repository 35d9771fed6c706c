"""What the README says is true: its commands exist, its keys are the model's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from provider_client.config.documentation import key_table
from provider_client.config.keys import credential_variables
from provider_client.config.loading import KEYS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_the_table_of_keys_is_the_model() -> None:
    """`python -m provider_client.config.documentation` prints what stands in the README."""
    written = re.search(r"<!-- keys:.*?-->\n(.*?)\n<!-- /keys -->", README, re.DOTALL)
    assert written is not None
    assert written.group(1) == key_table()


def test_every_make_target_exists() -> None:
    """`make x` in the README is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command[1] for command in COMMANDS if command[:1] == ["make"]} <= targets


@pytest.mark.parametrize("command", sorted({c[1] for c in COMMANDS if c[:1] == ["switchback"]}))
def test_every_command_of_the_readme_exists(command: str) -> None:
    """`switchback x --help` answers."""
    answer = subprocess.run(
        [sys.executable, "-m", "provider_client", command, "--help"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_every_flag_of_the_readme_exists() -> None:
    """The flags that the README shows are those that --help lists."""
    for command in COMMANDS:
        if command[:1] != ["switchback"]:
            continue
        answer = subprocess.run(
            [sys.executable, "-m", "provider_client", command[1], "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        missing = [word for word in command[2:] if word.startswith("--") and word not in answer.stdout]
        assert missing == [], command


def test_every_key_that_is_set_exists() -> None:
    """`pulumi config set x` in the README names keys of the model."""
    set_keys = {
        re.split(r"[.\[]", next(word for word in command[3:] if not word.startswith("-")))[0]
        for command in COMMANDS
        if command[:3] == ["pulumi", "config", "set"]
    }
    assert set_keys - {"cloudflare:apiToken"} <= set(KEYS) | set(credential_variables())
