"""`python -m emulator run -- <command>` and `python -m emulator serve`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

from emulator.supervisor import Emulator, running


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: that of the command, or 0."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="emulator: %(message)s")
    return _run(arguments) if arguments.mode == "run" else _serve(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    run = modes.add_parser("run", help="run a command against a fresh emulator, then take it down")
    serve = modes.add_parser("serve", help="serve until SIGTERM; one JSON line on stdout says when ready")
    for mode in (run, serve):
        mode.add_argument("--port", type=int, default=0, help="default: a free one")
        mode.add_argument("--speed", type=float, default=1.0, help="simulated seconds per wall second")
        mode.add_argument("--state-dir", type=Path, help="keeps Pulumi's state; default: a temporary folder")
        mode.add_argument("--allow-internet", action="store_true", help="Workers may call the real vendors")
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- command and arguments")
    return parser


def _emulator(arguments: argparse.Namespace) -> AbstractContextManager[Emulator]:
    return running(
        port=arguments.port,
        speed=arguments.speed,
        state_dir=arguments.state_dir,
        allow_internet=arguments.allow_internet,
    )


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        sys.stderr.write("emulator: name a command: python -m emulator run -- <command>\n")
        return 2
    with _emulator(arguments) as emulator:
        sys.stderr.write(
            f"emulator: {emulator.base_url}, Cloudflare resource plugin: {emulator.cloudflare_plugin}\n"
        )
        try:
            process = subprocess.Popen(command, env=command_environment(emulator))
        except OSError as error:
            sys.stderr.write(f"emulator: {command[0]}: {error.strerror}\n")
            return 127

        def forward(number: int, _frame: FrameType | None) -> None:
            process.send_signal(number)

        signal.signal(signal.SIGTERM, forward)
        # a terminal sends Ctrl-C to the command as well: wait for it to end
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        code = process.wait()
    return 128 - code if code < 0 else code


def command_environment(emulator: Emulator) -> dict[str, str]:
    """Ours over the caller's; what is installed beside this Python (Pulumi, its plugins) is found last on PATH."""
    environment = {**os.environ, **emulator.environment()}
    environment["PATH"] = os.pathsep.join([environment.get("PATH", ""), str(Path(sys.executable).parent)])
    return environment


def _serve(arguments: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with _emulator(arguments) as emulator:
        ready = {
            "ready": True,
            "base_url": emulator.base_url,
            "environment": emulator.environment(),
            "cloudflare_plugin": str(emulator.cloudflare_plugin),
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
