"""`/workers/workers`: Workers and their versions (cloudflare.md 2.3, 2.4; recordings 01-create, 03-refresh)."""

from __future__ import annotations

import base64
import binascii
import re
from copy import deepcopy
from typing import Any

from aiohttp import web

from emulator.services.cloudflare.envelope import (
    UNKNOWN_CODE,
    VALIDATION_CODE,
    Refusal,
    bad_request,
    json_object,
    not_found,
    success,
)
from emulator.services.cloudflare.state import Account, JSONObject, Version, Worker

WORKER_FIELDS = ("logpush", "observability", "subdomain", "tags", "tail_consumers")
WORKER_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
OBSERVABILITY = {
    "enabled": False,
    "head_sampling_rate": 1,
    "logs": {
        "destinations": [],
        "enabled": False,
        "head_sampling_rate": 1,
        "invocation_logs": True,
        "persist": True,
    },
    "traces": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True},
}
# binding type -> the fields it must have; types outside are refused: workerd could not be given them
BINDING_FIELDS: dict[str, tuple[str, ...]] = {
    "plain_text": ("text",),
    "secret_text": ("text",),
    "json": ("json",),
    "r2_bucket": ("bucket_name",),
    "version_metadata": (),
}
MODULE_TYPES = frozenset(
    {
        "application/javascript+module",
        "application/javascript",
        "application/json",
        "application/octet-stream",
        "application/wasm",
        "text/plain",
    }
)


class Workers:
    """Handlers over the account's Workers."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def create(self, request: web.Request) -> web.Response:
        """POST /workers/workers."""
        body = await json_object(request)
        name = str(body.get("name") or "")
        if not WORKER_NAME.fullmatch(name):
            raise bad_request(f"Invalid Worker name: {name!r}.", VALIDATION_CODE)
        if self.account.named_worker(name):
            raise Refusal(409, UNKNOWN_CODE, f"A Worker named {name!r} already exists on your account.")
        now = self.account.timestamp()
        worker = Worker(self.account.new_id(), name, now, now, worker_settings(body))
        self.account.workers[worker.id] = worker
        return success(self.view(worker))

    async def listing(self, _request: web.Request) -> web.Response:
        """GET /workers/workers."""
        return success([self.view(worker) for worker in self.account.workers.values()])

    async def read(self, request: web.Request) -> web.Response:
        """GET /workers/workers/{worker}."""
        return success(self.view(self._worker(request)))

    async def update(self, request: web.Request) -> web.Response:
        """PUT /workers/workers/{worker}."""
        worker, body = self._worker(request), await json_object(request)
        name = str(body.get("name") or worker.name)
        clash = self.account.named_worker(name)
        if clash is not None and clash is not worker:
            raise Refusal(409, UNKNOWN_CODE, f"A Worker named {name!r} already exists on your account.")
        worker.name, worker.settings = name, worker_settings(body)
        worker.updated_on = self.account.timestamp()
        return success(self.view(worker))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /workers/workers/{worker}."""
        self.account.delete_worker(self._worker(request))
        return success(None)

    async def create_version(self, request: web.Request) -> web.Response:
        """POST /workers/workers/{worker}/versions."""
        worker, body = self._worker(request), await json_object(request)
        version = add_version(self.account, worker, body)
        if request.query.get("deploy") == "true":
            self.account.deploy(worker, {version.id: 100}, {"workers/triggered_by": "upload"})
        return success(version_view(self.account, worker, version))

    async def versions(self, request: web.Request) -> web.Response:
        """GET /workers/workers/{worker}/versions."""
        worker = self._worker(request)
        return success([version_view(self.account, worker, version) for version in reversed(worker.versions)])

    async def read_version(self, request: web.Request) -> web.Response:
        """GET /workers/workers/{worker}/versions/{version}[?include=modules]."""
        worker = self._worker(request)
        version = find_version(worker, request.match_info["version"])
        modules = request.query.get("include") == "modules"
        return success(version_view(self.account, worker, version, modules=modules))

    async def patch_latest_version(self, request: web.Request) -> web.Response:
        """PATCH /workers/workers/{worker}/versions/latest: a new version, not deployed (cloudflare.md 2.10)."""
        worker, patch = self._worker(request), await json_object(request)
        latest = newest_version(worker)
        body = {**latest.body, "annotations": dict(patch.get("annotations") or {})}
        changes: dict[str, Any] = patch.get("env") or {}
        kept = [item for item in latest.bindings if item["name"] not in changes]
        added = [{"name": name, **change} for name, change in changes.items() if change is not None]
        body["bindings"] = kept + added
        return success(version_view(self.account, worker, add_version(self.account, worker, body)))

    def view(self, worker: Worker) -> JSONObject:
        """A Worker as the API shows it."""
        domains = [
            {"id": item.id, "hostname": item.hostname, "zone_id": item.zone_id, "zone_name": item.zone_name}
            for item in self.account.domains.values()
            if item.service == worker.name
        ]
        references = {
            "dispatch_namespace_outbounds": [],
            "domains": domains,
            "durable_objects": [],
            "queues": [],
            "workers": [],
        }
        return {
            "id": worker.id,
            "name": worker.name,
            "created_on": worker.created_on,
            "updated_on": worker.updated_on,
            "deployed_on": worker.active.created_on if worker.active else None,
            "references": references,
            **deepcopy(worker.settings),
        }

    def _worker(self, request: web.Request) -> Worker:
        return self.account.worker(request.match_info["worker"])


def worker_settings(body: JSONObject) -> JSONObject:
    """The script-level fields as sent, defaults where nothing was sent (cloudflare.md 2.3)."""
    defaults = {"logpush": False, "observability": deepcopy(OBSERVABILITY), "tags": [], "tail_consumers": []}
    settings = {**defaults, **{name: body[name] for name in WORKER_FIELDS if body.get(name) is not None}}
    subdomain = dict(settings.get("subdomain") or {})
    subdomain.setdefault("enabled", False)
    subdomain.setdefault("previews_enabled", subdomain["enabled"])
    settings["subdomain"] = subdomain
    return settings


def add_version(account: Account, worker: Worker, body: JSONObject) -> Version:
    """Check an upload and keep it as the Worker's newest version."""
    body = {name: value for name, value in body.items() if value is not None}
    body.setdefault("usage_model", "standard")
    body["annotations"] = dict(body.get("annotations") or {})
    body["bindings"] = sorted(resolved_bindings(worker, body), key=lambda item: str(item["name"]))
    check_modules(body)
    check_buckets(account, {item["bucket_name"] for item in body["bindings"] if item["type"] == "r2_bucket"})
    number = worker.versions[-1].number + 1 if worker.versions else 1
    version = Version(account.new_uuid(), number, account.timestamp(), worker.name, body)
    worker.versions.append(version)
    account.versions_created += 1
    return version


def resolved_bindings(worker: Worker, body: JSONObject) -> list[JSONObject]:
    """The bindings with `inherit` replaced by the newest version's binding of that name."""
    bindings: list[JSONObject] = []
    for item in body.get("bindings") or ():
        if item.get("type") != "inherit":
            check_binding(item)
            bindings.append(item)
            continue
        earlier = worker.versions[-1].bindings if worker.versions else []
        source = next((old for old in earlier if old["name"] == item["name"]), None)
        if source is None:
            raise bad_request(f"Binding {item['name']!r}: no earlier version to inherit it from.", VALIDATION_CODE)
        bindings.append(source)
    names = [str(item["name"]) for item in bindings]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise bad_request(f"Bindings must have unique names: {', '.join(sorted(duplicates))}.", VALIDATION_CODE)
    return bindings


def check_binding(binding: JSONObject) -> None:
    """Refuse a binding that Cloudflare would refuse, or that cannot be emulated."""
    name, kind = binding.get("name"), str(binding.get("type"))
    if not isinstance(name, str) or not name:
        raise bad_request("Every binding needs a name.", VALIDATION_CODE)
    if kind not in BINDING_FIELDS:
        raise bad_request(f"Binding {name!r}: type {kind!r} is not emulated.", VALIDATION_CODE)
    missing = [field for field in BINDING_FIELDS[kind] if binding.get(field) is None]
    if missing:
        raise bad_request(f"Binding {name!r} of type {kind} needs {', '.join(missing)}.", VALIDATION_CODE)


def check_modules(body: JSONObject) -> None:
    """Modules must decode, be of a known type, and include the main module."""
    modules = body.get("modules") or []
    for module in modules:
        if module.get("content_type") not in MODULE_TYPES:
            raise bad_request(f"Module {module.get('name')!r}: unknown content type.", VALIDATION_CODE)
        try:
            base64.b64decode(module.get("content_base64") or "", validate=True)
        except binascii.Error as error:
            raise bad_request(f"Module {module.get('name')!r} is not valid base64.", VALIDATION_CODE) from error
    if body.get("main_module") not in {module.get("name") for module in modules}:
        raise bad_request(f"No such module {body.get('main_module')!r}: it is the main module.", VALIDATION_CODE)


def check_buckets(account: Account, names: set[str]) -> None:
    """Refuse R2 bindings without a bucket, in the words of workers-sdk issue 9418."""
    for name in sorted(names - account.buckets.keys()):
        raise bad_request(f"R2 bucket '{name}' not found. Please use a different name and try again.", 10085)


def version_view(account: Account, worker: Worker, version: Version, *, modules: bool = False) -> JSONObject:
    """A version as the API shows it: without the text of secrets, with modules only when asked."""
    shown = {name: value for name, value in version.body.items() if name != "modules" or modules}
    urls = [account.worker_url(f"{version.id[:8]}-{worker.name}")] if worker.serves_previews else []
    annotations = {**version.body["annotations"], "workers/triggered_by": "create_version_api"}
    return {
        **deepcopy(shown),
        "id": version.id,
        "number": version.number,
        "created_on": version.created_on,
        "source": "api",
        "startup_time_ms": 3,
        "urls": urls,
        "annotations": annotations,
        "bindings": shown_bindings(version),
    }


def shown_bindings(version: Version) -> list[JSONObject]:
    """The bindings as answers show them: sorted by name, secrets without text."""
    return [shown_binding(item) for item in version.bindings]


def shown_binding(binding: JSONObject) -> JSONObject:
    if binding["type"] == "secret_text":
        return {"name": binding["name"], "type": "secret_text"}
    return dict(binding)


def find_version(worker: Worker, version_id: str) -> Version:
    """By id; `latest` is the newest."""
    if version_id == "latest":
        return newest_version(worker)
    version = worker.version(version_id)
    if version is None:
        raise not_found(f"Version {version_id} does not exist.")
    return version


def newest_version(worker: Worker) -> Version:
    """The last uploaded version."""
    if not worker.versions:
        raise bad_request("This Worker has no versions yet.", 10222)
    return worker.versions[-1]
