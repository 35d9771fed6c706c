"""`switchback verify`: prove with real images that a provider works, before or after it gets traffic."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from provider_client.cli.context import Context
from provider_client.cli.settings import Settings
from provider_client.clock import SystemClock, provider_clock
from provider_client.errors import ConfigError, ExitCode, SwitchbackError
from provider_client.gateway import GatewayClient
from provider_client.gpu_catalog import DEFAULT_TYPES
from provider_client.models import Operation
from provider_client.rollout.history import WorkerHistory
from provider_client.verification import (
    Ledger,
    Outcome,
    Report,
    ReportFiles,
    Target,
    VerificationPlan,
    default_plan,
    load_plan,
    verify,
    write_reports,
)
from provider_client.verification.events import Event
from provider_client.verification.local_gateway import local_gateway
from provider_client.verification.parity import with_parity
from provider_client.verification.plan import Stage
from provider_client.verification.reports.markdown import markdown
from provider_client.verification.reports.terminal import print_report, shown
from provider_client.verification.spending import price_of

EXIT_CODES = {
    Outcome.SUCCESSFUL: ExitCode.OK,
    Outcome.FAILED: ExitCode.VERIFICATION_FAILED,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Outcome.ERROR: ExitCode.RESOURCE,
}

REPORTS = Path(".switchback", "reports")


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    with ExitStack() as closing:
        target, live = _targets(arguments, context, closing)
        plan = _plan(arguments, context, target.provider, "candidate" if arguments.version else "live")
        if arguments.dry_run:
            print(json.dumps(plan.model_dump(mode="json"), indent=2) if context.json else plan.describe())
            return ExitCode.OK
        (arguments.report or context.project_dir / REPORTS).mkdir(
            parents=True, exist_ok=True
        )  # before it is paid for
        report = _compared(context, target, live, plan)
    files = write_reports(report, arguments.report or _report_directory(context, report))
    _say(context, report, files)
    return _exit_code(report)


def _targets(arguments: argparse.Namespace, context: Context, closing: ExitStack) -> tuple[Target, Target | None]:
    """What is verified, and what stands beside it."""
    if arguments.local:
        return closing.enter_context(_local(arguments, context)), None
    settings = context.settings()
    token = "" if arguments.dry_run else settings.gateway_token
    target = replace(_target(arguments, context, settings), token=token)
    beside = arguments.beside_live and not arguments.dry_run
    return target, replace(_live(arguments, context, settings), token=token) if beside else None


def _local(arguments: argparse.Namespace, context: Context) -> AbstractContextManager[Target]:
    provider = arguments.provider or context.environment.get("IMAGE_GENERATION_PROVIDER")
    if not provider:
        raise ConfigError(
            "no provider is named; looked at --provider, IMAGE_GENERATION_PROVIDER in the environment and in .env",
            fix="add --provider runpod (or scenario, comfyui)",
        )
    if arguments.dry_run:
        return nullcontext(Target(base_url="http://localhost", provider=provider, version_id=None))
    context.progress(f"starting the Worker on this machine, for {provider} ...")
    return local_gateway(
        provider, environment=context.environment, project_dir=context.project_dir, http=context.http
    )


def _compared(context: Context, target: Target, live: Target | None, plan: VerificationPlan) -> Report:
    quiet = context.quiet or context.json
    progress = Console(stderr=True, quiet=quiet, no_color=not context.color, highlight=False, soft_wrap=True)
    seed = secrets.randbelow(2**31)
    with shown(progress) as show:
        report = _verify(context, target, plan, show, seed)
    if live is None or report.cancelled:
        return report
    with shown(progress) as show:
        same = _configured(context, live.provider, "live").model_copy(
            update={"assets": plan.assets, "max_spend_usd": plan.max_spend_usd}
        )
        return with_parity(report, _verify(context, live, same, show, seed))


def _verify(
    context: Context, target: Target, plan: VerificationPlan, show: Callable[[Event], None], seed: int
) -> Report:
    return verify(
        target,
        plan,
        http=context.http,
        clock=provider_clock(context.environment),
        wall=SystemClock(),
        progress=show,
        ledger=Ledger(context.project_dir / ".switchback" / "spending.json"),
        random_seed=seed,
    )


def _target(arguments: argparse.Namespace, context: Context, settings: Settings) -> Target:
    """A version on its preview address; an address as given; or the live deployment with its version pinned down."""
    if arguments.version:
        version = WorkerHistory(context.cloudflare(settings), settings.worker_name).version(arguments.version)
        if not version.urls:
            raise ConfigError(
                f"version {version.id} has no preview address",
                fix="enable previews of the Worker, or verify the live one with --url",
            )
        provider = arguments.provider or version.provider
        if not provider:
            raise ConfigError(f"version {version.id} names no provider", fix="add --provider")
        return Target(base_url=version.urls[0], provider=provider, version_id=version.id)
    if arguments.provider:
        return Target(base_url=settings.gateway_url, provider=arguments.provider, version_id=None)
    return _live(arguments, context, settings)


def _live(arguments: argparse.Namespace, context: Context, settings: Settings) -> Target:
    url = settings.gateway_url
    deployed = None if arguments.url else _deployed(context, settings, url)
    return deployed or Target(base_url=url, provider=_reported(context, url), version_id=None)


def _deployed(context: Context, settings: Settings, url: str) -> Target | None:
    """What Cloudflare says is live; None where it cannot be asked or where several versions share the traffic."""
    if not settings.find("cloudflare_token"):
        return None
    try:
        history = WorkerHistory(context.cloudflare(settings), settings.worker_name)
        shares = history.split(history.active) if history.active else ()
    except SwitchbackError as error:
        context.progress(f"the live deployment is not known ({error.message}); health is believed instead")
        return None
    if len(shares) != 1 or shares[0].provider == "unknown":
        return None
    return Target(base_url=url, provider=shares[0].provider, version_id=shares[0].version_id)


def _reported(context: Context, url: str) -> str:
    return GatewayClient(url, "", http=context.http, clock=SystemClock()).health().provider


def _configured(
    context: Context,
    provider: str,
    stage: Stage,
    *,
    assets: int | None = None,
    operations: Sequence[Operation] | None = None,
) -> VerificationPlan:
    """The plan of `pulumi up`, from the stack's own config: its budgets, caps and prices hold for a run by hand too."""
    config, scenario, runpod = (_section(context, name) for name in ("verification", "scenario", "runpod"))
    usual = config.get("candidateAssets", 4) if stage == "candidate" else config.get("liveAssets", 12)
    return default_plan(
        stage=stage,
        provider=provider,
        assets=usual if assets is None else assets,
        operations=operations or [Operation(operation) for operation in config.get("operations", Operation)],
        budgets=config.get("budgets"),
        max_spend_usd=config.get("maxSpendUsd"),
        max_spend_usd_per_day=config.get("maxSpendUsdPerDay"),
        price=price_of(
            provider,
            scenario_usd_per_image=scenario.get("costPerImageUsd"),
            gpu_types=runpod.get("gpuTypes", DEFAULT_TYPES),
            gpu_count=runpod.get("gpuCount", 1),
        ),
    )


def _plan(arguments: argparse.Namespace, context: Context, provider: str, stage: Stage) -> VerificationPlan:
    plan = _configured(context, provider, stage, assets=arguments.assets, operations=arguments.operations)
    if arguments.plan:
        plan = load_plan(arguments.plan, defaults=plan)
    changes: dict[str, Any] = {}
    if arguments.max_spend is not None:
        changes["max_spend_usd"] = arguments.max_spend
    if arguments.in_flight is not None:
        changes["in_flight"] = min(64, max(1, arguments.in_flight))
    return plan.model_copy(update=changes)


def _section(context: Context, name: str) -> Mapping[str, Any]:
    """A section of the stack's own config, so that a run by hand is the run of `pulumi up`."""
    stack = context.find_stack(ask_pulumi=False)
    section = context.stack_config(stack).get(name) if stack else None
    return section if isinstance(section, Mapping) else {}


def _report_directory(context: Context, report: Report) -> Path:
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{time}-{report.plan.stage}-{report.target.provider}"
    return context.project_dir / REPORTS / name


def _say(context: Context, report: Report, files: ReportFiles) -> None:
    summary = context.environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown(report) + "\n")
    if context.json:
        print(json.dumps({**report.to_json(), "report": str(files.html)}, indent=2))
    else:
        print_report(context.console, report, str(files.html))


def _exit_code(report: Report) -> ExitCode:
    if report.cancelled:
        return ExitCode.CANCELLED
    refused = any(
        measurement.outcome is Outcome.ERROR and measurement.kind == "AUTH"
        for asset in report.assets
        for measurement in asset.measurements
    )
    return ExitCode.AUTH if refused else EXIT_CODES[report.verdict.outcome]
