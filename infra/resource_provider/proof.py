"""One verification run as Verification and TrafficSplit both need it: carried out, shown, written down, explained."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.resource_provider.controller import Failure, ProviderConfig, Session
from infra.resource_provider.property_values import is_known
from provider_client.cloudflare import DEFAULT_BASE_URL, CloudflareApi
from provider_client.errors import Cancelled
from provider_client.verification import Report, Target, VerificationPlan, verify, write_reports
from provider_client.verification.events import AssetFinished, Event, HealthChecked, describe
from provider_client.verification.judging import Verdict
from provider_client.verification.measurement import Measurement, Outcome, brief
from provider_client.verification.spending import Ledger

REPORTS = Path(".switchback", "reports")
SPENDING = Path(".switchback", "spending.json")
LONGEST_LINE = 120  # of what stays on the screen; the report has it all
BAD = (Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True)
class Proof:
    """A report and where a person finds it, relative to the project's directory."""

    report: Report
    path: str


def plan_failures(plan: object, name: str) -> list[Failure]:
    """What is wrong with a plan given as JSON, with the path of the property."""
    if not is_known(plan):
        return []
    try:
        VerificationPlan.model_validate(plan)
    except ValidationError as error:
        return [Failure(".".join([name, *map(str, problem["loc"])]), problem["msg"]) for problem in error.errors()]
    return []


def prove(session: Session, target: Target, plan: VerificationPlan) -> Proof:
    """Runs the plan; what fails stays on the screen, everything else passes behind the resource's name."""

    def show(event: Event) -> None:
        if isinstance(event, AssetFinished | HealthChecked) and event.outcome in BAD:
            session.log.warning(textwrap.shorten(describe(event), LONGEST_LINE, placeholder=" …"))
        else:
            session.log.status(describe(event))

    project = session.config.project_dir
    report = verify(
        target,
        plan,
        http=session.http,
        clock=session.clock,
        wall=session.wall,
        progress=show,
        cancelled=session.cancelled,
        ledger=Ledger(project / SPENDING),
    )
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    files = write_reports(report, project / REPORTS / f"{time}-{plan.stage}-{target.provider}")
    path = files.html.relative_to(project).as_posix()
    if report.cancelled:
        raise Cancelled(f"the verification was stopped; what it had found is in {path}")
    return Proof(report, path)


def failing_lines(report: Report) -> list[str]:
    """Each failing check once: what was measured against what, how often, and what to do about it."""
    problems = [m for m in report.run if m.outcome in BAD]
    problems += [problem for asset in report.assets for problem in asset.problems]
    alike: dict[tuple[str, str], list[Measurement]] = {}
    for problem in problems:
        alike.setdefault((problem.check, problem.kind or problem.limit), []).append(problem)
    lines = []
    for (check, _), same in alike.items():
        first = same[0]
        name = "" if first.sentence.startswith(check) else f"{check}: "
        times = f" ({len(same)} times)" if len(same) > 1 else ""
        lines.append(f"  - {name}{brief(first.sentence)}{times}")
        if first.mitigation:
            lines.append(f"      what helps: {first.mitigation}")
    return lines


def headline(provider: str, verdict: Verdict) -> str:
    """Who failed and by which metric; the first failure, which the verdict's sentence ends in, is told below it."""
    return f"{provider} did not prove itself ({verdict.outcome}): {verdict.sentence.partition('; ')[0]}"


def gateway_token(config: ProviderConfig) -> str:
    return config.require(
        config.gateway_token,
        "gateway token",
        "set gatewayToken of the provider resource, or export SWITCHBACK_GATEWAY_TOKEN",
    )


def cloudflare(session: Session, account_id: str, *, deadline_seconds: float = 30.0) -> CloudflareApi:
    config = session.config
    token = config.require(
        config.cloudflare_api_token,
        "Cloudflare API token",
        "pulumi config set --secret cloudflare:apiToken <token> (or export CLOUDFLARE_API_TOKEN)",
    )
    return CloudflareApi(
        account_id,
        token,
        http=session.http,
        base_url=config.cloudflare_base_url or DEFAULT_BASE_URL,
        clock=session.wall,
        deadline_seconds=deadline_seconds,
    )


def known_text(inputs: Mapping[str, Any], name: str) -> str:
    """A string input, "" while it is unknown or absent."""
    value = inputs.get(name)
    return value if isinstance(value, str) else ""
