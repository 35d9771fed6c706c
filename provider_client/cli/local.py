"""`switchback local`: the emulated cloud as a background process on this machine."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Mapping

from provider_client import local_emulator
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode
from provider_client.local_emulator import LocalEmulator


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    return _ACTIONS[arguments.action](arguments, context)


def _up(arguments: argparse.Namespace, context: Context) -> ExitCode:
    folder = local_emulator.state_dir(context.environment)
    running = local_emulator.find(folder)
    if running is not None:
        context.progress("the emulator runs already")
        return _show(running, context)
    context.progress(f"starting the emulator on port {arguments.port} ...")
    started = local_emulator.start(
        folder,
        port=arguments.port,
        speed=arguments.speed,
        project_dir=context.project_dir,
        environment=context.environment,
    )
    return _show(started, context)


def _down(arguments: argparse.Namespace, context: Context) -> ExitCode:
    del arguments
    running = _find(context)
    if running is not None:
        local_emulator.stop(running)
    said = "stopped" if running else "it was not running"
    return _answer(context, {"running": False, "stopped": running is not None}, f"the emulator: {said}")


def _status(arguments: argparse.Namespace, context: Context) -> ExitCode:
    del arguments
    running = _find(context)
    if running is None:
        return _answer(context, {"running": False}, "the emulator is not running; `switchback local up` starts it")
    return _show(running, context)


def _env(arguments: argparse.Namespace, context: Context) -> ExitCode:
    del arguments
    running = _find(context)
    if running is None:
        raise ConfigError("The emulator is not running.", fix="switchback local up")
    if context.json:
        print(json.dumps(running.environment, indent=2, sort_keys=True))
    else:
        print(
            "\n".join(f"export {key}={shlex.quote(value)}" for key, value in sorted(running.environment.items()))
        )
    return ExitCode.OK


def _show(running: LocalEmulator, context: Context) -> ExitCode:
    document = {
        "running": True,
        "pid": running.pid,
        "base_url": running.base_url,
        "cloudflare_plugin": running.cloudflare_plugin,
        "log": str(running.log),
    }
    lines = [
        f"the emulator runs at {running.base_url} (process {running.pid}, log {running.log})",
        f"Cloudflare plugin: {running.cloudflare_plugin}",
        'for this shell and others: eval "$(switchback local env)"',
    ]
    return _answer(context, document, "\n".join(lines))


def _find(context: Context) -> LocalEmulator | None:
    return local_emulator.find(local_emulator.state_dir(context.environment))


def _answer(context: Context, document: Mapping[str, object], text: str) -> ExitCode:
    print(json.dumps({"schema": 1, **document}, indent=2) if context.json else text)
    return ExitCode.OK


_ACTIONS: Mapping[str, Callable[[argparse.Namespace, Context], ExitCode]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "env": _env,
}
