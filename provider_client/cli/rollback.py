"""`switchback rollback`: bring the previous provider back, with one call and with proof."""

from __future__ import annotations

import argparse
import json
import sys

from provider_client.cli.context import Context
from provider_client.cli.settings import Settings
from provider_client.clock import SystemClock
from provider_client.errors import ConfigError, ExitCode
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.idle_cost import idle_cost
from provider_client.rollout.messages import current_actor
from provider_client.rollout.rollback import RollbackPlan, RollbackResult, plan_rollback, refuse_closed, roll_back
from provider_client.rollout.status import ask_target
from provider_client.rollout.traffic import Split, confirm_through_health, describe
from provider_client.rollout.way_back import TargetCheck, WayBack, gateway_url_of

API_SECONDS = 10.0  # of each call: an emergency does not wait half a minute for one answer


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    clock = SystemClock()
    settings = context.settings(use_pulumi=False)
    api = context.cloudflare(settings, deadline_seconds=API_SECONDS)
    token = settings.find("gateway_token") or ""
    started = clock.now()
    history = WorkerHistory(api, settings.worker_name)
    with context.waiting("Cloudflare"):
        plan = plan_rollback(history.deployments, history.deployable, arguments.to, history.provider_of)
        gateway_url = _gateway_url(settings, history, plan)
    found = clock.now()
    check = _check(plan, history, gateway_url, token, context, skip=arguments.skip_target_check)
    spent = {"find": found - started, "check": clock.now() - found}
    if not _agreed(plan, check, context, now=arguments.now):
        return ExitCode.OK

    def confirm(shares: Split) -> None:
        confirm_through_health(
            gateway_url,
            history.worker,
            shares,
            http=context.http,
            token=token,
            clock=clock,
            deadline_seconds=arguments.deadline,
            progress=context.progress,
        )

    result = roll_back(
        api=api,
        worker=history.worker,
        plan=plan,
        check=check,
        actor=current_actor(context.environment),
        reason=arguments.reason,
        confirm=confirm,
        progress=context.progress,
        clock=clock,
        spent=spent,
    )
    _say_result(context, result)
    return ExitCode.OK


def _gateway_url(settings: Settings, history: WorkerHistory, plan: RollbackPlan) -> str:
    """What is set, else what the target's own preview address says; a missing one is an error with every place."""
    known = settings.find("gateway_url") or gateway_url_of(history.version(plan.target.version_id))
    return known.rstrip("/") if known else settings.gateway_url


def _check(
    plan: RollbackPlan, history: WorkerHistory, gateway_url: str, token: str, context: Context, *, skip: bool
) -> TargetCheck:
    if plan.already:
        return TargetCheck(WayBack.OPEN, "it serves all traffic already")
    if skip:
        return TargetCheck(WayBack.UNKNOWN, "not checked (--skip-target-check)")
    return ask_target(plan, history, gateway_url, token, context.http)


def _agreed(plan: RollbackPlan, check: TargetCheck, context: Context, *, now: bool) -> bool:
    """Show the plan, and ask unless --now or --yes. With --json alone the plan is the answer and nothing is done."""
    if now or context.yes or plan.already:
        for line in _plan_lines(plan, check):
            context.progress(line)
        return True
    if context.json:
        print(json.dumps({**_plan_json(plan, check), "moved": False, "done": False}, indent=2))
        return False
    print("\n".join(_plan_lines(plan, check)), file=sys.stderr)
    if check.state is WayBack.CLOSED:
        refuse_closed(plan, check)
    context.confirm(f"Move all traffic to {plan.target.provider} now?")
    return True


def _plan_lines(plan: RollbackPlan, check: TargetCheck) -> list[str]:
    if plan.already:
        return [f"{plan.target.provider} serves all traffic already; the gateway is asked to confirm it"]
    return [
        f"live      {describe(plan.live)}",
        f"target    {plan.target.provider} 100 %, version {plan.target.version_id}",
        f"way back  {check.state}: {check.detail}",
        *(f"warning   {warning}" for warning in plan.warnings),
    ]


def way_forward(provider: str, deployment_id: str) -> list[str]:
    """The commands that lead to the provider again, once it is mended."""
    return [
        f"pulumi config set imageGenerationProvider {provider}",
        f"pulumi config set acknowledgeRollback {deployment_id}",
        "pulumi up",
    ]


def _say_result(context: Context, result: RollbackResult) -> None:
    plan, cost = result.plan, _cost(context, result)
    forward = way_forward(plan.leaving, result.deployment_id) if result.moved else []
    if context.json:
        answer = {
            **_plan_json(plan, result.check),
            "moved": result.moved,
            "done": True,
            "deployment_id": result.deployment_id,
            "seconds": {step: round(seconds, 3) for step, seconds in result.seconds.items()},
            "total_seconds": round(result.total_seconds, 3),
            "idle_cost": cost,
            "way_forward": forward,
        }
        print(json.dumps(answer, indent=2))
        return
    say = context.say
    verb = "serves again" if result.moved else "serves all traffic already"
    say(f"{plan.target.provider} {verb}, confirmed by the gateway, {result.total_seconds:.2f} s in all:")
    say("  " + " · ".join(f"{step} {seconds:.2f} s" for step, seconds in result.seconds.items()))
    if cost:
        say(cost)
    if forward:
        say("Next: `switchback reconcile` brings the stack's config in line with this.")
        say(f"To {plan.leaving} again, once it is mended: {' && '.join(forward)}")


def _plan_json(plan: RollbackPlan, check: TargetCheck) -> dict[str, object]:
    return {
        "schema": 1,
        "from": plan.leaving,
        "to": plan.target.provider,
        "version_id": plan.target.version_id,
        "already": plan.already,
        "way_back": {"state": str(check.state), "detail": check.detail},
        "warnings": list(plan.warnings),
    }


def _cost(context: Context, result: RollbackResult) -> str:
    if not result.moved:
        return ""
    try:
        return idle_cost(result.plan.leaving, context.stack_config(context.find_stack(ask_pulumi=False)))
    except ConfigError:  # the traffic is back: an unreadable stack file is no news now
        return ""
