"""`/workers/scripts/{script}`: versions, settings, secrets, subdomain, schedules (cloudflare.md 2.6, 2.9, 2.10)."""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import BodyPartReader, web

from emulator.services.cloudflare.envelope import bad_request, json_body, json_object, not_found, success
from emulator.services.cloudflare.state import AUTHOR_EMAIL, Account, JSONObject, Version, Worker, digest
from emulator.services.cloudflare.workers import (
    add_version,
    find_version,
    newest_version,
    shown_bindings,
)

VERSIONS_PAGE = 10
NEWEST_NOT_DEPLOYED = (
    "Secret edit failed. You attempted to modify a secret, "
    "but the latest version of your Worker isn't currently deployed."
)


class Scripts:
    """Handlers of the older API, which names Workers scripts."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def listing(self, _request: web.Request) -> web.Response:
        """GET /workers/scripts."""
        return success([self._script(worker) for worker in self.account.workers.values()])

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /workers/scripts/{script}."""
        self.account.delete_worker(self._worker(request))
        return success(None)

    async def versions(self, request: web.Request) -> web.Response:
        """GET .../versions: newest first, in pages; `deployable=true` gives all that can be deployed."""
        worker = self._worker(request)
        if request.query.get("deployable") == "true":
            chosen = worker.deployable[::-1]
        else:
            size = int(request.query.get("per_page", VERSIONS_PAGE))
            start = (int(request.query.get("page", 1)) - 1) * size
            chosen = worker.versions[::-1][start : start + size]
        return success({"items": [version_item(version) for version in chosen]})

    async def read_version(self, request: web.Request) -> web.Response:
        """GET .../versions/{version}."""
        return success(version_detail(find_version(self._worker(request), request.match_info["version"])))

    async def settings(self, request: web.Request) -> web.Response:
        """GET .../settings: those of the newest version, with the script-level fields."""
        worker = self._worker(request)
        version = newest_version(worker)
        return success(
            {
                "bindings": shown_bindings(version),
                "compatibility_date": version.body.get("compatibility_date"),
                "compatibility_flags": version.body.get("compatibility_flags") or [],
                "usage_model": version.body["usage_model"],
                "logpush": worker.settings["logpush"],
                "observability": worker.settings["observability"],
                "tags": worker.settings["tags"],
                "tail_consumers": worker.settings["tail_consumers"],
            }
        )

    async def patch_settings(self, request: web.Request) -> web.Response:
        """PATCH .../settings: a new version with other bindings, deployed at once."""
        worker = self._worker(request)
        patch = await _settings_part(request)
        latest = newest_version(worker)
        body = {**latest.body, **{name: patch[name] for name in patch if name in _VERSION_SETTINGS}}
        body.pop("annotations", None)
        version = add_version(self.account, worker, body)
        self.account.deploy(worker, {version.id: 100}, {"workers/triggered_by": "settings"})
        return await self.settings(request)

    async def secrets(self, request: web.Request) -> web.Response:
        """GET .../secrets: names only."""
        version = newest_version(self._worker(request))
        return success([{"name": name, "type": "secret_text"} for name in version.secrets])

    async def put_secret(self, request: web.Request) -> web.Response:
        """PUT .../secrets: a new version, deployed at once."""
        secret = await json_object(request)
        if secret.get("type") != "secret_text":
            raise bad_request("A secret's type must be secret_text.")
        self._replace_secret(self._worker(request), str(secret.get("name") or ""), secret)
        return success({"name": secret["name"], "type": "secret_text"})

    async def delete_secret(self, request: web.Request) -> web.Response:
        """DELETE .../secrets/{name}: a new version without it, deployed at once."""
        worker, name = self._worker(request), request.match_info["name"]
        if name not in newest_version(worker).secrets:
            raise not_found(f"Secret {name} does not exist.", 10056)
        self._replace_secret(worker, name, None)
        return success(None)

    def _replace_secret(self, worker: Worker, name: str, secret: JSONObject | None) -> None:
        latest = newest_version(worker)
        if worker.active is not None and latest.id not in worker.active.shares:
            raise bad_request(NEWEST_NOT_DEPLOYED, 10215)
        kept = [item for item in latest.bindings if item["name"] != name]
        added = [{"name": name, "text": secret.get("text"), "type": "secret_text"}] if secret else []
        body = {**latest.body, "bindings": kept + added}
        body.pop("annotations", None)
        version = add_version(self.account, worker, body)
        self.account.deploy(worker, {version.id: 100}, {"workers/triggered_by": "secret"})

    async def subdomain(self, request: web.Request) -> web.Response:
        """GET, POST and DELETE .../subdomain: workers.dev and version previews on or off."""
        worker = self._worker(request)
        if request.method == "POST":
            body = await json_object(request)
            enabled = bool(body.get("enabled"))
            worker.settings["subdomain"] = {
                "enabled": enabled,
                "previews_enabled": bool(body.get("previews_enabled", enabled)),
            }
        if request.method == "DELETE":
            worker.settings["subdomain"] = {"enabled": False, "previews_enabled": False}
        return success(dict(worker.settings["subdomain"]))

    async def schedules(self, request: web.Request) -> web.Response:
        """GET and PUT .../schedules: cron triggers are kept, never run."""
        worker = self._worker(request)
        if request.method == "PUT":
            crons = await json_body(request)
            if not isinstance(crons, list):
                raise bad_request("Schedules are a JSON array of {cron}.")
            now = self.account.timestamp()
            worker.schedules = [{"created_on": now, "cron": item["cron"], "modified_on": now} for item in crons]
        return success({"schedules": worker.schedules})

    def _worker(self, request: web.Request) -> Worker:
        return self.account.worker(request.match_info["script"])

    def _script(self, worker: Worker) -> JSONObject:
        return {
            "id": worker.name,
            "created_on": worker.created_on,
            "modified_on": worker.updated_on,
            "has_modules": True,
            "logpush": worker.settings["logpush"],
            "usage_model": "standard",
        }


_VERSION_SETTINGS = frozenset({"bindings", "compatibility_date", "compatibility_flags", "limits", "placement"})


async def _settings_part(request: web.Request) -> dict[str, Any]:
    """The patch: JSON, or the `settings` part of a form as the older API wants it."""
    if not request.content_type.startswith("multipart/"):
        return await json_object(request)
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "settings":
            settings = json.loads(await part.read())
            return settings if isinstance(settings, dict) else {}
    raise bad_request("The form has no part named settings.")


def version_item(version: Version) -> JSONObject:
    """A version in a list."""
    metadata = {
        "created_on": version.created_on,
        "modified_on": version.created_on,
        "source": "api",
        "author_email": AUTHOR_EMAIL,
        "hasPreview": True,
    }
    annotations = {**version.body["annotations"], "workers/triggered_by": "create_version_api"}
    return {"id": version.id, "number": version.number, "metadata": metadata, "annotations": annotations}


def version_detail(version: Version) -> JSONObject:
    """One version with its resources."""
    main = next(item for item in version.body["modules"] if item["name"] == version.body["main_module"])
    runtime = {
        "compatibility_date": version.body.get("compatibility_date"),
        "compatibility_flags": version.body.get("compatibility_flags") or [],
        "usage_model": version.body["usage_model"],
    }
    script = {
        "etag": digest(base64.b64decode(main["content_base64"])),
        "handlers": ["fetch"],
        "last_deployed_from": "api",
    }
    resources = {"bindings": shown_bindings(version), "script": script, "script_runtime": runtime}
    return {**version_item(version), "resources": resources, "startup_time_ms": 3}
