"""`switchback unlock`: a killed engine leaves a lock that never expires; remove it once its holder is surely dead."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Sequence
from dataclasses import asdict

from provider_client.cli import project
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode, LockedError
from provider_client.rollout.lock import Holder, StackLock, holder_of, locks_folder, program_of, read_locks


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    stack = context.stack
    backend = project.backend_url(context.project_dir, context.environment)
    folder = locks_folder(backend or "", project.name(context.project_dir), stack.rsplit("/", 1)[-1])
    if folder is None:
        if not arguments.holder_is_dead:
            raise ConfigError(
                f"The locks of {_kind(backend)} cannot be read from here.",
                fix="`pulumi up` names the holder; once it is surely dead: switchback unlock --holder-is-dead",
            )
        locks: list[StackLock] = []
    else:
        locks = read_locks(folder)
        if not locks:
            return _say(context, stack, locks, unlocked=False)
        _refuse_living(locks, trusted=arguments.holder_is_dead)
    for lock in locks:
        context.progress(f"held by {lock}: that process is gone")
    context.confirm(f"Remove the lock of stack {stack}?")
    context.pulumi.ask("cancel", "--yes", "--stack", stack)
    return _say(context, stack, locks, unlocked=True)


def _refuse_living(locks: Sequence[StackLock], *, trusted: bool) -> None:
    hostname = socket.gethostname()
    for lock in locks:
        holder = holder_of(lock, hostname=hostname, program_of=program_of)
        if holder is Holder.ALIVE:
            raise LockedError(
                f"The stack is in use: {lock}. Its process is alive.",
                fix=f"let it end; or end it yourself (kill {lock.pid}) and run this again",
            )
        if holder is Holder.ELSEWHERE and not trusted:
            raise LockedError(
                f"The stack is held from another machine: {lock}. Whether it lives cannot be seen from here.",
                fix=f"look on {lock.host}; once it is surely dead: switchback unlock --holder-is-dead",
            )


def _say(context: Context, stack: str, locks: Sequence[StackLock], *, unlocked: bool) -> ExitCode:
    if context.json:
        document = {"schema": 1, "stack": stack, "unlocked": unlocked, "locks": [asdict(lock) for lock in locks]}
        print(json.dumps(document, indent=2))
    elif unlocked:
        context.say(f"Stack {stack} is unlocked. The next `pulumi up` goes on where the killed one stopped.")
    else:
        context.say(f"Stack {stack} is not locked.")
    return ExitCode.OK


def _kind(backend: str | None) -> str:
    return (
        f"a {backend.partition(':')[0]} backend"
        if backend
        else "an unknown backend (PULUMI_BACKEND_URL is not set)"
    )
