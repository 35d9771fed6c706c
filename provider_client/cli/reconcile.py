"""`switchback reconcile`: bring the stack's config in line with what is live, then let Pulumi see it."""

from __future__ import annotations

import argparse
import json
import subprocess

from provider_client.cli import project
from provider_client.cli.context import Context
from provider_client.errors import ConfigError, ExitCode, SwitchbackError
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.reconcile import ReconcilePlan, git_note, plan_reconcile
from provider_client.rollout.status import declared_from, live_state

GIT_SECONDS = 10.0
STDERR = 2  # stdout is for our own answer


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    stack = context.stack
    settings = context.settings()
    declared = declared_from(context.stack_config(stack))
    file = project.stack_file(context.project_dir, stack)
    if declared is None:
        raise ConfigError(
            f"{file.name} holds no configuration.", fix="run it in the project's folder, or name --stack"
        )
    live = live_state(WorkerHistory(context.cloudflare(settings), settings.worker_name))
    plan = plan_reconcile(declared, live, stack)
    for command in plan.commands():
        context.progress(command)
    if not arguments.dry_run:
        context.confirm(f"Run these for stack {stack}? Traffic stays with {plan.provider}, nothing is generated.")
        _apply(plan, context)
    note = git_note(_changed_files(context), str(file.relative_to(context.project_dir)), plan.provider)
    if context.json:
        answer = {
            "schema": 1,
            "provider": plan.provider,
            "commands": plan.commands(),
            "done": not arguments.dry_run,
        }
        print(json.dumps({**answer, "git": note}, indent=2))
    else:
        done = "would say" if arguments.dry_run else "says"
        context.say(f"The stack's config {done} {plan.provider}, which is what is live.\n{note}")
    return ExitCode.OK


def _apply(plan: ReconcilePlan, context: Context) -> None:
    for words in plan.config:
        context.pulumi.ask(*words)
    code = context.pulumi.run([*plan.up, "--non-interactive"], stdout=STDERR)
    if code == ExitCode.OK:
        return
    error = SwitchbackError(
        f"`pulumi {' '.join(plan.up)}` ended with exit code {code}; the config is set, and traffic is where it was.",
        fix="mend what it says and run `pulumi up`; `switchback unlock` if the stack is locked",
    )
    error.exit_code = ExitCode(code) if code in tuple(ExitCode) else ExitCode.GENERIC
    raise error


def _changed_files(context: Context) -> list[str] | None:
    """Files that differ from the last commit, relative to the project; None where there is no Git."""
    command = ["git", "status", "--porcelain", "--", "."]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=context.project_dir, capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    prefix = _git_prefix(context)
    return [line[3:].strip('"').removeprefix(prefix) for line in done.stdout.splitlines()]


def _git_prefix(context: Context) -> str:
    """The project's folder within the repository: `git status` names files from the repository's root."""
    done = subprocess.run(
        ["git", "rev-parse", "--show-prefix"],  # noqa: S607
        cwd=context.project_dir,
        capture_output=True,
        text=True,
        timeout=GIT_SECONDS,
        check=False,
    )
    return done.stdout.strip()
