"""The objects in the asset bucket: nobody's business until `pulumi destroy`, which cannot delete a bucket with them.

This resource depends on the bucket, so it is deleted before it: with `forceDestroy` it empties the bucket, without
it says at once what is in the way, instead of minutes of retries by the Cloudflare plugin.
"""

# ruff: noqa: ARG002 - all controllers have the same signatures
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.resource_provider.controller import Checked, Created, Diff, Failure, Live, Properties, Session
from infra.resource_provider.proof import cloudflare
from provider_client.errors import Cancelled, ConfigError

IDENTITY = ("accountId", "bucketName")
DELETES_IN_FLIGHT = 8  # of the 200 requests a second that Cloudflare takes from one address


class BucketContentsController:
    """Writes nothing but on delete."""

    secret_properties: frozenset[str] = frozenset()

    def check(self, session: Session, old_inputs: Properties, inputs: Properties) -> Checked:
        return Checked(inputs, tuple(Failure(name, "is required") for name in IDENTITY if not inputs.get(name)))

    def diff(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Diff:
        changed = {name for name in (*IDENTITY, "forceDestroy") if state.get(name) != inputs.get(name)}
        return Diff(
            changed=tuple(sorted(changed - set(IDENTITY))), replaces=tuple(sorted(changed & set(IDENTITY)))
        )

    def create(self, session: Session, inputs: Properties, *, preview: bool) -> Created:
        return Created("" if preview else _identifier(inputs), dict(inputs))

    def read(self, session: Session, resource_id: str, state: Properties, inputs: Properties) -> Live | None:
        account_id, _, bucket = resource_id.partition("/")
        live = {"forceDestroy": False, **inputs, "accountId": account_id, "bucketName": bucket}
        return Live(resource_id, live, live)

    def update(
        self, session: Session, resource_id: str, state: Properties, inputs: Properties, *, preview: bool
    ) -> Properties:
        return dict(inputs)

    def delete(self, session: Session, resource_id: str, state: Properties) -> None:
        api, bucket = cloudflare(session, state["accountId"]), state["bucketName"]
        keys = api.object_keys(bucket)
        if keys and not state.get("forceDestroy"):
            raise ConfigError(
                f"bucket {bucket} holds objects (the first is {keys[0]}), and Cloudflare deletes only empty buckets",
                fix="let destroy empty it: `pulumi config set assetBucketForceDestroy true`, `pulumi up`, "
                "`pulumi destroy`; or keep it: `pulumi state delete` its resources first",
            )
        deleted = 0
        with ThreadPoolExecutor(DELETES_IN_FLIGHT) as pool:
            while keys and not session.cancelled.is_set():
                list(pool.map(lambda key: api.delete_object(bucket, key), keys))
                deleted += len(keys)
                session.log.status(f"{deleted} objects deleted")
                keys = api.object_keys(bucket)
        if keys:  # said to be deleted, the bucket would be next, and is not empty
            raise Cancelled(f"stopped with {deleted} objects of bucket {bucket} deleted and others left")


def _identifier(inputs: dict[str, Any]) -> str:
    return f"{inputs['accountId']}/{inputs['bucketName']}"
