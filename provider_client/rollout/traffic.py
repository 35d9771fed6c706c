"""Moving traffic: one deployment call, confirmed by the gateway itself, undone when the live verification fails.

`move_traffic` is used by the TrafficSplit resource, `deploy_once` and `confirm_through_health` by rollback too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import httpx

from provider_client.clock import Clock
from provider_client.cloudflare import CloudflareApi, Deployment, VersionShare
from provider_client.deadlines import CONFIRM_SECONDS
from provider_client.errors import (
    ApiError,
    DeadlineExceeded,
    NotFoundError,
    RollbackFailed,
    SwitchbackError,
    TrafficRefused,
    UnreachableError,
    VerificationFailed,
)
from provider_client.models import Health
from provider_client.rollout.messages import DeploymentMessage, MessageKind

PLAIN_ANSWERS = 5
OVERRIDE_HEADER = "Cloudflare-Workers-Version-Overrides"
_KEEP_TRAFFIC = ("successful", "inconclusive")


@dataclass(frozen=True)
class Share:
    """One provider's version and how much of the traffic it gets, in percent."""

    provider: str
    version_id: str
    percent: float
    is_ours: bool = True  # False: uploaded by somebody else, so that its /health, if any, proves nothing


Split = tuple[Share, ...]
Confirm = Callable[[Split], None]


class LiveVerdict(Protocol):
    """What is asked of a verdict here; provider_client.verification has the real one."""

    @property
    def outcome(self) -> str: ...

    @property
    def sentence(self) -> str: ...


@dataclass(frozen=True)
class MoveResult:
    """How a move ended well. `moved` is False when the traffic was already as desired."""

    deployment: Deployment
    moved: bool
    verdict: LiveVerdict | None
    previous: Deployment | None


def guard_rollback(
    active: Deployment | None,
    desired: Split,
    provider_of: Callable[[str], str | None],
    acknowledged: str | None,
) -> None:
    """Refuse to undo an emergency rollback by accident. `provider_of` names the provider of a version id.

    A deployment that restored a rolled-back state carries the rollback's id and counts as that rollback.
    """
    message = DeploymentMessage.parse(active.message) if active else None
    if active is None or message is None:
        return
    rollback_id = active.id if message.kind is MessageKind.ROLLBACK else message.fields.get("rollback")
    if not rollback_id or acknowledged in (rollback_id, active.id):
        return
    kept = message.fields.get("to") or provider_of(active.main_version_id)
    away = [share.provider for share in desired if share.percent > 0 and share.provider != kept]
    if not away:
        return
    who = message.fields.get("actor") or active.author_email or "someone"
    when = message.fields.get("at") or active.created_on
    reason = message.fields.get("reason") or "no reason was given"
    raise TrafficRefused(
        f"{who} rolled the traffic back to {kept} at {when} ({reason}); this update would move it "
        f"to {away[0]} again.",
        fix=f"agree with the rollback: `pulumi config set imageGenerationProvider {kept}`; or, once {away[0]} is "
        f"mended, go on: `pulumi config set acknowledgeRollback {rollback_id}`",
    )


def serves(deployment: Deployment | None, split: Split) -> bool:
    """Whether the deployment gives the traffic as the split says; versions at 0 % count too."""
    if deployment is None:
        return False
    return {(share.version_id, share.percent) for share in deployment.versions} == {
        (share.version_id, share.percent) for share in split
    }


def deploy_once(api: CloudflareApi, worker: str, split: Split, message: DeploymentMessage) -> Deployment:
    """One deployment call. When its answer is lost, the live deployment says whether it was carried out."""
    text = message.format()
    try:
        return api.deploy(worker, [VersionShare(share.version_id, share.percent) for share in split], text)
    except (UnreachableError, ApiError) as error:
        if isinstance(error, ApiError) and error.status < 500:
            raise
        with suppress(SwitchbackError):
            active = api.active_deployment(worker)
            if active is not None and serves(active, split) and active.message == text:
                return active
        raise


def move_traffic(
    *,
    api: CloudflareApi,
    worker: str,
    desired: Split,
    message: DeploymentMessage,
    confirm: Confirm,
    verify_live: Callable[[], LiveVerdict] | None,
    progress: Callable[[str], None],
    clock: Clock,
    report_path: Callable[[], str] = lambda: "",
) -> MoveResult:
    """Make `desired` live, or leave what was live before and raise.

    Traffic that is already as desired is not touched, and not verified again, unless the active deployment is an
    `up` of ours: then an earlier run died between its call and its verdict, and its verification is made up for.
    Pass `verify_live=None` where the verdict on this very split is already known.

    Raises VerificationFailed (sentence, report path), DeadlineExceeded (not confirmed), RollbackFailed (the
    previous split could not be put back), or what the API raised. `clock` is wall time.
    """
    started = clock.now()
    history = _history(api, worker)
    moved = not (history and serves(history[0], desired))
    if not moved and not is_kind(history[0], MessageKind.UP):
        verify_live = None
    previous = next(iter(history), None) if moved else _before(history)
    # asked for now, so that nothing but the call itself stands between a bad verdict and the way back
    before = split_of(api, worker, previous) if previous and (moved or verify_live) else ()
    if moved:
        progress(f"moving traffic: {describe(desired)}")
        deployment = deploy_once(api, worker, desired, message)
    else:
        progress(f"traffic is already as desired: {describe(desired)}")
        deployment = history[0]
    undo = _Undo(api, worker, deployment, desired, previous, before, confirm, progress)
    try:
        confirm(desired)
        progress(f"confirmed by the gateway after {clock.now() - started:.1f} s")
        verdict = verify_live() if verify_live else None
    except Exception:
        if moved or verify_live:
            progress(undo.put_back())
        raise
    if verdict is None or str(verdict.outcome).lower() in _KEEP_TRAFFIC:
        return MoveResult(deployment, moved, verdict, previous)
    kept = undo.put_back()
    path = report_path()
    read = f"read the report at {path}, " if path else ""
    raise VerificationFailed(
        f"The live verification of {describe(desired)} failed: {verdict.sentence}. {kept}",
        fix=f"{read}mend the cause, run `pulumi up` again",
    )


@dataclass(frozen=True)
class _Undo:
    """A deployment that may have to be taken back: `failed` is its split, `before` the one of `previous`."""

    api: CloudflareApi
    worker: str
    deployment: Deployment
    failed: Split
    previous: Deployment | None
    before: Split
    confirm: Confirm
    progress: Callable[[str], None]

    def put_back(self) -> str:
        """Give the traffic back to what was live before, confirm it, and say so in one sentence."""
        if self.previous is None:
            return (
                "Nothing was live before, so there is nothing to put back: the gateway stays dark "
                "(its workers.dev address answers with the version that failed; no custom domain is bound to it)."
            )
        try:
            active = self.api.active_deployment(self.worker)
            if active is not None and active.id != self.deployment.id:
                return (
                    f"Somebody moved the traffic meanwhile ({active.message or active.id}); it is left as it is."
                )
            self.progress(f"putting the previous split back: {describe(self.before)}")
            message = _restore_message(self.previous, self.failed, self.before)
            deploy_once(self.api, self.worker, self.before, message)
            self.confirm(self.before)
        except SwitchbackError as error:
            raise RollbackFailed(
                f"The previous split could not be put back: {error.message}",
                fix="run `switchback status` to see what is live, then `switchback rollback --now`",
            ) from error
        return f"The previous split is back and confirmed: {describe(self.before)}."


def split_of(api: CloudflareApi, worker: str, deployment: Deployment) -> Split:
    """A deployment with the provider of each of its versions."""
    versions = ((share, api.version(worker, share.version_id)) for share in deployment.versions)
    return tuple(
        Share(version.provider or "unknown", share.version_id, share.percent, version.is_ours)
        for share, version in versions
    )


def describe(split: Split) -> str:
    """`scenario 90 % + runpod 10 %`."""
    return " + ".join(f"{share.provider} {share.percent:g} %" for share in split)


def confirm_through_health(
    gateway_url: str,
    worker: str,
    shares: Split,
    *,
    http: httpx.Client,
    token: str,
    clock: Clock,
    deadline_seconds: float = CONFIRM_SECONDS,
    progress: Callable[[str], None],
) -> None:
    """Wait until the gateway itself proves the split; raise DeadlineExceeded with what it last said.

    Each version must answer for itself through the override header (ignored silently for a version that is not
    deployed, so the answer is checked); then five plain answers in a row must come from versions with traffic.
    A version that somebody else uploaded (a Worker that was taken over) cannot prove itself and is not asked.
    `clock` is wall time.
    """
    end = clock.now() + deadline_seconds
    serving = {share.version_id: share.provider for share in shares if share.percent > 0}
    foreign = any(share.percent > 0 and not share.is_ours for share in shares)
    pinned = [({share.version_id: share.provider}, share.version_id) for share in shares if share.is_ours]
    plain = [] if foreign else [(serving, None)] * PLAIN_ANSWERS
    questions: list[tuple[dict[str, str], str | None]] = [*pinned, *plain]
    if foreign:
        progress("what serves now was not uploaded by this stack: Cloudflare's answer has to do as proof")
    asked, pause, said = 0, 0.1, ""
    while asked < len(questions):
        expected, override = questions[asked]
        problem = _unexpected(gateway_url, worker, expected, override, http, token, end - clock.now())
        if problem is None:
            asked += 1
            continue
        if problem != said:
            said = problem
            progress(f"waiting for the gateway: {problem}")
        if clock.now() + pause >= end:
            raise DeadlineExceeded(
                f"{gateway_url}/health did not confirm {describe(shares)} within {deadline_seconds:.0f} s: "
                f"{problem}.",
                fix="look at `switchback status` and at the Worker's log",
            )
        asked = min(asked, len(pinned))  # plain answers count only in a row
        clock.sleep(pause)
        pause = min(2.0, pause * 2)


def _unexpected(
    gateway_url: str,
    worker: str,
    expected: dict[str, str],
    override: str | None,
    http: httpx.Client,
    token: str,
    seconds: float,
) -> str | None:
    """Ask /health once; None when one of the expected versions answered with its provider."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if override:
        headers[OVERRIDE_HEADER] = f'{worker}="{override}"'
    try:
        answer = http.get(
            f"{gateway_url.rstrip('/')}/health", headers=headers, timeout=max(0.1, min(5.0, seconds))
        )
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    try:
        health = Health.model_validate_json(answer.content)
    except ValueError:
        return f"HTTP {answer.status_code} without a readable health answer"
    provider = expected.get(health.version.id)
    if provider is None:
        return f"it answers as {health.provider}, version {health.version.id or 'unknown'}"
    if provider != health.provider:
        return f"version {health.version.id} says its provider is {health.provider}, not {provider}"
    return None


def is_kind(deployment: Deployment, kind: MessageKind) -> bool:
    """Whether the deployment carries our message of this kind."""
    message = DeploymentMessage.parse(deployment.message)
    return message is not None and message.kind is kind


def _history(api: CloudflareApi, worker: str) -> list[Deployment]:
    try:
        return api.deployments(worker)
    except NotFoundError:
        return []


def _before(history: list[Deployment]) -> Deployment | None:
    """The newest earlier deployment with another split than the active one."""
    active = {(share.version_id, share.percent) for share in history[0].versions}
    earlier = (one for one in history[1:] if {(s.version_id, s.percent) for s in one.versions} != active)
    return next(earlier, None)


def _restore_message(previous: Deployment, failed: Split, split: Split) -> DeploymentMessage:
    """A restored rollback stays a rollback: its fields and its id are carried on."""
    fields = {"from": describe(failed), "to": describe(split), "reason": "live verification failed"}
    message = DeploymentMessage.parse(previous.message)
    if message is not None and (message.kind is MessageKind.ROLLBACK or "rollback" in message.fields):
        fields = {**message.fields, "rollback": message.fields.get("rollback", previous.id)}
    return DeploymentMessage(MessageKind.RESTORE, fields)
