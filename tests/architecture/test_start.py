"""The command line answers --help and a mistake at once: nothing but the standard library is loaded for them."""

from __future__ import annotations

import json
import subprocess
import sys

from provider_client.cli.arguments import COMMANDS

PROGRAM = """
import contextlib, io, json, sys
already = set(sys.modules)
from provider_client.cli import main
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(words)
new = {name.partition(".")[0] for name in set(sys.modules) - already}
print(json.dumps(sorted(new - sys.stdlib_module_names - {"provider_client"})))
"""


def test_help_and_a_wrong_flag_load_no_library() -> None:
    """httpx, pydantic, rich and Pillow are imported when the command line is known to be right."""
    words = [["--help"], ["--nonsense", "--json"]]
    words += [[command, flag] for command in COMMANDS for flag in ("--help", "--nonsense")]
    command = [sys.executable, "-c", PROGRAM, json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
