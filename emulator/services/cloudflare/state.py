"""What one Cloudflare account holds: Workers with versions and deployments, buckets, custom domains."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emulator.services.cloudflare.envelope import NO_SUCH_BUCKET_CODE, WORKER_NOT_FOUND_CODE, not_found
from emulator.world import World

SUBDOMAIN = "emulator"
AUTHOR_EMAIL = "developer@example.com"
DEPLOYABLE_VERSIONS = 100
JSONObject = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """Immutable once uploaded. `body` is the upload, secrets included: it is never answered as it is."""

    id: str
    number: int
    created_on: str
    worker_name: str
    body: JSONObject

    @property
    def bindings(self) -> list[JSONObject]:
        return list(self.body.get("bindings") or ())

    @property
    def secrets(self) -> dict[str, str]:
        return {item["name"]: item["text"] for item in self.bindings if item["type"] == "secret_text"}

    @property
    def buckets(self) -> set[str]:
        return {item["bucket_name"] for item in self.bindings if item["type"] == "r2_bucket"}


@dataclass(frozen=True)
class Deployment:
    """One entry of the history; `shares` maps version ids to percentages."""

    id: str
    created_on: str
    source: str
    annotations: JSONObject
    shares: dict[str, float]


@dataclass
class Worker:
    """A Worker: `settings` are its script-level fields as sent."""

    id: str
    name: str
    created_on: str
    updated_on: str
    settings: JSONObject
    versions: list[Version] = field(default_factory=list)  # oldest first
    deployments: list[Deployment] = field(default_factory=list)  # newest first: the first is active
    schedules: list[JSONObject] = field(default_factory=list)

    @property
    def active(self) -> Deployment | None:
        return self.deployments[0] if self.deployments else None

    @property
    def serves_subdomain(self) -> bool:
        return bool(self.settings["subdomain"]["enabled"])

    @property
    def serves_previews(self) -> bool:
        return bool(self.settings["subdomain"]["previews_enabled"])

    def version(self, version_id: str) -> Version | None:
        """The version with this id."""
        return next((version for version in self.versions if version.id == version_id), None)

    def version_by_prefix(self, prefix: str) -> Version | None:
        """The newest version whose id begins so; preview hosts carry the first 8 digits."""
        return next((version for version in reversed(self.versions) if version.id.startswith(prefix)), None)

    @property
    def deployable(self) -> list[Version]:
        return self.versions[-DEPLOYABLE_VERSIONS:]


@dataclass
class Bucket:
    """An R2 bucket's settings; its objects are in the object store."""

    id: str
    name: str
    creation_date: str
    location: str
    storage_class: str
    jurisdiction: str
    cors: JSONObject | None = None
    lifecycle: JSONObject = field(default_factory=lambda: {"rules": []})
    public: bool = False
    custom_domains: dict[str, JSONObject] = field(default_factory=dict)

    @property
    def public_label(self) -> str:
        """The `pub-<hash>` label of its r2.dev host."""
        return f"pub-{self.id}"


@dataclass
class WorkerDomain:
    """A hostname bound to a Worker."""

    id: str
    hostname: str
    service: str
    environment: str
    zone_id: str
    zone_name: str


class Account:
    """The one account there is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.workers: dict[str, Worker] = {}
        self.buckets: dict[str, Bucket] = {}
        self.domains: dict[str, WorkerDomain] = {}
        self.deployments_created = 0
        self.versions_created = 0

    def clear(self) -> None:
        """Forget everything."""
        self.workers.clear()
        self.buckets.clear()
        self.domains.clear()
        self.deployments_created = self.versions_created = 0

    def timestamp(self) -> str:
        """Now, as Cloudflare writes it: wall time, because nothing here takes simulated time."""
        return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def new_id(self) -> str:
        """32 hex digits."""
        return uuid.uuid4().hex

    def new_uuid(self) -> str:
        """A version 4 UUID; never repeated, so that nothing old is taken for something new."""
        return str(uuid.uuid4())

    def worker(self, id_or_name: str) -> Worker:
        """By id or by name, as the API allows both."""
        for worker in self.workers.values():
            if id_or_name in {worker.id, worker.name}:
                return worker
        raise not_found("This Worker does not exist on your account.", WORKER_NOT_FOUND_CODE)

    def named_worker(self, name: str) -> Worker | None:
        """The Worker of this name, if any."""
        return next((worker for worker in self.workers.values() if worker.name == name), None)

    def delete_worker(self, worker: Worker) -> None:
        """Remove a Worker and the hostnames bound to it."""
        del self.workers[worker.id]
        self.domains = {key: item for key, item in self.domains.items() if item.service != worker.name}

    def bucket(self, name: str) -> Bucket:
        """The bucket of this name."""
        if name not in self.buckets:
            raise not_found("The specified bucket does not exist.", NO_SUCH_BUCKET_CODE)
        return self.buckets[name]

    def deploy(self, worker: Worker, shares: dict[str, float], annotations: JSONObject) -> Deployment:
        """Put a deployment on top of the history: it takes effect with the next request."""
        deployment = Deployment(self.new_uuid(), self.timestamp(), "api", annotations, dict(shares))
        worker.deployments.insert(0, deployment)
        self.deployments_created += 1
        return deployment

    def worker_url(self, label: str) -> str:
        """The workers.dev address of a Worker, or of a version with its prefix."""
        return f"http://{label}.{SUBDOMAIN}.localhost:{self.world.port}"

    def zone_name(self, hostname: str) -> str:
        """The last two labels: zones themselves are not emulated."""
        return ".".join(hostname.split(".")[-2:])


def digest(text: bytes) -> str:
    """SHA-256 in hex, the form of Cloudflare's script etag."""
    return hashlib.sha256(text).hexdigest()
