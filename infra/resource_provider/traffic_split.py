"""Which versions of the Worker serve. Create and update are one operation: move, confirm, verify live, or put back."""

# ruff: noqa: ARG002 - all controllers have the same signatures
from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import httpx

from infra.resource_provider.controller import Checked, Created, Diff, Failure, Live, Properties, Session
from infra.resource_provider.proof import Proof, cloudflare, failing_lines, gateway_token, plan_failures, prove
from infra.resource_provider.property_values import is_known
from provider_client.cloudflare import CloudflareApi, Deployment
from provider_client.errors import SwitchbackError, TrafficRefused
from provider_client.rollout.messages import DeploymentMessage, MessageKind, current_actor, utc_now
from provider_client.rollout.traffic import (
    MoveResult,
    Share,
    Split,
    confirm_through_health,
    describe,
    guard_rollback,
    is_kind,
    move_traffic,
    serves,
    split_of,
)
from provider_client.verification import Report, Target, VerificationPlan
from provider_client.verification.judging import Verdict

IDENTITY = ("accountId", "workerName")
MOST_VERSIONS = 2  # of one deployment (Cloudflare's gradual deployments)
LOOK_UP_SECONDS = 5.0
CONFIRM_SECONDS = 60.0
CONFIRM_NEW_SECONDS = 900.0  # a new workers.dev name: DNS and certificate come first
COMMIT_VARIABLES = ("SWITCHBACK_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA")


class TrafficSplitController:
    """The active deployment as desired state. Reasons, acknowledgements and plans alone are no change of it."""

    secret_properties: frozenset[str] = frozenset()

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked:
        failures = split_failures(inputs.get("versions"))
        if inputs.get("livePlan") is not None:
            failures += plan_failures(inputs["livePlan"], "livePlan")
        required = (*IDENTITY, "gatewayUrl")
        failures += [Failure(name, "is required") for name in required if not inputs.get(name)]
        return Checked(inputs, tuple(failures))

    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff:
        moved = [name for name in IDENTITY if state.get(name) != inputs.get(name)]
        if moved:
            return Diff(replaces=tuple(moved))
        wished = not _same(state.get("versions"), inputs["versions"])
        if not is_known(inputs["versions"]):
            return Diff(changed=("versions",))
        desired = split_from(inputs)
        try:
            active = _look_up(session, inputs).active_deployment(inputs["workerName"])
        except SwitchbackError as error:
            session.log.warning(f"the live traffic was not looked at: {error.message}")
            return Diff(changed=("versions",) if wished else ())
        if active is not None and serves(active, desired):
            return Diff(changed=("versions",) if wished else _unproven(state, inputs, active))
        if active is not None and not serves(active, split_from(state)):
            session.log.warning(f"the live traffic is not what Pulumi left: {who_moved_it(active)}")
        return Diff(changed=("versions",))

    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created:
        if preview:
            self._foretell(session, inputs)
            return Created("", dict(inputs))
        resource_id = f"{inputs['accountId']}/{inputs['workerName']}"
        return Created(resource_id, self._move(session, {}, inputs, confirm_seconds=CONFIRM_NEW_SECONDS))

    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None:
        account_id, _, worker = resource_id.partition("/")
        api = cloudflare(session, account_id)
        active = api.active_deployment(worker)
        if active is None:
            return None
        versions = inputs.get("versions") or []
        if not (versions and serves(active, split_from(inputs))):
            versions = [_version(share) for share in split_of(api, worker, active)]
        live = {"verification": "", "gatewayUrl": "", **inputs}
        live |= {"accountId": account_id, "workerName": worker, "versions": versions}
        outputs = {**state, **live, "deploymentId": active.id}
        if active.id != state.get("deploymentId"):
            outputs |= {"liveVerdict": "", "reportPath": ""}  # they were about another deployment
        return Live(resource_id, live, outputs)

    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            self._foretell(session, inputs)
            return {**state, **inputs}
        return self._move(session, state, inputs, confirm_seconds=CONFIRM_SECONDS)

    def delete(self, session: Session, resource_id: str, state: Properties) -> None:
        """No call: a deployment goes with its Worker, and traffic without a split is what it was."""

    def _foretell(self, session: Session, inputs: Properties) -> None:
        """Says what will move, and warns now of what `up` would refuse."""
        wished = " + ".join(f"{v['provider']} {v['percent']:g} %" for v in inputs["versions"] if v["percent"])
        try:
            api = _look_up(session, inputs)
            active = api.active_deployment(inputs["workerName"])
            now = describe(split_of(api, inputs["workerName"], active)) if active else "no traffic yet"
            stays = active is not None and serves(active, split_from(inputs))
            session.log.info(f"traffic stays: {now}" if stays else f"traffic: {now} → {wished}")
            guard_rollback(active, split_from(inputs), _provider_of(api, inputs), _acknowledged(inputs))
        except TrafficRefused as refusal:
            session.log.warning(f"pulumi up will refuse: {refusal}")
        except SwitchbackError as error:
            session.log.warning(f"traffic: → {wished}; what is live was not looked at: {error.message}")

    def _move(
        self, session: Session, state: Properties, inputs: Properties, *, confirm_seconds: float
    ) -> Properties:
        api, worker, desired = cloudflare(session, inputs["accountId"]), inputs["workerName"], split_from(inputs)
        active = api.active_deployment(worker)
        guard_rollback(active, desired, _provider_of(api, inputs), _acknowledged(inputs))
        bound = _is_bound(api, inputs)
        live = _LiveVerification(session, inputs, desired, None if bound else api)

        def confirm(split: Split) -> None:
            if not bound:
                session.log.status("nothing is bound to this Worker yet, so its own versions are asked")
                return
            confirm_through_health(
                inputs["gatewayUrl"],
                worker,
                split,
                http=session.http,
                token=session.config.gateway_token,
                clock=session.wall,  # not interruptible: a cancelled move is put back before it ends
                deadline_seconds=confirm_seconds,
                progress=session.log.status,
            )

        recorded = active is not None and active.id == state.get("deploymentId") and state.get("liveVerdict")
        proven = recorded and serves(active, desired)
        result = move_traffic(
            api=api,
            worker=worker,
            desired=desired,
            message=_message(inputs, active, api),
            confirm=confirm,
            verify_live=live.run if live.plan and not proven else None,
            progress=session.log.status,
            clock=session.wall,
            report_path=lambda: live.report_path,
        )
        session.log.info(_done(result, desired))
        return {
            **inputs,
            "deploymentId": result.deployment.id,
            "liveVerdict": str(result.verdict.outcome) if result.verdict else state.get("liveVerdict", ""),
            "reportPath": live.report_path or state.get("reportPath", ""),
        }


class _LiveVerification:
    """The live plan against the version it means; below 100 % every request is pinned by the override header.

    `unbound` is given while the gateway's own address does not exist: it tells the version's preview address.
    """

    def __init__(
        self, session: Session, inputs: Properties, desired: Split, unbound: CloudflareApi | None
    ) -> None:
        self.plan = VerificationPlan.model_validate(inputs["livePlan"]) if inputs.get("livePlan") else None
        self.report: Report | None = None
        self.report_path = ""
        self._session, self._inputs, self._desired = session, inputs, desired
        self._unbound = unbound

    def run(self) -> Verdict:
        if self.plan is None:
            raise AssertionError("there is no live plan to run")
        share, worker = self._share(self.plan.provider), self._inputs["workerName"]
        target = Target(
            base_url=_preview_of(self._unbound, worker, share) if self._unbound else self._inputs["gatewayUrl"],
            provider=share.provider,
            version_id=share.version_id,
            worker_name=worker,
            token=gateway_token(self._session.config),
            override=share.percent < 100,
        )
        proof: Proof = prove(self._session, target, self.plan)
        self.report, self.report_path = proof.report, proof.path
        for line in failing_lines(proof.report):
            self._session.log.warning(line.strip())
        return proof.report.verdict

    def _share(self, provider: str) -> Share:
        named = [share for share in self._desired if share.provider == provider]
        return named[0] if named else max(self._desired, key=lambda share: share.percent)


def split_failures(versions: object) -> list[Failure]:
    """What is wrong with a wished split; only the version ids may be unknown."""
    if not isinstance(versions, list) or not 1 <= len(versions) <= MOST_VERSIONS:
        return [
            Failure("versions", f"must list one or {MOST_VERSIONS} versions: Cloudflare deploys no more at a time")
        ]
    found, total = [], 0.0
    for index, version in enumerate(versions):
        percent = version.get("percent") if isinstance(version, Mapping) else None
        if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
            found.append(Failure(f"versions[{index}].percent", "must be a number from 0 to 100"))
            continue
        total += percent
        found += [
            Failure(f"versions[{index}].{name}", "is required")
            for name in ("provider", "versionId")
            if not version.get(name)
        ]
    if not found and total != 100:
        found.append(Failure("versions", f"percentages must add up to 100, they add up to {total:g}"))
    return found


def split_from(properties: Mapping[str, object]) -> Split:
    versions = properties.get("versions")
    entries = versions if isinstance(versions, list) else []
    return tuple(Share(str(v["provider"]), str(v["versionId"]), float(v["percent"])) for v in entries)


def who_moved_it(active: Deployment) -> str:
    """Who made the active deployment, when and why, as far as it tells."""
    message = DeploymentMessage.parse(active.message)
    fields = message.fields if message else {}
    who = fields.get("actor") or active.author_email or "someone"
    when = fields.get("at") or active.created_on
    if message is not None and message.kind is MessageKind.ROLLBACK:
        reason = fields.get("reason", "no reason was given")
        return f"{who} rolled back to {fields.get('to', 'the version before')} at {when} ({reason})"
    return f"deployed by {who} at {when} through {active.source or 'an unknown way'}: {active.message or 'no message'}"


def _unproven(state: Properties, inputs: Properties, active: Deployment) -> tuple[str, ...]:
    """A move of ours that was killed before its live verification, and taken into the state by a refresh."""
    due = inputs.get("livePlan") and not state.get("liveVerdict") and is_kind(active, MessageKind.UP)
    return ("livePlan",) if due else ()


def _same(old: object, new: object) -> bool:
    """Whether two lists of versions mean the same split; the provider's name follows from the version."""

    def meaning(versions: object) -> list[tuple[object, object]]:
        entries = versions if isinstance(versions, list) else []
        return sorted(((v["versionId"], v["percent"]) for v in entries), key=str)

    return meaning(old) == meaning(new)


def _version(share: Share) -> Properties:
    return {"provider": share.provider, "versionId": share.version_id, "percent": share.percent}


def _provider_of(api: CloudflareApi, inputs: Properties) -> Callable[[str], str | None]:
    known = {v["versionId"]: v["provider"] for v in inputs["versions"] if is_known(v)}

    def provider_of(version_id: str) -> str | None:
        return known.get(version_id) or api.version(inputs["workerName"], version_id).provider

    return provider_of


def _acknowledged(inputs: Properties) -> str | None:
    return inputs.get("acknowledgeRollback") or None


def _message(inputs: Properties, active: Deployment | None, api: CloudflareApi) -> DeploymentMessage:
    environment = os.environ
    fields = {
        "from": describe(split_of(api, inputs["workerName"], active)) if active else "",
        "to": describe(split_from(inputs)),
        "actor": current_actor(environment),
        "at": utc_now(),
        "reason": str(inputs.get("reason") or ""),
        "verification": str(inputs.get("verification") or ""),
        "commit": next((environment[name] for name in COMMIT_VARIABLES if environment.get(name)), ""),
    }
    return DeploymentMessage(MessageKind.UP, fields)


def _is_bound(api: CloudflareApi, inputs: Properties) -> bool:
    """Whether the gateway's address leads to the Worker: a custom domain is bound after the first move only."""
    host = httpx.URL(inputs["gatewayUrl"]).host
    if _preview_of(api, inputs["workerName"], split_from(inputs)[0]).partition("-")[2].startswith(host):
        return True  # workers.dev, where a preview's address is `<8 hex digits>-` and the gateway's
    return api.worker_behind(host) == str(inputs["workerName"])


def _preview_of(api: CloudflareApi, worker: str, share: Share) -> str:
    return next(iter(api.version(worker, share.version_id).urls), "")


def _done(result: MoveResult, desired: Split) -> str:
    verdict = f"; live verification: {result.verdict.sentence}" if result.verdict else ""
    how = "traffic moved and confirmed" if result.moved else "traffic was as desired already"
    return f"{how}: {describe(desired)}{verdict}"


def _look_up(session: Session, inputs: Properties) -> CloudflareApi:
    return cloudflare(session, inputs["accountId"], deadline_seconds=LOOK_UP_SECONDS)
