"""The deployment history as Cloudflare keeps it, with our messages read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from provider_client.cloudflare import CloudflareApi, Deployment, WorkerVersion
from provider_client.errors import NotFoundError
from provider_client.rollout.messages import DeploymentMessage, one_line
from provider_client.rollout.traffic import Share, Split

OUR_VERSIONS = "switchback provider="  # infra/components/image_api.py writes it; others' tags mean something else


class WorkerHistory:
    """What Cloudflare knows about one Worker; each thing is asked for once, when it is needed."""

    def __init__(self, api: CloudflareApi, worker: str) -> None:
        self._api, self.worker = api, worker
        self._detailed: dict[str, WorkerVersion] = {}

    @cached_property
    def deployments(self) -> list[Deployment]:
        """Newest first; the first one is active."""
        return self._api.deployments(self.worker)

    @cached_property
    def deployable(self) -> list[WorkerVersion]:
        """Versions that can still be given traffic: the last 100 that were uploaded."""
        return self._api.versions(self.worker, deployable=True)

    @property
    def active(self) -> Deployment | None:
        return self.deployments[0] if self.deployments else None

    def version(self, version_id: str) -> WorkerVersion:
        if version_id not in self._detailed:
            self._detailed[version_id] = self._api.version(self.worker, version_id)
        return self._detailed[version_id]

    def provider_of(self, version_id: str) -> str | None:
        """By our own mark in the list, else by the version's binding; None for a version that is gone."""
        listed = next((one for one in self.deployable if one.id == version_id), None)
        if listed is not None and listed.message.startswith(OUR_VERSIONS):
            return listed.provider
        try:
            return self.version(version_id).provider
        except NotFoundError:
            return None

    def split(self, deployment: Deployment) -> Split:
        """A deployment with the provider of each of its versions."""
        return tuple(
            Share(self.provider_of(share.version_id) or "unknown", share.version_id, share.percent)
            for share in deployment.versions
        )


@dataclass(frozen=True)
class Entry:
    """One line of the history. `kind` is up, rollback, restore, or "other" for a deployment that is not ours."""

    deployment_id: str
    at: str
    kind: str
    traffic: str
    actor: str
    reason: str
    source: str
    fields: dict[str, str]


def entries(deployments: Iterable[Deployment], providers: dict[str, str]) -> list[Entry]:
    """The history, newest first. `providers` names the provider of the version ids that are known."""
    return [_entry(deployment, providers) for deployment in deployments]


def _entry(deployment: Deployment, providers: dict[str, str]) -> Entry:
    message = DeploymentMessage.parse(deployment.message)
    fields = dict(message.fields) if message else {}
    traffic = " + ".join(
        f"{providers.get(share.version_id) or share.version_id[:8]} {share.percent:g} %"
        for share in deployment.versions
    )
    return Entry(
        deployment_id=deployment.id,
        at=deployment.created_on,
        kind=str(message.kind) if message else "other",
        traffic=traffic,
        actor=fields.get("actor") or deployment.author_email,
        reason=fields.get("reason", "") if message else one_line(deployment.message),
        source=deployment.source,
        fields=fields,
    )
