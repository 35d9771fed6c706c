"""Cloudflare's API v4 for Workers and R2, as far as Switchback and its Pulumi plugin call it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from emulator.services.cloudflare.buckets import Buckets
from emulator.services.cloudflare.deployments import Deployments
from emulator.services.cloudflare.domains import Domains
from emulator.services.cloudflare.envelope import (
    AUTHENTICATION_CODE,
    VALIDATION_CODE,
    Refusal,
    error_envelope,
    refusal,
)
from emulator.services.cloudflare.objects import Objects
from emulator.services.cloudflare.scripts import Scripts
from emulator.services.cloudflare.state import Account
from emulator.services.cloudflare.workers import Workers
from emulator.world import World

Handler = Callable[[web.Request], Awaitable[web.Response]]
PREFIX = "/client/v4"
logger = logging.getLogger(__name__)


class Cloudflare:
    """The service behind CLOUDFLARE_BASE_URL."""

    name = "cloudflare"

    def __init__(self, world: World) -> None:
        self.world = world
        self.account = Account(world)

    def routes(self) -> Iterable[web.RouteDef]:
        """Every call that is emulated; anything else is refused loudly."""
        account = f"{PREFIX}/accounts/{{account}}"
        for methods, path, handler in [*self._worker_routes(), *self._script_routes(), *self._bucket_routes()]:
            for method in methods.split():
                yield web.route(method, account + path, self._guarded(handler))
        yield web.get(f"{PREFIX}/user/tokens/verify", self._guarded(Domains(self.account).verify_token))
        yield web.route("*", f"{PREFIX}/{{rest:.*}}", self.unknown)

    def _worker_routes(self) -> list[tuple[str, str, Handler]]:
        workers, domains = Workers(self.account), Domains(self.account)
        one = "/workers/workers/{worker}"
        return [
            ("GET", "/workers/workers", workers.listing),
            ("POST", "/workers/workers", workers.create),
            ("GET", one, workers.read),
            ("PUT", one, workers.update),
            ("DELETE", one, workers.delete),
            ("GET", f"{one}/versions", workers.versions),
            ("POST", f"{one}/versions", workers.create_version),
            ("PATCH", f"{one}/versions/latest", workers.patch_latest_version),
            ("GET", f"{one}/versions/{{version}}", workers.read_version),
            ("GET", "/workers/domains", domains.listing),
            ("PUT", "/workers/domains", domains.put),
            ("GET", "/workers/domains/{domain}", domains.read),
            ("DELETE", "/workers/domains/{domain}", domains.delete),
            ("GET", "/workers/subdomain", domains.subdomain),
        ]

    def _script_routes(self) -> list[tuple[str, str, Handler]]:
        scripts, deployments = Scripts(self.account), Deployments(self.account)
        one = "/workers/scripts/{script}"
        return [
            ("GET", "/workers/scripts", scripts.listing),
            ("DELETE", one, scripts.delete),
            ("GET", f"{one}/deployments", deployments.listing),
            ("POST", f"{one}/deployments", deployments.create),
            ("GET", f"{one}/deployments/{{deployment}}", deployments.read),
            ("DELETE", f"{one}/deployments/{{deployment}}", deployments.delete),
            ("GET", f"{one}/versions", scripts.versions),
            ("GET", f"{one}/versions/{{version}}", scripts.read_version),
            ("GET", f"{one}/settings", scripts.settings),
            ("PATCH", f"{one}/settings", scripts.patch_settings),
            ("GET", f"{one}/secrets", scripts.secrets),
            ("PUT", f"{one}/secrets", scripts.put_secret),
            ("DELETE", f"{one}/secrets/{{name}}", scripts.delete_secret),
            ("GET POST DELETE", f"{one}/subdomain", scripts.subdomain),
            ("GET PUT", f"{one}/schedules", scripts.schedules),
        ]

    def _bucket_routes(self) -> list[tuple[str, str, Handler]]:
        buckets, objects = Buckets(self.account), Objects(self.account)
        one = "/r2/buckets/{bucket}"
        return [
            ("GET", "/r2/buckets", buckets.listing),
            ("POST", "/r2/buckets", buckets.create),
            ("GET", one, buckets.read),
            ("PATCH", one, buckets.update),
            ("DELETE", one, buckets.delete),
            ("GET", f"{one}/objects", objects.listing),
            ("DELETE", f"{one}/objects/{{key:.+}}", objects.delete),
            ("GET PUT DELETE", f"{one}/cors", buckets.cors),
            ("GET PUT", f"{one}/lifecycle", buckets.lifecycle),
            ("GET PUT", f"{one}/domains/managed", buckets.managed_domain),
            ("GET", f"{one}/domains/custom", buckets.custom_domains),
            ("POST", f"{one}/domains/custom", buckets.create_custom_domain),
            ("GET PUT DELETE", f"{one}/domains/custom/{{domain}}", buckets.custom_domain),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            status = self.world.rejects(token if scheme == "Bearer" else None)
            if status is not None:
                return refusal(status, AUTHENTICATION_CODE, "Authentication error")
            if request.match_info.get("account", self.world.account_id) != self.world.account_id:
                return refusal(403, AUTHENTICATION_CODE, "Authentication error")
            try:
                return await handler(request)
            except Refusal as error:
                return refusal(error.status, error.code, error.message)
            except (AttributeError, KeyError, TypeError, ValueError) as error:  # a field of a form the API has not
                logger.warning("Cloudflare call with a malformed field: %s %s", request.method, request.path)
                return refusal(400, VALIDATION_CODE, f"A field is missing or malformed ({error!r}).")

        return guarded

    async def unknown(self, request: web.Request) -> web.Response:
        """A call that is not emulated: 404 in Cloudflare's form, and an error in the log."""
        logger.error("Cloudflare call is not emulated: %s %s", request.method, request.path)
        return refusal(404, 7000, "No route for that URI")

    def error_body(self, status: int) -> dict[str, object]:
        """Cloudflare's words for an armed fault (recordings 30-401, 30-403, 30-429)."""
        if status in {401, 403}:
            return error_envelope(AUTHENTICATION_CODE, "Authentication error")
        if status == 429:
            return error_envelope(10429, "rate limited")
        return error_envelope(10013, "workers.api.error.unknown")

    def reset(self) -> None:
        """Forget all Workers, buckets and domains."""
        self.account.clear()

    def summary(self) -> dict[str, object]:
        """Counters, and what gets traffic now."""
        active = {worker.name: worker.active.shares for worker in self.account.workers.values() if worker.active}
        return {
            "workers": sorted(worker.name for worker in self.account.workers.values()),
            "buckets": sorted(self.account.buckets),
            "versions": self.account.versions_created,
            "deployments": self.account.deployments_created,
            "active": active,
        }
