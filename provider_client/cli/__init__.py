"""The `switchback` command: how it starts and how it ends.

What each command accepts is in `arguments`; what it does is `run(arguments, context) -> ExitCode` in the module of
its name, imported when the command line is known to be right, so that every mistake is answered at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from provider_client.errors import Cancelled, ExitCode, SwitchbackError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the process's exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get("SWITCHBACK_DEBUG") == "1"
    try:
        return int(_run(words))
    except SystemExit as stop:  # argparse: --help, --version
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
    from provider_client.cli.arguments import parse  # here, so that Ctrl-C while it loads ends as it should

    arguments = parse(words)
    module = import_module(f"provider_client.cli.{arguments.command}")
    from provider_client.cli.context import Context

    with Context.from_arguments(arguments, os.environ) as context:
        return ExitCode(module.run(arguments, context))
