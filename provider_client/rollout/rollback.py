"""Instant rollback: which version, is the way back open, one deployment call, proof.

Planning is pure: it looks at the deployment history and the versions that can still be deployed, which Cloudflare
keeps itself. So no Pulumi state, no backend and no Git is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NoReturn

from provider_client.clock import Clock
from provider_client.cloudflare import CloudflareApi, Deployment, WorkerVersion
from provider_client.errors import ApiError, DeadlineExceeded, RollbackFailed, RollbackRefused, UnreachableError
from provider_client.rollout.messages import DeploymentMessage, MessageKind, utc_now
from provider_client.rollout.traffic import Confirm, Share, Split, deploy_once, is_kind
from provider_client.rollout.way_back import TargetCheck, WayBack

TOGETHER_SECONDS = 600.0
ProviderOf = Callable[[str], str | None]


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do. `already` means that the target serves everything: no call is needed."""

    live: Split
    live_deployment_id: str
    target: Share
    already: bool
    warnings: tuple[str, ...] = ()

    @property
    def leaving(self) -> str:
        """The provider that is left."""
        return max(self.live, key=lambda share: share.percent).provider


@dataclass(frozen=True)
class RollbackResult:
    """How a rollback ended. `seconds` holds find, check, call, confirm; `total_seconds` runs from the verdict."""

    plan: RollbackPlan
    check: TargetCheck
    deployment_id: str
    moved: bool
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())


def plan_rollback(
    deployments: Sequence[Deployment], deployable: Sequence[WorkerVersion], to: str | None, provider_of: ProviderOf
) -> RollbackPlan:
    """Find the target. `deployments` newest first, `deployable` the versions that can still get traffic.

    Raises RollbackRefused when there is nothing to go back to.
    """
    if not deployments:
        raise RollbackRefused("Nothing is deployed yet, so there is nothing to go back to.", fix="pulumi up")
    active = deployments[0]
    live = tuple(
        Share(provider_of(share.version_id) or "unknown", share.version_id, share.percent)
        for share in active.versions
    )
    main = max(live, key=lambda share: share.percent)
    rolled_back = to is None and is_kind(active, MessageKind.ROLLBACK)
    if main.percent == 100 and (rolled_back or main.provider == to):
        return RollbackPlan(live, active.id, main, already=True)
    target, warnings = (
        _version_of(to, live, deployments, deployable, provider_of)
        if to
        else _previous_version(deployments, deployable)
    )
    warnings = (*warnings, *_age_warnings(main, target, deployable))
    provider = provider_of(target.id) or "unknown"
    share = Share(provider, target.id, 100, target.is_ours)
    return RollbackPlan(live, active.id, share, already=False, warnings=warnings)


def roll_back(
    *,
    api: CloudflareApi,
    worker: str,
    plan: RollbackPlan,
    check: TargetCheck,
    actor: str,
    reason: str,
    confirm: Confirm,
    progress: Callable[[str], None],
    clock: Clock,
    spent: dict[str, float],
) -> RollbackResult:
    """Carry out a plan: one deployment call, then proof. `spent` holds the seconds of the steps before.

    Raises RollbackRefused when the target is known to be bad, RollbackFailed when the gateway does not confirm.
    `clock` is wall time.
    """
    if check.state is WayBack.CLOSED:
        refuse_closed(plan, check)
    target = (plan.target,)
    deployment_id = plan.live_deployment_id
    started = clock.now()
    if not plan.already:
        fields = {
            "from": plan.leaving,
            "to": plan.target.provider,
            "actor": actor,
            "at": utc_now(),
            "reason": reason,
        }
        progress(f"moving all traffic to {plan.target.provider} (version {plan.target.version_id})")
        deployment_id = _deploy(api, worker, target, DeploymentMessage(MessageKind.ROLLBACK, fields))
    called = clock.now()
    try:
        confirm(target)
    except DeadlineExceeded as error:
        called_for = "is live" if plan.already else "was accepted"
        raise RollbackFailed(
            f"Deployment {deployment_id} {called_for}, but the gateway does not confirm it: {error.message}",
            fix="run `switchback status`; if it still disagrees, `switchback rollback --to <provider> --now`",
        ) from error
    seconds = {**spent, "call": called - started, "confirm": clock.now() - called}
    return RollbackResult(plan, check, deployment_id, not plan.already, seconds)


def _deploy(api: CloudflareApi, worker: str, target: Split, message: DeploymentMessage) -> str:
    """The id of the new deployment. A call that may or may not have been carried out is a failed rollback."""
    try:
        return deploy_once(api, worker, target, message).id
    except (UnreachableError, ApiError) as error:
        if isinstance(error, ApiError) and error.status < 500:
            raise
        raise RollbackFailed(
            f"Whether the traffic moved is not known: {error.message}",
            fix="run the same rollback again: it first looks at what is live; "
            "www.cloudflarestatus.com shows outages",
        ) from error


def refuse_closed(plan: RollbackPlan, check: TargetCheck) -> NoReturn:
    raise RollbackRefused(
        f"The way back to {plan.target.provider} is closed: {check.detail}. Traffic stays where it is.",
        fix=f"mend {plan.target.provider}, name another provider with --to, or insist with --skip-target-check",
    )


def _version_of(
    to: str,
    live: Split,
    deployments: Sequence[Deployment],
    deployable: Sequence[WorkerVersion],
    provider_of: ProviderOf,
) -> tuple[WorkerVersion, tuple[str, ...]]:
    """In the live split, else uploaded with the live version, else the newest that served."""
    by_id = {version.id: version for version in deployable}
    shared = next((share.version_id for share in live if share.provider == to), None)
    if shared in by_id:
        return by_id[shared], ()
    main = by_id.get(max(live, key=lambda share: share.percent).version_id)
    twins = [one for one in deployable if one.provider == to and main is not None and uploaded_together(one, main)]
    if main is not None and twins:
        return min(twins, key=lambda one: _seconds_between(one, main)), ()
    for deployment in deployments[1:]:
        version = by_id.get(deployment.main_version_id)
        if version is not None and provider_of(version.id) == to:
            return version, ()
    known = sorted({one.provider for one in deployable if one.provider})
    raise RollbackRefused(
        f"No version of {to} can be deployed: none was uploaded with the live one, none served within the history.",
        fix=f"choose one of {', '.join(known) or 'none'} with --to, or deploy {to} with `pulumi up`",
    )


def _previous_version(
    deployments: Sequence[Deployment], deployable: Sequence[WorkerVersion]
) -> tuple[WorkerVersion, tuple[str, ...]]:
    """The newest earlier deployment that served something else and was not itself taken back."""
    by_id = {version.id: version for version in deployable}
    live = deployments[0].main_version_id
    gone: list[str] = []
    for newer, deployment in pairwise(deployments):
        main = deployment.main_version_id
        taken_back = is_kind(newer, MessageKind.ROLLBACK) or is_kind(newer, MessageKind.RESTORE)
        if main == live or taken_back:
            continue
        if main in by_id:
            warnings = (f"version {gone[0]} of the deployment before can no longer be deployed",) if gone else ()
            return by_id[main], warnings
        gone.append(main)
    raise RollbackRefused(
        "No earlier deployment served another version that can still be deployed.",
        fix="name a provider with --to, or deploy the old code with `pulumi up`",
    )


def uploaded_together(one: WorkerVersion, other: WorkerVersion) -> bool:
    """Same source digest within ten minutes: one `pulumi up`, so the same code and the same secrets."""
    same_source = bool(_source(one)) and _source(one) == _source(other)
    return same_source and _seconds_between(one, other) <= TOGETHER_SECONDS


def _source(version: WorkerVersion) -> str:
    """The digest in a version's message, `switchback provider=<name> source=<digest>` (infra/components/image_api)."""
    words = dict(word.split("=", 1) for word in version.message.split() if "=" in word)
    return words.get("source", "")


def _seconds_between(one: WorkerVersion, other: WorkerVersion) -> float:
    try:
        times = [datetime.fromisoformat(version.created_on) for version in (one, other)]
    except ValueError:
        return float("inf")
    return abs((times[0] - times[1]).total_seconds())


def _age_warnings(main: Share, target: WorkerVersion, deployable: Sequence[WorkerVersion]) -> tuple[str, ...]:
    live = next((version for version in deployable if version.id == main.version_id), None)
    if live is not None and uploaded_together(target, live):
        return ()
    age = f"its code and secrets are of {target.created_on[:16]}Z; secrets that were replaced since must still be valid"
    return (f"the target was not uploaded with the live version: {age}",)
