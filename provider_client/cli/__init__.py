"""The `switchback` command: which commands exist, what they share, how they end.

Each command is a module with `add_arguments(parser)` and `run(arguments, context) -> ExitCode`; it is imported
when it is asked for, so that the command line starts at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from provider_client import __version__
from provider_client.errors import Cancelled, ExitCode, SwitchbackError

if TYPE_CHECKING:
    from provider_client.cli.context import Context

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": (
        "provider_client.cli.status",
        "what is declared, deployed, reported and observed, and what comes next",
    ),
    "verify": ("provider_client.cli.verify", "prove with real images that a provider works"),
    "generate": ("provider_client.cli.generate", "make one asset with a provider"),
    "rollback": ("provider_client.cli.rollback", "bring the previous provider back at once"),
    "reconcile": ("provider_client.cli.reconcile", "bring the stack's config in line with what is live"),
    "history": ("provider_client.cli.history", "who moved the traffic, when, and why"),
    "doctor": ("provider_client.cli.doctor", "what would go wrong at `pulumi up`, and the command that mends it"),
    "cost": ("provider_client.cli.cost", "what the live and the wanted provider cost, idle and working"),
    "unlock": ("provider_client.cli.unlock", "remove the lock that a killed engine left"),
    "local": ("provider_client.cli.local", "the emulated cloud on this machine: up, down, status, env"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the process's exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get("SWITCHBACK_DEBUG") == "1"
    try:
        return int(_run(words))
    except SystemExit as stop:  # argparse: --help, --version, a wrong flag
        return stop.code if isinstance(stop.code, int) else ExitCode.OK
    except BrokenPipeError:  # `switchback history | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        known = _in_our_words(error)
        print_error(known, as_json="--json" in words)
        return known.exit_code


def _in_our_words(error: BaseException) -> SwitchbackError:
    """The message of an unforeseen error may quote anything, a secret too: only its kind is shown."""
    match error:
        case SwitchbackError():
            return error
        case KeyboardInterrupt():
            return Cancelled("stopped")
        case OSError() if error.filename:
            return SwitchbackError(
                f"{error.filename}: {error.strerror}", fix="check the path, and who may write there"
            )
    fix = "run it again with SWITCHBACK_DEBUG=1 and report what it says"
    return SwitchbackError(f"unexpected {type(error).__name__}", fix=fix)


def print_error(error: SwitchbackError, *, as_json: bool) -> None:
    """Message and next step on stderr; with --json also one object on stdout."""
    print(str(error) if isinstance(error, Cancelled) else f"error: {error}", file=sys.stderr)
    if as_json:
        import json

        answer = {"schema": 1, "error": {"kind": type(error).__name__, "message": error.message, "fix": error.fix}}
        print(json.dumps({**answer, "exit_code": int(error.exit_code)}, indent=2))


def _run(words: list[str]) -> ExitCode:
    arguments = _parse(words)
    module = import_module(COMMANDS[arguments.command][0])
    context = _context(arguments)
    with context:
        return ExitCode(module.run(arguments, context))


def _parse(words: list[str]) -> argparse.Namespace:
    shared = _shared_flags()
    parser = argparse.ArgumentParser(
        prog="switchback",
        description="Switch the image-generation provider behind a Cloudflare Worker, and come back at once.",
        epilog="`switchback COMMAND --help` explains one command. Exit codes: 0 ok, 2 config, 3 auth, 4 resource, "
        "8 cancelled, 9 time-out, 10 verification failed, 11 inconclusive, 12 rolled back, 13 rollback failed, "
        "14 locked.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"switchback {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, help_line) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=help_line, parents=[shared])
        if name in words:
            import_module(module).add_arguments(command)
    return parser.parse_args(words)


def _shared_flags() -> argparse.ArgumentParser:
    """Allowed before and after the command's name; SUPPRESS keeps the second parse from undoing the first."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument(
        "--stack", help="the Pulumi stack (default: SWITCHBACK_STACK, PULUMI_STACK, the selected one)"
    )
    shared.add_argument("--json", action="store_true", help="one JSON object on stdout; never asks")
    shared.add_argument("--yes", "-y", action="store_true", help="do not ask")
    shared.add_argument("--quiet", "-q", action="store_true", help="no progress, only the result")
    shared.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR works as well)")
    return shared


def _context(arguments: argparse.Namespace) -> Context:
    from provider_client.cli.context import Context

    return Context.from_arguments(arguments, os.environ)
