"""What must be true before anything is declared: Cloudflare's API takes the token, and the names are free or ours.

It is asked in `check`, so every preview tells within seconds what the Cloudflare plugin would find out by minutes of
retries. With `adoptWorkerId` or `adoptBucket` the thing must exist instead. The stack's Worker and bucket take their
names from this resource, and so come after it.
"""

# ruff: noqa: ARG002 - all controllers have the same signatures
from __future__ import annotations

from infra.resource_provider.controller import Checked, Created, Diff, Failure, Live, Properties, Session
from infra.resource_provider.proof import cloudflare
from infra.resource_provider.property_values import is_known
from provider_client.cloudflare import CloudflareApi, Worker

REQUIRED = ("accountId", "workerName", "bucketName")
ADOPTING = ("adoptWorkerId", "adoptBucket")
LOOK_UP_SECONDS = 4.0  # so that trouble is named within 5


class PreflightController:
    """Names that an earlier run has found free are this stack's own and not questioned again."""

    secret_properties: frozenset[str] = frozenset()

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked:
        missing = tuple(Failure(name, "is required") for name in REQUIRED if not inputs.get(name))
        if missing or not is_known(inputs):
            return Checked(inputs, missing)
        api = cloudflare(session, inputs["accountId"], deadline_seconds=LOOK_UP_SECONDS)
        found = [look(api, old_inputs, inputs) for look in (_worker_failure, _bucket_failure, _domain_failure)]
        found.append(_left_behind(session, old_inputs, inputs))
        return Checked(inputs, tuple(failure for failure in found if failure))

    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff:
        """What was taken over stays taken over: its keys may go without a difference."""
        named = (*REQUIRED, *(name for name in ADOPTING if inputs.get(name)))
        return Diff(changed=tuple(name for name in named if state.get(name) != inputs.get(name)))

    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created:
        self._take_over(session, {}, inputs, preview=preview)
        return Created("" if preview else inputs["accountId"], dict(inputs))

    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None:
        return Live(resource_id, inputs, state)

    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties:
        self._take_over(session, state, inputs, preview=preview)
        return dict(inputs)

    def delete(self, session: Session, resource_id: str, state: Properties) -> None:
        """Nothing is there to delete."""

    def _take_over(self, session: Session, state: Properties, inputs: Properties, *, preview: bool) -> None:
        """An import changes nothing, so a Worker that is to be imported must already answer as declared."""
        adopted = inputs.get("adoptWorkerId")
        if adopted and adopted != state.get("adoptWorkerId"):
            api = cloudflare(session, inputs["accountId"])
            worker = api.worker(adopted)
            wished = (bool(inputs.get("workersDev")), True)
            session.log.info(f"takes over Worker {inputs['workerName']}; what it serves now is the way back")
            if worker is not None and (worker.workers_dev, worker.previews) != wished:
                session.log.info(f"Worker {worker.name}: {_switched(worker, wished)}")
                if not preview:
                    api.set_subdomain(worker.name, workers_dev=wished[0], previews=wished[1])
        if inputs.get("adoptBucket") and not state.get("adoptBucket"):
            session.log.info(
                f"takes over bucket {inputs['bucketName']} with its objects; "
                "its CORS and lifecycle rules become those of this stack"
            )


def _worker_failure(api: CloudflareApi, old: Properties, inputs: Properties) -> Failure | None:
    name, adopted, account = inputs["workerName"], inputs.get("adoptWorkerId"), inputs["accountId"]
    found = api.worker(adopted or name)
    if _is_ours(old, inputs, "workerName"):
        return None
    if not adopted:
        return _clash(found)
    if found is None:
        return Failure(
            "adoptWorkerId",
            f"account {account} has no Worker with the id {adopted}. "
            "Take the id from the dashboard, or let the stack make one: pulumi config rm adoptWorkerId",
        )
    if found.name != name:
        return Failure(
            "workerName",
            f"the Worker {adopted} is called {found.name}, not {name}. "
            f"Set it: pulumi config set workerName {found.name}",
        )
    if found.id != adopted:
        return Failure(
            "adoptWorkerId", f"must be the Worker's id. Set it: pulumi config set adoptWorkerId {found.id}"
        )
    return None


def _clash(found: Worker | None) -> Failure | None:
    if found is None:
        return None
    return Failure(
        "workerName",
        f"a Worker called {found.name} exists already and is not of this stack. Take it over, what it serves stays the "
        f"way back: pulumi config set adoptWorkerId {found.id}; or use another name: "
        "pulumi config set workerName <name>",
    )


def _bucket_failure(api: CloudflareApi, old: Properties, inputs: Properties) -> Failure | None:
    name, adopted = inputs["bucketName"], inputs.get("adoptBucket")
    exists = api.has_bucket(name)
    if _is_ours(old, inputs, "bucketName"):
        return None
    if exists and not adopted:
        return Failure(
            "bucketName",
            f"a bucket called {name} exists already and is not of this stack. Take it over with its objects: "
            f"pulumi config set adoptBucket {name}; or use another name: pulumi config set assetBucket <name>",
        )
    if adopted and not exists:
        return Failure(
            "adoptBucket",
            f"account {inputs['accountId']} has no bucket called {name}. "
            "Let the stack make it: pulumi config rm adoptBucket",
        )
    return None


def _domain_failure(api: CloudflareApi, old: Properties, inputs: Properties) -> Failure | None:
    """Cloudflare refuses to take a host name from another Worker: with a 409, which its plugin repeats for minutes.

    A name that no Worker has any more is the former one of this stack's own.
    """
    hostname = inputs.get("customDomain")
    behind = api.worker_behind(hostname) if hostname else None
    if behind in (None, inputs["workerName"], old.get("workerName")) or api.worker(behind) is None:
        return None
    return Failure(
        "customDomain",
        f"{hostname} is bound to the Worker {behind}, which is not of this stack, and Cloudflare does not move it. "
        "Unbind it there, or use another: pulumi config set customDomain <host name>",
    )


def _left_behind(session: Session, old: Properties, inputs: Properties) -> Failure | None:
    """Another name is another bucket, and the old one can be deleted only when it is empty: said before, not after
    everything else has changed."""
    bucket = old.get("bucketName")
    if not bucket or _is_ours(old, inputs, "bucketName"):
        return None
    keys = cloudflare(session, old["accountId"], deadline_seconds=LOOK_UP_SECONDS).object_keys(bucket)
    if not keys:
        return None
    if old.get("forceDestroy"):
        session.log.warning(
            f"bucket {bucket} is deleted with its objects; bucket {inputs['bucketName']} begins empty"
        )
        return None
    return Failure(
        "bucketName",
        f"a bucket cannot be renamed, and bucket {bucket} holds objects (the first is {keys[0]}). "
        f"Keep it: pulumi config set assetBucket {bucket}; or give its objects up: with the old name "
        "pulumi config set assetBucketForceDestroy true, pulumi up, then set the new name",
    )


def _is_ours(old: Properties, inputs: Properties, name: str) -> bool:
    return all(old.get(key) == inputs[key] for key in ("accountId", name))


def _switched(worker: Worker, wished: tuple[bool, bool]) -> str:
    """`workers.dev off → on, preview addresses off → on`."""
    sides = zip(("workers.dev", "preview addresses"), (worker.workers_dev, worker.previews), wished, strict=True)
    return ", ".join(f"{what} {_word(now)} → {_word(then)}" for what, now, then in sides if now != then)


def _word(on: bool) -> str:
    return "on" if on else "off"
