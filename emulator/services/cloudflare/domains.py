"""`/workers/domains` and the calls about the account itself (cloudflare.md 2.9; recording 01-create)."""

from __future__ import annotations

from aiohttp import web

from emulator.services.cloudflare.envelope import Refusal, json_object, not_found, success
from emulator.services.cloudflare.state import SUBDOMAIN, Account, JSONObject, WorkerDomain

HOSTNAME_IN_USE_CODE = 100116
# code and words as users report them (alchemy-run/alchemy-async #1384, 2026-04-13)
HOSTNAME_IN_USE = (
    "Hostname '{}' already in use by other custom domain. Either delete it, try a different hostname, "
    "or use the option 'override_existing_origin' to override."
)


class Domains:
    """Hostnames of Workers."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def put(self, request: web.Request) -> web.Response:
        """PUT /workers/domains: bind a hostname to a Worker; away from another one only when told to."""
        body = await json_object(request)
        hostname, service = str(body["hostname"]), self.account.worker(str(body["service"])).name
        known = next((item for item in self.account.domains.values() if item.hostname == hostname), None)
        if known and known.service != service and body.get("override_existing_origin") is not True:
            raise Refusal(409, HOSTNAME_IN_USE_CODE, HOSTNAME_IN_USE.format(hostname))
        domain = WorkerDomain(
            id=known.id if known else self.account.new_id(),
            hostname=hostname,
            service=service,
            environment=str(body.get("environment") or "production"),
            zone_id=str(body.get("zone_id") or ""),
            zone_name=str(body.get("zone_name") or self.account.zone_name(hostname)),
        )
        self.account.domains[domain.id] = domain
        return success(domain_view(domain))

    async def listing(self, request: web.Request) -> web.Response:
        """GET /workers/domains[?hostname=]."""
        hostname = request.query.get("hostname")
        domains = self.account.domains.values()
        return success([domain_view(domain) for domain in domains if hostname in {None, domain.hostname}])

    async def read(self, request: web.Request) -> web.Response:
        """GET /workers/domains/{domain}."""
        return success(domain_view(self._domain(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /workers/domains/{domain}."""
        del self.account.domains[self._domain(request).id]
        return success(None)

    async def subdomain(self, _request: web.Request) -> web.Response:
        """GET /workers/subdomain: the account's name under workers.dev."""
        return success({"subdomain": SUBDOMAIN})

    async def verify_token(self, _request: web.Request) -> web.Response:
        """GET /user/tokens/verify."""
        return success({"id": "0" * 32, "status": "active"})

    def _domain(self, request: web.Request) -> WorkerDomain:
        domain = self.account.domains.get(request.match_info["domain"])
        if domain is None:
            raise not_found("The custom domain does not exist.", 10114)
        return domain


def domain_view(domain: WorkerDomain) -> JSONObject:
    """A custom domain as the API shows it."""
    return {
        "environment": domain.environment,
        "hostname": domain.hostname,
        "id": domain.id,
        "service": domain.service,
        "zone_id": domain.zone_id,
        "zone_name": domain.zone_name,
    }
