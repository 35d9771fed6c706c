"""What every command accepts. Nothing heavy is imported here: --help and a wrong flag are answered at once."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from provider_client import __version__, deadlines, local_emulator
from provider_client.errors import ConfigError
from provider_client.operation import Operation


class Parser(argparse.ArgumentParser):
    """Raises ConfigError for a wrong command line, after the usage on stderr. No flag may be shortened."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise ConfigError(message, fix=f"see {self.prog} --help")


@dataclass(frozen=True)
class Command:
    """`help` is its line in the list; `add_arguments` declares what it accepts beside the shared flags."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises ConfigError where it is wrong, SystemExit after --help and --version."""
    shared = _shared_flags()
    parser = Parser(
        prog="switchback",
        description="Switch the image-generation provider behind a Cloudflare Worker, and come back at once.",
        epilog="`switchback COMMAND --help` explains one command. Exit codes: 0 ok, 2 config, 3 auth, 4 resource, "
        "8 cancelled, 9 time-out, 10 verification failed, 11 inconclusive, 12 rolled back, 13 rollback failed, "
        "14 locked.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"switchback {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help, description=command.help, parents=[shared])
        command.add_arguments(one)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:  # argparse itself would print the usage of the whole program
        commands.choices[arguments.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return arguments


def _shared_flags() -> Parser:
    """Allowed before and after the command's name; SUPPRESS keeps the second parse from undoing the first."""
    shared = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument(
        "--stack", help="the Pulumi stack (default: SWITCHBACK_STACK, PULUMI_STACK, the selected one)"
    )
    shared.add_argument("--json", action="store_true", help="one JSON object on stdout; never asks")
    shared.add_argument("--yes", "-y", action="store_true", help="do not ask")
    shared.add_argument("--quiet", "-q", action="store_true", help="no progress, only the result")
    shared.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR works as well)")
    return shared


def _status(parser: argparse.ArgumentParser) -> None:
    _add_target(parser)
    parser.add_argument(
        "--stack-secrets",
        action="store_true",
        help="ask RunPod with the key in the stack's configuration, decrypted by Pulumi",
    )


def _verify(parser: argparse.ArgumentParser) -> None:
    _add_target(parser)
    which = parser.add_argument_group("what is verified (default: what is live)")
    which.add_argument("--version", metavar="ID", help="this version, on its own preview address")
    which.add_argument(
        "--local",
        action="store_true",
        help="the same Worker on this machine, with the keys of the environment and .env",
    )
    which.add_argument("--provider", help="the provider that must answer (default: who is live)")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--assets", type=_whole_number, metavar="N", help="how many (default: verification.liveAssets, else 12)"
    )
    how.add_argument(
        "--operations", type=_operations, metavar="LIST", help=f"comma-separated: {','.join(Operation)}"
    )
    how.add_argument("--plan", type=Path, metavar="FILE", help="your own assets (YAML)")
    how.add_argument("--in-flight", type=_whole_number, metavar="N", help="how many at a time, up to 64")
    how.add_argument("--max-spend", type=_positive, metavar="USD", help="spend no more than this")
    how.add_argument(
        "--beside-live",
        action="store_true",
        help="ask what is live for the same assets, and show both side by side",
    )
    how.add_argument("--report", type=Path, metavar="DIR", help="where the report goes")
    how.add_argument("--dry-run", action="store_true", help="print the plan and what it costs; generate nothing")


def _generate(parser: argparse.ArgumentParser) -> None:
    operations = ", ".join(Operation)
    parser.add_argument("prompt", nargs="?", help='what to draw, for example "A knight"')
    parser.add_argument(
        "operation", nargs="?", metavar="OPERATION", help=f"one of {operations} (default: txt2img)"
    )
    parser.add_argument("--provider", help="who makes it (default: IMAGE_GENERATION_PROVIDER)")
    parser.add_argument(
        "--via-gateway", action="store_true", help="ask the deployed Worker, not the provider itself"
    )
    parser.add_argument("--url", help="address of the gateway, with --via-gateway")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where pictures go (default: .switchback/assets)")
    parser.add_argument("--size", type=_size, metavar="WxH", help="pixels, for example 512x512")
    parser.add_argument("--seed", type=int, help="same seed, same picture (default: a new one, printed)")
    parser.add_argument("--strength", type=float, help="img2img: 0 keeps the input, 1 ignores it")
    parser.add_argument("--negative-prompt", help="what not to draw")
    parser.add_argument("--image", type=Path, metavar="FILE", help="input of img2img and remove_background")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="YAML or JSON list of assets, made side by side")
    parser.add_argument(
        "--jobs", type=_whole_number, default=4, help="how many at a time with --plan (default: %(default)s)"
    )
    parser.add_argument(
        "--deadline",
        type=_positive,
        default=deadlines.GENERATION_SECONDS,
        metavar="SECONDS",
        help="per asset (%(default)g)",
    )


def _rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="PROVIDER", help="the provider to go back to (default: what served before)"
    )
    parser.add_argument("--reason", default="", help="why; kept in the deployment's message")
    parser.add_argument("--now", action="store_true", help="do it; without it the plan is shown and you are asked")
    parser.add_argument("--skip-target-check", action="store_true", help="go even if the target's health is bad")
    parser.add_argument(
        "--deadline",
        type=_positive,
        default=deadlines.CONFIRM_SECONDS,
        metavar="SECONDS",
        help="how long to wait for the proof (default: %(default)g)",
    )
    _add_target(parser)


def _reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show the commands and run none")
    _add_target(parser)


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", type=_whole_number, default=20, metavar="N", help="newest deployments shown (default: 20)"
    )
    _add_target(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Checks tools, configuration, credentials, names and limits before the first `pulumi up`. Costs nothing. "
        "Exit code 2: mend the configuration first; 3: a credential; 4: something else."
    )


def _cost(parser: argparse.ArgumentParser) -> None:
    usage = parser.add_argument_group("how much is asked for (what is not said is not guessed)")
    usage.add_argument("--images-per-day", type=_positive, metavar="N")
    usage.add_argument("--bursts-per-day", type=_positive, metavar="N", help="times a day that work comes in")
    usage.add_argument(
        "--seconds-per-image",
        type=_positive,
        metavar="S",
        help="GPU time of one image (default: the last verification's, else the plan's 20 to 40 s)",
    )
    parser.add_argument("--to", metavar="PROVIDER", help="the wanted provider (default: the declared one)")


def _unlock(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Removes the lock that a killed engine left, by `pulumi cancel`. With a file:// backend it first makes sure "
        "that the holder is dead. Other backends (s3://, Pulumi Cloud) do not show it their locks: there it does "
        "nothing without --holder-is-dead."
    )
    parser.add_argument(
        "--holder-is-dead",
        action="store_true",
        help="your word for it, where this machine cannot see the holder (another machine, another backend)",
    )


def _local(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("up", "down", "status", "env"),
        help="start, end, show, or print the exports for a shell",
    )
    parser.add_argument("--port", type=int, default=local_emulator.PORT, help="of `up` (default: %(default)s)")
    parser.add_argument(
        "--speed", type=_positive, default=20.0, help="of `up`: simulated seconds per second (default: 20)"
    )


def _add_target(parser: argparse.ArgumentParser) -> None:
    """Flags that say which Worker is meant, for a machine without the project."""
    target = parser.add_argument_group("which Worker (default: the stack's)")
    target.add_argument("--account-id", help="Cloudflare account id")
    target.add_argument("--worker", help="name of the Worker")
    target.add_argument("--url", help="address of the gateway")


def _whole_number(text: str) -> int:
    """An argument that counts something: 0 and up."""
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _operations(text: str) -> list[Operation]:
    try:
        return [Operation(word.strip()) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; choose from {', '.join(Operation)}") from None


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError("give width and height in pixels, for example 512x512")
    return int(match[1]), int(match[2])


COMMANDS: Mapping[str, Command] = {
    "status": Command("what is declared, deployed, reported and observed, and what comes next", _status),
    "verify": Command("prove with real images that a provider works", _verify),
    "generate": Command("make one asset with a provider", _generate),
    "rollback": Command("bring the previous provider back at once", _rollback),
    "reconcile": Command("bring the stack's config in line with what is live", _reconcile),
    "history": Command("who moved the traffic, when, and why", _history),
    "doctor": Command("what would go wrong at `pulumi up`, and the command that mends it", _doctor),
    "cost": Command("what the live and the wanted provider cost, idle and working", _cost),
    "unlock": Command("remove the lock that a killed engine left", _unlock),
    "local": Command("the emulated cloud on this machine: up, down, status, env", _local),
}
