"""`switchback status`: what is declared, deployed, reported and observed, which disagree, and what comes next."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from provider_client.cli import status_endpoint
from provider_client.cli.context import Context
from provider_client.cli.settings import Settings
from provider_client.errors import ConfigError, ExitCode, NotFoundError, SwitchbackError
from provider_client.rollout import remembered
from provider_client.rollout.endpoint_truth import EndpointTruth
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.observed import observed_truth
from provider_client.rollout.phases import Declared, Observed, next_step, phase_of
from provider_client.rollout.status import (
    RouteBack,
    Truth,
    declared_from,
    declared_truth,
    deployed_truth,
    disagreements,
    live_state,
    reported_truth,
    route_back,
)
from provider_client.rollout.way_back import TargetCheck, WayBack


@dataclass(frozen=True)
class _Status:
    truths: list[Truth]
    disagreements: list[str]
    declared: Declared | None
    live: Observed
    way_back: RouteBack
    endpoint: EndpointTruth | None  # None: the stack deploys no RunPod endpoint
    trouble: SwitchbackError | None = None  # why Cloudflare did not say what is live

    @property
    def phase(self) -> str:
        return "not known" if self.trouble else str(phase_of(self.declared, self.live))

    @property
    def next_step(self) -> str:
        return self.trouble.fix if self.trouble else next_step(self.declared, self.live)


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    settings = context.settings()
    stack, name = context.find_stack(), settings.find("worker_name")
    question = status_endpoint.prepare(context, stack, name, stack_secrets=arguments.stack_secrets)
    with ThreadPoolExecutor(max_workers=1) as meanwhile:
        endpoint = meanwhile.submit(question) if question else None
        with context.waiting("Cloudflare, the gateway and RunPod"):
            status = _read(context, settings, endpoint.result if endpoint else lambda: None)
    _remember(context, settings)
    if context.json:
        print(json.dumps(_as_json(status), indent=2))
    else:
        _print(context, status)
    return status.trouble.exit_code if status.trouble else ExitCode.OK


def _read(context: Context, settings: Settings, endpoint: Callable[[], EndpointTruth | None]) -> _Status:
    stack = context.find_stack()
    declared = declared_from(context.stack_config(stack))
    truths = [declared_truth(declared, f"config of stack {stack}" if stack else "config (no stack chosen)")]
    gateway_url = _find(settings, "gateway_url")
    deployed, live, back, trouble = _read_deployed(context, settings, gateway_url)
    truths.append(deployed)
    if gateway_url:
        truths.append(reported_truth(gateway_url.rstrip("/"), context.http))
    else:
        truths.append(Truth("reported", None, "the gateway's address is not known (--url)", "/health"))
    truths.append(observed_truth(context.project_dir, live.deployed_on))
    return _Status(truths, disagreements(truths, live), declared, live, back, endpoint(), trouble)


def _read_deployed(
    context: Context, settings: Settings, gateway_url: str | None
) -> tuple[Truth, Observed, RouteBack, SwitchbackError | None]:
    """What Cloudflare says; where it says nothing, the truth holds the reason."""
    back = RouteBack(None, None, TargetCheck(WayBack.UNKNOWN, "the deployment is not known"))
    try:
        history = WorkerHistory(context.cloudflare(settings), settings.worker_name)
        live = live_state(history)
        if live.split:
            back = route_back(history, gateway_url, settings.find("gateway_token") or "", context.http)
        return deployed_truth(live), live, back, None
    except NotFoundError:
        stack = context.find_stack()
        doubt = context.doubt(stack) if stack else ""
        trouble = ConfigError(f"There is no stack {stack} here and no Worker of it.", fix=doubt) if doubt else None
        return deployed_truth(Observed(())), Observed(()), back, trouble
    except SwitchbackError as error:
        return Truth("deployed", None, error.message, "Cloudflare's active deployment"), Observed(()), back, error


def _remember(context: Context, settings: Settings) -> None:
    """For an emergency without the project at hand; failing to write it down is no failure of status."""
    stack = context.find_stack()
    base_url = _find(settings, "base_url") or ""
    if stack is None or base_url.startswith("http://"):  # an emulator is no emergency
        return
    values = {name: _find(settings, name) or "" for name in remembered.KEYS}
    try:
        remembered.save(context.environment, context.project_dir, stack, values)
    except OSError as error:
        context.progress(f"warning: not remembered for an emergency ({type(error).__name__})")


def _find(settings: Settings, name: str) -> str | None:
    """A wrong value counts as none here: status shows what it can."""
    try:
        return settings.find(name)
    except SwitchbackError:
        return None


def _print(context: Context, status: _Status) -> None:
    rows = [(truth.name, truth.provider or "unknown", truth.detail, truth.source) for truth in status.truths]
    context.say_table(("", "provider", "", "from"), rows)
    say = context.say
    for sentence in status.disagreements:
        say(f"disagree: {sentence}", style="bold red")
    if not status.disagreements:
        known = sum(truth.provider is not None for truth in status.truths)
        say("what is known agrees" if known > 1 else "too little is known to compare")
    if status.endpoint:
        status_endpoint.say(context, status.endpoint)
    way, check = status.way_back, status.way_back.check
    if way.provider:
        say(f"way back: {check.state} to {way.provider} (version {way.version_id}): {check.detail}")
    else:
        say(f"way back: none known: {check.detail}")
    if way.uploads_left is not None:
        say(f"          it stays deployable for {way.uploads_left} more uploads")
    for warning in way.warnings:
        say(f"warning: {warning}")
    say(f"phase: {status.phase}")
    say(f"next: {status.next_step}")


def _as_json(status: _Status) -> dict[str, object]:
    way = status.way_back
    return {
        "schema": 1,
        "truths": {truth.name: {k: v for k, v in asdict(truth).items() if k != "name"} for truth in status.truths},
        "agree": not status.disagreements,
        "disagreements": status.disagreements,
        "deployment_id": status.live.deployment_id,
        "split": [asdict(share) for share in status.live.split],
        "rolled_back": status.live.is_rollback,
        "runpod": status_endpoint.as_json(status.endpoint) if status.endpoint else None,
        "way_back": {
            "state": str(way.check.state),
            "detail": way.check.detail,
            "provider": way.provider,
            "version_id": way.version_id,
            "warnings": list(way.warnings),
            "uploads_left": way.uploads_left,
        },
        "phase": status.phase,
        "next": status.next_step,
    }
