"""The life of a RunPod serverless endpoint: observe, compare, send what differs, wait until it has rolled out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.resource_provider.controller import (
    Checked,
    Created,
    CreatedButUnhealthy,
    Diff,
    Failure,
    Live,
    Properties,
    Session,
)
from infra.resource_provider.property_values import is_known
from infra.resource_provider.runpod_account import Outage, RunPodAccount
from infra.resource_provider.runpod_rollout import wait_for_rollout
from provider_client import runpod_settings as rules
from provider_client.errors import ApiError, ConfigError, NotFoundError, SwitchbackError, UnreachableError
from provider_client.gpu_catalog import GpuCatalog, packaged_catalog
from provider_client.runpod_wire import changes_to_wire, from_wire, newest_release_in_words, to_wire

TYPE = "switchback:index:RunPodEndpoint"
EXISTING = "existingEndpointId"
PRICE = ("pricePerWorkerDayUsd", "priceSource")


class RunPodEndpointController:
    """Manages an endpoint, or only checks one that the stack does not own (`existingEndpointId`)."""

    secret_properties = frozenset({"env"})

    def __init__(self) -> None:
        # URN → id of what is in the state, "" while only its inputs were seen: a create replaces it, so it must not
        # adopt that one, but may adopt what an interrupted replacement left.
        self._in_state: dict[str, str] = {}
        self._outage = Outage()

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked:
        if old_inputs:
            self._in_state.setdefault(session.urn, "")
        if EXISTING in inputs:
            return Checked(inputs, tuple(_not_with_existing(name) for name in inputs if name != EXISTING))
        complete = rules.with_defaults(inputs)
        if complete == old_inputs:
            return Checked(complete)
        account = RunPodAccount(session, self._outage)
        # GPU types that were accepted before stay accepted, even while RunPod cannot be asked.
        new_types = complete.get("gpuTypes") != old_inputs.get("gpuTypes")
        failures = _failures(complete, account.catalog if new_types else None)
        if not failures and is_known(complete):
            account.warn_of_limits(complete, old_inputs)
        return Checked(complete, tuple(failures))

    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff:
        self._in_state[session.urn] = resource_id
        if inputs.get(EXISTING) != state.get(EXISTING):
            # Giving up ownership of the very same endpoint must not delete it.
            keeps = inputs.get(EXISTING) == resource_id
            return Diff(changed=(EXISTING,)) if keeps else Diff(replaces=(EXISTING,))
        account = RunPodAccount(session, self._outage)
        try:
            endpoint = account.look_up(lambda api: api.endpoint(resource_id))
        except NotFoundError:
            session.log.warning(f"RunPod endpoint {resource_id} does not exist any more: it will be made anew")
            return Diff(replaces=(EXISTING if EXISTING in inputs else "name",))
        except SwitchbackError as error:
            session.log.warning(f"the RunPod endpoint was not looked at for drift: {error.message}")
            return Diff(changed=_changed(state, inputs))
        live = from_wire(endpoint, account.catalog)
        if EXISTING in inputs:
            if rules.container_digest(live) == state.get("containerDigest"):
                return Diff()
            session.log.warning(
                f"RunPod endpoint {resource_id} was changed by its owner: it is to be verified anew"
            )
            return Diff(changed=("containerDigest",))
        wished, drifted = _changed(state, inputs), _changed(live, inputs)
        drift = rules.drift_in_words(state, live)
        for name, words in drift.items():
            session.log.warning(words + ("; pulumi up sets it as the stack says" if name in drifted else ""))
        if rules.rolls_workers(drift):
            account.ask(lambda api: session.log.warning(newest_release_in_words(api.releases(resource_id))))
        return Diff(changed=tuple(dict.fromkeys((*wished, *drifted))))

    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created:
        account = RunPodAccount(session, self._outage)
        if preview:
            if EXISTING in inputs:
                self._foretell_existing(session, account, str(inputs[EXISTING]))
            elif is_known(inputs):
                account.say_cost(inputs)
            return Created("", _known_outputs(inputs))
        if EXISTING in inputs:
            return Created(str(inputs[EXISTING]), self._check_existing(account, inputs))
        endpoint = self._create_or_adopt(session, account, inputs)
        return Created(str(endpoint["id"]), self._settle(session, account, endpoint, inputs))

    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None:
        account = RunPodAccount(session, self._outage)
        try:
            endpoint = account.api.endpoint(resource_id)
        except NotFoundError:
            return None
        live = from_wire(endpoint, account.catalog)
        existing = EXISTING in inputs or EXISTING in state
        if state and not existing:
            for words in rules.drift_in_words(state, live).values():
                session.log.warning(words)
        new_inputs = {EXISTING: resource_id} if existing else live
        outputs = _outputs(resource_id, new_inputs, live, account.catalog)
        # A list price that moved since is no drift of the endpoint.
        return Live(resource_id, new_inputs, outputs | {name: state[name] for name in PRICE if name in state})

    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties:
        account = RunPodAccount(session, self._outage)
        if preview:
            return self._preview_update(session, account, resource_id, state, inputs)
        if EXISTING in inputs:
            return self._check_existing(account, inputs)
        sleeps = _only_sends_to_sleep(state, inputs)
        try:
            endpoint = self._bring_in_line(session, account, account.api.endpoint(resource_id), inputs)
        except (ApiError, UnreachableError) as error:
            if not sleeps:
                raise
            # What ails RunPod may be the very reason to return to another provider: that must not stop here.
            session.log.warning(
                f"the warm workers could not be given up: {error.message} ({error.fix}); the next pulumi up does it, "
                f"until then each costs ${state.get('pricePerWorkerDayUsd') or 0:.2f} a day"
            )
            return state
        if sleeps:  # nor by a rollout that does not end
            return _outputs(resource_id, inputs, inputs, account.catalog)
        return self._settle(session, account, endpoint, inputs)

    def delete(self, session: Session, resource_id: str, state: Properties) -> None:
        if EXISTING in state:
            session.log.info(f"RunPod endpoint {resource_id} is not owned by this stack and stays")
        elif not RunPodAccount(session).api.delete_endpoint(resource_id):
            session.log.info(f"RunPod endpoint {resource_id} was gone already")

    def _create_or_adopt(self, session: Session, account: RunPodAccount, inputs: Properties) -> Mapping[str, Any]:
        """One endpoint, however often an update was killed: what carries our marker is continued, not doubled."""
        found = self._find_own(session, account, inputs)
        if found is not None:
            session.log.info(f"continuing with RunPod endpoint {found['id']}, left by an interrupted update")
            return self._bring_in_line(session, account, found, inputs)
        session.log.status("creating the endpoint")
        markers = {rules.MARKER: _marker(session), rules.INPUTS_DIGEST: rules.digest(inputs)}
        try:
            return account.api.create_endpoint({**to_wire(inputs, account.catalog, markers), "type": "QUEUE"})
        except (UnreachableError, ApiError) as error:
            # The answer may be lost and the endpoint made: v2 has no idempotency key.
            found = self._find_own(session, account, inputs) if _is_outage(error) else None
            if found is None:
                raise
            return found

    def _find_own(self, session: Session, account: RunPodAccount, inputs: Properties) -> Mapping[str, Any] | None:
        endpoints = account.api.endpoints()
        own = [e for e in endpoints if (e.get("env") or {}).get(rules.MARKER) == _marker(session)]
        replaced = self._in_state.get(session.urn)
        left = [] if replaced == "" else [e for e in own if e["id"] != replaced]
        if left:
            return left[0]
        namesakes = [e["id"] for e in endpoints if e.get("name") == inputs["name"] and e not in own]
        if namesakes:
            name = session.urn.rpartition("::")[2]
            raise ConfigError(
                f"RunPod already has an endpoint called '{inputs['name']}' ({namesakes[0]}), "
                "which this stack did not make",
                fix=f"take it over: pulumi import {TYPE} {name} {namesakes[0]} --parent parent=<urn> --provider "
                "switchback=<urn> (pulumi stack --show-urns lists them); or choose another name",
            )
        return None

    def _bring_in_line(
        self, session: Session, account: RunPodAccount, endpoint: Mapping[str, Any], inputs: Properties
    ) -> Mapping[str, Any]:
        changed = _changed(from_wire(endpoint, account.catalog), inputs)
        if not changed:
            return endpoint
        created_from = (endpoint.get("env") or {}).get(rules.INPUTS_DIGEST) or rules.digest(inputs)
        markers = {rules.MARKER: _marker(session), rules.INPUTS_DIGEST: created_from}
        session.log.status(f"changing {', '.join(changed)}")
        changes = changes_to_wire(inputs, changed, account.catalog, markers)
        return account.api.update_endpoint(str(endpoint["id"]), changes)

    def _settle(
        self, session: Session, account: RunPodAccount, endpoint: Mapping[str, Any], inputs: Properties
    ) -> Properties:
        """Waits for the rollout. Whatever goes wrong from here on, the endpoint exists and is recorded."""
        endpoint_id = str(endpoint["id"])
        outputs = _outputs(endpoint_id, inputs, inputs, account.catalog)
        try:
            wait_for_rollout(session, account.api, endpoint_id, workers_min=inputs["workersMin"])
        except SwitchbackError as error:
            raise CreatedButUnhealthy(
                f"RunPod endpoint {endpoint_id} exists, but it is not ready: {error.message}",
                resource_id=endpoint_id,
                outputs=outputs,
                inputs=inputs,
                fix=error.fix or "pulumi up goes on from here; nothing is made twice",
            ) from error
        return outputs

    def _check_existing(self, account: RunPodAccount, inputs: Properties) -> Properties:
        endpoint = _usable(str(inputs[EXISTING]), account.api.endpoint)
        return _outputs(str(endpoint["id"]), inputs, from_wire(endpoint, account.catalog), account.catalog)

    def _foretell_existing(self, session: Session, account: RunPodAccount, endpoint_id: str) -> None:
        try:
            _usable(endpoint_id, lambda wanted: account.look_up(lambda api: api.endpoint(wanted)))
        except (ApiError, UnreachableError) as error:
            session.log.warning(f"RunPod endpoint {endpoint_id} was not looked at: {error.message}")

    def _preview_update(
        self, session: Session, account: RunPodAccount, resource_id: str, state: Properties, inputs: Properties
    ) -> Properties:
        if EXISTING in inputs:  # only its container can have changed, which the update will look at
            return {**inputs, "endpointId": resource_id}
        if not is_known(inputs):
            return {**_known_outputs(inputs), "endpointId": resource_id}
        differences = rules.differences(state, inputs)
        changed = {difference.property for difference in differences}
        if differences:
            rolling = "workers will roll, busy ones finish first; if it is serving, production changes in place"
            effect = rolling if rules.rolls_workers(changed) else "no worker is replaced"
            session.log.info(f"changes {', '.join(map(str, differences))}: {effect}")
        if changed & {"workersMin", "gpuTypes", "gpuCount", "idleTimeoutSeconds"}:
            account.say_cost(inputs)
        return _outputs(resource_id, inputs, inputs, account.catalog)


def _usable(endpoint_id: str, find: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
    """An endpoint that somebody else made and the Worker can use; ConfigError when there is none."""
    fix = "pulumi config set --path runpod.endpointId <id from RunPod's console>"
    try:
        endpoint = find(endpoint_id)
    except NotFoundError as error:
        raise ConfigError(f"RunPod has no endpoint {endpoint_id} that this key may see", fix=fix) from error
    kind = endpoint.get("type", "QUEUE")
    if kind != "QUEUE":
        raise ConfigError(f"RunPod endpoint {endpoint_id} is of type {kind}: it has no queue for jobs", fix=fix)
    return endpoint


def _not_with_existing(name: str) -> Failure:
    return Failure(name, f"not together with {EXISTING}: an endpoint that the stack does not own is never changed")


def _failures(complete: Properties, catalog: GpuCatalog | None) -> list[Failure]:
    """Without a catalog the GPU types are not judged."""
    missing = [
        Failure(name, f"is required, unless {EXISTING} names an endpoint made elsewhere")
        for name in rules.REQUIRED
        if name not in complete
    ]
    judged = {name: v for name, v in complete.items() if is_known(v) and (catalog or name != "gpuTypes")}
    problems = rules.problems(judged, catalog or packaged_catalog())
    return missing + [Failure(problem.property, problem.reason) for problem in problems]


def _is_outage(error: SwitchbackError) -> bool:
    """Whether RunPod itself is the trouble, not what it was asked for."""
    return isinstance(error, UnreachableError) or (isinstance(error, ApiError) and error.status >= 500)


def _only_sends_to_sleep(state: Properties, inputs: Properties) -> bool:
    return _changed(state, inputs) == ("workersMin",) and inputs["workersMin"] < state.get("workersMin", 0)


def _changed(old: Properties, new: Properties) -> tuple[str, ...]:
    return tuple(difference.property for difference in rules.differences(old, new))


def _known_outputs(inputs: Properties) -> Properties:
    """What a preview can tell of a new endpoint; what is left out is shown as unknown."""
    container = {name: inputs.get(name) for name in rules.IN_CONTAINER}
    if EXISTING in inputs or not is_known(container):
        return dict(inputs)
    return {**inputs, "containerDigest": rules.container_digest(inputs)}


def _outputs(endpoint_id: str, inputs: Properties, settings: Properties, catalog: GpuCatalog) -> Properties:
    """`settings` are what runs: the inputs of a managed endpoint, the live values of an existing one."""
    price = catalog.price(settings["gpuTypes"], settings["gpuCount"])
    return {
        **inputs,
        "endpointId": endpoint_id,
        "containerDigest": rules.container_digest(settings),
        "gpuPool": ",".join(catalog.selection(settings["gpuTypes"]).pools),
        "pricePerWorkerDayUsd": price.per_day_usd if price else None,
        "priceSource": price.source if price else "not known",
    }


def _marker(session: Session) -> str:
    return rules.digest(session.urn)  # a URN names stack, project, type and resource
