"""`/workers/scripts/{script}/deployments` (cloudflare.md 2.5, 2.10, 4.1, 9.2; recordings 10-switch, 31-10220)."""

from __future__ import annotations

from aiohttp import web

from emulator.services.cloudflare.envelope import bad_request, json_object, not_found, success
from emulator.services.cloudflare.state import AUTHOR_EMAIL, Account, Deployment, JSONObject, Version, Worker
from emulator.services.cloudflare.workers import check_buckets

MESSAGE_BYTES = 1000
SECRETS_CHANGED_CODE = 10220


class Deployments:
    """Handlers over a Worker's deployment history."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def create(self, request: web.Request) -> web.Response:
        """POST: traffic to one or two versions. `?force=true` also across changed secrets."""
        worker, body = self._worker(request), await json_object(request)
        shares = requested_shares(body)
        versions = deployable_versions(worker, shares)
        for version in versions:
            check_buckets(self.account, version.buckets)
        if request.query.get("force") != "true":
            check_secrets(worker, versions)
        annotations = dict(body.get("annotations") or {})
        if len(str(annotations.get("workers/message", "")).encode()) > MESSAGE_BYTES:
            raise bad_request(f"workers/message must not be longer than {MESSAGE_BYTES} bytes.")
        annotations["workers/triggered_by"] = "deployment"
        return success(deployment_view(self.account.deploy(worker, shares, annotations)))

    async def listing(self, request: web.Request) -> web.Response:
        """GET: newest first, the first one is active."""
        return success({"deployments": [deployment_view(item) for item in self._worker(request).deployments]})

    async def read(self, request: web.Request) -> web.Response:
        """GET of one."""
        return success(deployment_view(self._deployment(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE of one that is not active."""
        worker, deployment = self._worker(request), self._deployment(request)
        if deployment is worker.active:
            raise bad_request("The active deployment cannot be deleted.")
        worker.deployments.remove(deployment)
        return success(None)

    def _worker(self, request: web.Request) -> Worker:
        return self.account.worker(request.match_info["script"])

    def _deployment(self, request: web.Request) -> Deployment:
        wanted = request.match_info["deployment"]
        for deployment in self._worker(request).deployments:
            if deployment.id == wanted:
                return deployment
        raise not_found(f"Deployment {wanted} does not exist.")


def requested_shares(body: JSONObject) -> dict[str, float]:
    """The asked split: one or two distinct versions, 0 allowed, 100 in total."""
    if body.get("strategy") != "percentage":
        raise bad_request("strategy must be 'percentage'.")
    versions = body.get("versions") or []
    shares = {str(item.get("version_id")): float(item.get("percentage", 0)) for item in versions}
    if not 1 <= len(versions) <= 2 or len(shares) != len(versions):
        raise bad_request("A deployment has one or two distinct versions.")
    if any(not 0 <= share <= 100 for share in shares.values()) or abs(sum(shares.values()) - 100) > 0.001:
        raise bad_request("The percentages of a deployment must be between 0 and 100 and total 100.")
    return shares


def deployable_versions(worker: Worker, shares: dict[str, float]) -> list[Version]:
    """The named versions; unknown ones and those before the last 100 are refused."""
    by_id = {version.id: version for version in worker.deployable}
    for version_id in shares:
        if version_id not in by_id:
            raise bad_request(f"Version {version_id} does not exist or can no longer be deployed.")
    return [by_id[version_id] for version_id in shares]


def check_secrets(worker: Worker, versions: list[Version]) -> None:
    """10220 on the way back to an older version with other secrets: only `force` passes that.

    A newer version is not refused (recording 10-secret). wrangler names 10220 CANNOT_ROLLBACK_WITH_MODIFIED_SECERT_CODE
    and says of it that secrets "have changed since the target version was deployed".
    """
    if worker.active is None:
        return
    active = worker.version(max(worker.active.shares, key=worker.active.shares.__getitem__))
    if active is None:
        return
    changed = {
        name
        for version in versions
        if version.number < active.number
        for name in active.secrets.keys() | version.secrets.keys()
        if active.secrets.get(name) != version.secrets.get(name)
    }
    if changed:
        raise bad_request(f"Secret bindings changed: {', '.join(sorted(changed))}", SECRETS_CHANGED_CODE)


def deployment_view(deployment: Deployment) -> JSONObject:
    """A deployment as the API shows it."""
    versions = [
        {"percentage": int(share) if share == int(share) else share, "version_id": version_id}
        for version_id, share in deployment.shares.items()
    ]
    return {
        "id": deployment.id,
        "source": deployment.source,
        "strategy": "percentage",
        "author_email": AUTHOR_EMAIL,
        "annotations": dict(deployment.annotations),
        "created_on": deployment.created_on,
        "versions": versions,
    }
