"""`switchback history`: who moved the traffic, when, and why."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from provider_client.cli.context import Context
from provider_client.errors import ExitCode
from provider_client.rollout.history import WorkerHistory, entries

WIDE = 120  # columns that the table needs


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    settings = context.settings()
    history = WorkerHistory(context.cloudflare(settings), settings.worker_name)
    with context.waiting("Cloudflare"):
        shown = history.deployments[: max(0, arguments.limit)]
        needed = {share.version_id for deployment in shown for share in deployment.versions}
        providers = {one: history.provider_of(one) or "" for one in sorted(needed)}
    lines = entries(shown, providers)
    if context.json:
        print(
            json.dumps(
                {"schema": 1, "worker": history.worker, "deployments": [asdict(one) for one in lines]}, indent=2
            )
        )
        return ExitCode.OK
    if not history.deployments:
        context.say(f"{history.worker} was never deployed.")
        return ExitCode.OK
    rows = [(one.at[:19] + "Z", one.kind, one.traffic, one.actor, one.reason, one.deployment_id) for one in lines]
    if context.console.width >= WIDE:
        context.say_table(("when", "what", "traffic", "who", "why", "deployment"), rows)
        return ExitCode.OK
    for row in rows:  # a deployment's id is there to be copied: it gets a line of its own, never cut
        *what, reason, deployment = row
        context.say("  ".join(word for word in what if word))
        context.say(f"  {deployment}" + (f"  {reason}" if reason else ""))
    return ExitCode.OK
