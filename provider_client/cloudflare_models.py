"""What Cloudflare's API tells of Workers, versions and deployments, and how its answers are read.

The answers of the older (`metadata`, `resources`) and the newer versions API are both understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROVIDER_BINDING = "IMAGE_GENERATION_PROVIDER"
OUR_MESSAGE = "switchback "  # what every version's message of ours begins with (infra/components/image_api)


@dataclass(frozen=True)
class Worker:
    """A Worker as it is known by its immutable id; `workers_dev` and `previews` are where it answers."""

    id: str
    name: str
    workers_dev: bool
    previews: bool


@dataclass(frozen=True)
class VersionShare:
    """How much of the traffic one version gets; 0 keeps it reachable through the override header alone."""

    version_id: str
    percent: float


@dataclass(frozen=True)
class Deployment:
    """One entry of the deployment history: which versions got traffic, since when, by whom, with what message."""

    id: str
    created_on: str
    source: str
    author_email: str
    versions: tuple[VersionShare, ...]
    message: str
    triggered_by: str

    @property
    def main_version_id(self) -> str:
        """The version with the largest share."""
        return max(self.versions, key=lambda share: share.percent).version_id


@dataclass(frozen=True)
class WorkerVersion:
    """One uploaded version. `provider` comes from its binding, or from its tag in answers without bindings."""

    id: str
    number: int
    created_on: str
    tag: str
    message: str
    provider: str | None
    bindings: tuple[Mapping[str, Any], ...]
    urls: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        """Uploaded by this project's program, so that /health tells provider and version; others need not."""
        return self.message.startswith(OUR_MESSAGE)


def worker_of(item: Mapping[str, Any]) -> Worker:
    subdomain = item.get("subdomain") or {}
    return Worker(
        id=str(item.get("id") or ""),
        name=str(item.get("name") or ""),
        workers_dev=bool(subdomain.get("enabled")),
        previews=bool(subdomain.get("previews_enabled")),
    )


def deployment_of(item: Mapping[str, Any]) -> Deployment:
    annotations = item.get("annotations") or {}
    return Deployment(
        id=str(item.get("id") or ""),
        created_on=str(item.get("created_on") or ""),
        source=str(item.get("source") or ""),
        author_email=str(item.get("author_email") or ""),
        versions=tuple(
            VersionShare(str(share["version_id"]), float(share["percentage"]))
            for share in item.get("versions") or ()
        ),
        message=str(annotations.get("workers/message") or ""),
        triggered_by=str(annotations.get("workers/triggered_by") or ""),
    )


def version_of(item: Mapping[str, Any]) -> WorkerVersion:
    metadata = item.get("metadata") or {}
    annotations = item.get("annotations") or {}
    bindings = tuple(item.get("bindings") or (item.get("resources") or {}).get("bindings") or ())
    tag = str(annotations.get("workers/tag") or "")
    bound = [binding.get("text") for binding in bindings if binding.get("name") == PROVIDER_BINDING]
    provider = (bound[0] if bound else None) or tag or None
    return WorkerVersion(
        id=str(item.get("id") or ""),
        number=int(item.get("number") or 0),
        created_on=str(item.get("created_on") or metadata.get("created_on") or ""),
        tag=tag,
        message=str(annotations.get("workers/message") or ""),
        provider=str(provider) if provider else None,
        bindings=bindings,
        urls=tuple(str(url) for url in item.get("urls") or ()),
    )
