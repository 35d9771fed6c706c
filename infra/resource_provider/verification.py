"""A Worker version proves itself before it gets traffic: create and update generate real images and judge them."""

# ruff: noqa: ARG002 - all controllers have the same signatures
from __future__ import annotations

from typing import get_args

from infra.resource_provider.controller import Checked, Created, Diff, Failure, Live, Properties, Session
from infra.resource_provider.proof import (
    Proof,
    cloudflare,
    failing_lines,
    gateway_token,
    headline,
    known_text,
    plan_failures,
    prove,
)
from infra.resource_provider.property_values import is_known
from infra.resource_provider.runpod_account import LOOK_UP_SECONDS, RunPodAccount
from provider_client.errors import Inconclusive, SwitchbackError, VerificationFailed
from provider_client.runpod_wire import from_wire
from provider_client.verification import Target, VerificationPlan
from provider_client.verification.measurement import Outcome
from provider_client.verification.plan import Stage

JUDGED = ("provider", "versionId", "plan", "subject")
ENDPOINT_BINDING = "RUNPOD_COMFYUI_ENDPOINT_ID"


class VerificationController:
    """Nothing changed means not run again. FAILED raises, so that every following `up` tries again."""

    secret_properties: frozenset[str] = frozenset()

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked:
        failures = plan_failures(inputs.get("plan", {}), "plan")
        stage = inputs.get("stage")
        if is_known(stage) and stage not in get_args(Stage):
            failures.append(Failure("stage", f"must be one of {', '.join(get_args(Stage))}"))
        required = ("provider", "versionId", "targetUrl", "subject")
        failures += [Failure(name, "is required") for name in required if not inputs.get(name)]
        return Checked(inputs, tuple(failures))

    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff:
        return Diff(changed=tuple(name for name in JUDGED if state.get(name) != inputs.get(name)))

    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created:
        if preview:
            return Created("", self._foretell(session, inputs))
        outputs = self._already_serving(session, inputs) or self._judge(session, inputs)
        return Created(f"{inputs['workerName']}/{inputs['provider']}", outputs)

    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None:
        if not state:
            raise SwitchbackError("a verification cannot be imported", fix="declare it, pulumi up runs it")
        return Live(resource_id, inputs, state)

    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            return self._foretell(session, inputs)
        serving = None if _changed_underneath(state, inputs) else self._already_serving(session, inputs)
        return serving or self._judge(session, inputs)

    def delete(self, session: Session, resource_id: str, state: Properties) -> None:
        """Nothing is there to delete."""

    def _foretell(self, session: Session, inputs: Properties) -> Properties:
        if is_known(inputs.get("plan")):
            plan = VerificationPlan.model_validate(inputs["plan"])
            session.log.info(f"will verify {inputs.get('provider')} before it gets traffic: {plan.describe()}")
        return dict(inputs)

    def _already_serving(self, session: Session, inputs: Properties) -> Properties | None:
        """A version with all the traffic has been proven by it: to generate again would only cost money."""
        active = cloudflare(session, inputs["accountId"]).active_deployment(inputs["workerName"])
        if active is None or {(s.version_id, s.percent) for s in active.versions if s.percent} != {
            (inputs["versionId"], 100)
        }:
            return None
        sentence = "it serves all traffic already, nothing was generated"
        session.log.info(f"{inputs['provider']}: {sentence}")
        return {
            **inputs,
            "verdict": str(Outcome.SUCCESSFUL),
            "sentence": sentence,
            "passed": 0,
            "total": 0,
            "spentUsd": 0.0,
            "reportPath": "",
        }

    def _judge(self, session: Session, inputs: Properties) -> Properties:
        plan = VerificationPlan.model_validate(inputs["plan"])
        target = Target(
            base_url=inputs["targetUrl"],
            provider=inputs["provider"],
            version_id=inputs["versionId"],
            worker_name=known_text(inputs, "workerName") or None,
            token=gateway_token(session.config),
        )
        proof = prove(session, target, plan)
        report, verdict = proof.report, proof.report.verdict
        if verdict.outcome in (Outcome.FAILED, Outcome.ERROR):
            raise VerificationFailed(_explanation(session, inputs, proof), fix=_fix(proof))
        if verdict.outcome is Outcome.INCONCLUSIVE and plan.inconclusive == "stop":
            raise Inconclusive(_explanation(session, inputs, proof), fix=_fix(proof))
        session.log.info(f"{inputs['provider']} verified: {verdict.sentence}; report: {proof.path}")
        return {
            **inputs,
            "verdict": str(verdict.outcome),
            "sentence": verdict.sentence,
            "passed": report.passed,
            "total": report.total,
            "spentUsd": round(report.spent_usd or 0.0, 6),
            "reportPath": proof.path,
        }


def _changed_underneath(state: Properties, inputs: Properties) -> bool:
    """The same version and plan, but what it rests on is another: the endpoint's container, or an acknowledgement."""
    return state.get("subject") != inputs["subject"] and all(
        state.get(name) == inputs[name] for name in ("versionId", "plan", "provider")
    )


def _explanation(session: Session, inputs: Properties, proof: Proof) -> str:
    return "\n".join(
        [
            headline(inputs["provider"], proof.report.verdict),
            *failing_lines(proof.report),
            "  traffic was not moved: what served before goes on serving",
            *_what_stays(session, inputs),
            f"  report with pictures: {proof.path}",
        ]
    )


def _fix(proof: Proof) -> str:
    return proof.report.verdict.next_step or "mend the cause; every pulumi up verifies it again"


def _what_stays(session: Session, inputs: Properties) -> list[str]:
    """Workers that were woken for this verification and stay warm, with their price and what ends it."""
    if inputs["provider"] != "runpod":
        return []
    try:
        api = cloudflare(session, inputs["accountId"], deadline_seconds=LOOK_UP_SECONDS)
        bindings = api.version(inputs["workerName"], inputs["versionId"]).bindings
        endpoint_id = next(str(b["text"]) for b in bindings if b.get("name") == ENDPOINT_BINDING)
        active = api.active_deployment(inputs["workerName"])
        live = api.version(inputs["workerName"], active.main_version_id).provider if active else None
        account = RunPodAccount(session)
        settings = from_wire(account.look_up(lambda api: api.endpoint(endpoint_id)), account.catalog)
        price = account.catalog.price(settings["gpuTypes"], settings["gpuCount"])
    except (SwitchbackError, StopIteration, KeyError):  # this remark must not hide what is told above it
        return ["  RunPod workers may have stayed warm: see its console"]
    warm = settings["workersMin"]
    if not warm:
        return []
    cost = f"${price.per_day_usd * warm:.2f} a day" if price else "a price that RunPod does not tell"
    return [
        f"  what stays: {warm} warm worker{'s' if warm > 1 else ''} of RunPod endpoint {endpoint_id}, {cost}; "
        f"to end that: pulumi config set imageGenerationProvider {live or '<another>'}, pulumi up"
    ]
