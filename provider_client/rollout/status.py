"""Four truths side by side: declared, deployed, reported, observed; and whether the way back is open.

Each truth is read by itself: one that cannot be read says why and hides none of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from provider_client.cloudflare import Deployment
from provider_client.errors import RollbackRefused
from provider_client.models import Health
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.messages import DeploymentMessage, MessageKind
from provider_client.rollout.phases import Declared, Observed
from provider_client.rollout.rollback import RollbackPlan, plan_rollback
from provider_client.rollout.traffic import describe, is_kind
from provider_client.rollout.way_back import TargetCheck, WayBack, check_target, health_questions

HEALTH_SECONDS = 5.0
DEPLOYABLE_VERSIONS = 100  # developers.cloudflare.com, Workers versions and deployments: the last 100 uploaded


@dataclass(frozen=True)
class Truth:
    """What one source says. `provider` is None where it cannot be known; `detail` says why, or adds to it."""

    name: str
    provider: str | None
    detail: str
    source: str
    version_id: str | None = None


@dataclass(frozen=True)
class RouteBack:
    """Where a rollback would go, and whether it could."""

    provider: str | None
    version_id: str | None
    check: TargetCheck
    warnings: tuple[str, ...] = ()
    uploads_left: int | None = None


def declared_from(config: Mapping[str, Any]) -> Declared | None:
    """The wish of a stack's plain configuration values; None when there are none."""
    if not config:
        return None
    percent = config.get("candidatePercent") or 0
    return Declared(
        provider=str(config.get("imageGenerationProvider") or "scenario"),
        candidate=str(config["candidateProvider"]) if config.get("candidateProvider") else None,
        candidate_percent=float(percent) if str(percent).replace(".", "", 1).isdigit() else 0,
    )


def declared_truth(declared: Declared | None, source: str) -> Truth:
    if declared is None:
        return Truth("declared", None, "no configuration found", source)
    detail = f"candidate {declared.candidate} at {declared.candidate_percent:g} %" if declared.candidate else ""
    return Truth("declared", declared.provider, detail, source)


def deployed_truth(live: Observed) -> Truth:
    source = "Cloudflare's active deployment"
    if not live.split:
        return Truth("deployed", None, "nothing is deployed", source)
    main = max(live.split, key=lambda share: share.percent)
    mark = ", rolled back" if live.is_rollback else ""
    return Truth("deployed", main.provider, describe(live.split) + mark, source, main.version_id)


def reported_truth(gateway_url: str, http: httpx.Client) -> Truth:
    """What /health says to anybody."""
    source = f"{gateway_url}/health"
    try:
        answer = http.get(source, timeout=HEALTH_SECONDS)
        health = Health.model_validate_json(answer.content)
    except httpx.HTTPError as error:
        return Truth("reported", None, f"no answer ({type(error).__name__})", source)
    except ValueError:
        return Truth("reported", None, "no readable health answer", source)
    return Truth("reported", health.provider, f"health {health.status}", source, health.version.id)


def disagreements(truths: list[Truth], live: Observed) -> list[str]:
    """One sentence for each pair that contradicts itself; what is unknown contradicts nothing."""
    by_name = {truth.name: truth for truth in truths if truth.provider}
    found = []
    pairs = (("declared", "deployed"), ("deployed", "reported"), ("reported", "observed"))
    for first, second in pairs:
        one, other = by_name.get(first), by_name.get(second)
        if one and other and one.provider != other.provider and not _is_share(other, live):
            found.append(f"{first} says {one.provider}, {second} says {other.provider}")
    deployed, reported = by_name.get("deployed"), by_name.get("reported")
    versions = {share.version_id for share in live.split if share.percent > 0}
    if deployed and reported and deployed.provider == reported.provider and reported.version_id not in versions:
        found.append(
            f"/health answers from version {reported.version_id}, which the active deployment does not have"
        )
    return found


def live_state(history: WorkerHistory, now: datetime | None = None) -> Observed:
    """What the deployment history says about the present."""
    active = history.active
    if active is None:
        return Observed(())
    split = history.split(active)
    main = max(split, key=lambda share: share.percent).provider
    since, previous = _since(history, main)
    message = DeploymentMessage.parse(active.message)
    return Observed(
        split=split,
        deployment_id=active.id,
        deployed_on=active.created_on,
        is_rollback=is_kind(active, MessageKind.ROLLBACK),
        previous_provider=(message.fields.get("from") if message and message.kind == "rollback" else None)
        or previous,
        hours_since=_hours(since, now or datetime.now(UTC)),
    )


def route_back(history: WorkerHistory, gateway_url: str | None, token: str, http: httpx.Client) -> RouteBack:
    """Prove that a rollback has somewhere to go: deployable, and answering for itself."""
    try:
        plan = plan_rollback(history.deployments, history.deployable, None, history.provider_of)
    except RollbackRefused as error:
        return RouteBack(None, None, TargetCheck(WayBack.CLOSED, error.message))
    if plan.already:
        return RouteBack(
            plan.target.provider,
            plan.target.version_id,
            TargetCheck(WayBack.OPEN, "it serves already, after a rollback"),
        )
    return RouteBack(
        plan.target.provider,
        plan.target.version_id,
        ask_target(plan, history, gateway_url, token, http),
        plan.warnings,
        uploads_left(history, plan.target.version_id),
    )


def uploads_left(history: WorkerHistory, version_id: str) -> int | None:
    """How many more versions may be uploaded before this one is no longer among the last 100."""
    ids = [version.id for version in history.deployable]
    return max(0, DEPLOYABLE_VERSIONS - 1 - ids.index(version_id)) if version_id in ids else None


def ask_target(
    plan: RollbackPlan, history: WorkerHistory, gateway_url: str | None, token: str, http: httpx.Client
) -> TargetCheck:
    """The health of a plan's target, from itself."""
    target = history.version(plan.target.version_id)
    questions = health_questions(target, history.active, history.worker, gateway_url)
    return check_target(questions, provider=plan.target.provider, version_id=target.id, token=token, http=http)


def _is_share(truth: Truth, live: Observed) -> bool:
    """In a canary either provider may answer."""
    return (
        any(share.percent > 0 and share.provider == truth.provider for share in live.split) and len(live.split) > 1
    )


def _since(history: WorkerHistory, provider: str) -> tuple[Deployment | None, str | None]:
    """The deployment since which this provider serves most requests, and who served before it."""
    since: Deployment | None = None
    for deployment in history.deployments:
        served = history.provider_of(deployment.main_version_id)
        if served != provider:
            return since, served
        since = deployment
    return since, None


def _hours(deployment: Deployment | None, now: datetime) -> float | None:
    try:
        return (now - datetime.fromisoformat(deployment.created_on)).total_seconds() / 3600 if deployment else None
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return None
