"""A team that has a Worker and a bucket starts from there; a clash of names is told before anything is made."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from emulator.supervisor import Emulator
from tests.end_to_end.conftest import changes, expect_success
from tests.end_to_end.test_switch import break_down_after_the_move

pytestmark = pytest.mark.engine

LEGACY = b'export default { fetch: () => new Response("the legacy API") };'


class Account:
    """The team's account before Switchback: a Worker made with other tools, and a bucket with a picture."""

    def __init__(self, emulator: Emulator) -> None:
        environment = emulator.environment()
        self._url = f"{environment['CLOUDFLARE_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}"
        self._headers = {"Authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"}
        self.address = f"http://gateway.emulator.localhost:{emulator.port}"
        settings = {"name": "gateway", "subdomain": {"enabled": True}, "tags": ["team-art"]}
        self.worker_id = str(self.call("POST", "workers/workers", {**settings, "logpush": True})["id"])
        module = {
            "name": "worker.js",
            "content_type": "application/javascript+module",
            "content_base64": base64.b64encode(LEGACY).decode(),
        }
        upload = {"main_module": "worker.js", "modules": [module], "compatibility_date": "2026-01-01"}
        version = self.call("POST", f"workers/workers/{self.worker_id}/versions", upload)
        self.version_id = str(version["id"])
        split = {"strategy": "percentage", "versions": [{"version_id": self.version_id, "percentage": 100}]}
        self.call("POST", "workers/scripts/gateway/deployments", split)
        bucket = {"name": "gateway-assets", "locationHint": "enam", "storageClass": "InfrequentAccess"}
        self.call("POST", "r2/buckets", bucket)

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(method, f"{self._url}/{path}", json=body, headers=self._headers)
        return answer.raise_for_status().json()["result"]

    def worker(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"workers/workers/{self.worker_id}")
        return found


@pytest.fixture
def account(emulator: Emulator) -> Account:
    return Account(emulator)


@pytest.fixture
def adopting(account: Account, project: Project) -> Project:
    project.set("adoptWorkerId", account.worker_id)
    project.set("adoptBucket", "gateway-assets")
    return project


def test_a_worker_and_a_bucket_are_taken_over_and_the_way_back_leads_to_what_they_served(
    adopting: Project, account: Account, http: httpx.Client
) -> None:
    """Nothing is made anew, the team's own settings stay, the keys may go, and rollback is one command."""
    assert changes(adopting)["import"] == 2
    expect_success(adopting.pulumi("up", "--skip-preview"))
    worker = account.worker()
    assert worker["subdomain"] == {"enabled": True, "previews_enabled": True}
    assert (worker["tags"], worker["logpush"]) == (["team-art"], True)
    assert account.call("GET", "r2/buckets/gateway-assets")["storage_class"] == "InfrequentAccess"
    assert http.get(f"{account.address}/health").json()["provider"] == "scenario"
    expect_success(adopting.pulumi("preview", "--expect-no-changes"))
    for key in ("adoptWorkerId", "adoptBucket"):
        adopting.expect("pulumi", "config", "rm", key)
    expect_success(adopting.pulumi("preview", "--expect-no-changes"))
    rolled_back = adopting.run(["switchback", "rollback", "--now"])
    assert rolled_back.code == 0, rolled_back.output
    assert http.get(account.address).text == "the legacy API"


def test_a_take_over_that_fails_live_puts_back_what_served_before(
    adopting: Project, account: Account, cloud: EmulatedCloud, http: httpx.Client
) -> None:
    """The adopted deployment is the first way back, although it has no /health that could confirm it."""
    with break_down_after_the_move(cloud, "scenario"):
        ended = adopting.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "previous split is back" in ended.output
    assert http.get(account.address).text == "the legacy API"


def test_a_clash_of_names_is_found_by_the_preview(
    account: Account, project: Project, cloud: EmulatedCloud
) -> None:
    """Both names at once, each with its two ways on, and nothing was sent that changes anything."""
    sent = len(cloud.mutations())
    ended = project.pulumi("preview")
    assert ended.code != 0
    assert f"adoptWorkerId {account.worker_id}" in ended.output
    assert "pulumi config set workerName <name>" in ended.output
    assert "adoptBucket gateway-assets" in ended.output
    assert "pulumi config set assetBucket <name>" in ended.output
    assert len(cloud.mutations()) == sent


@pytest.mark.parametrize(
    ("base_url", "token", "words"),
    [
        ("http://127.0.0.1:9/client/v4", None, "gave no answer"),
        (None, "invalid-token-of-the-right-length-0123456789", "does not accept the API token"),
        (None, "too short", "characters that no token has"),
    ],
    ids=["unreachable", "refused", "malformed"],
)
def test_an_api_that_cannot_be_used_is_named_at_once(
    project: Project, base_url: str | None, token: str | None, words: str
) -> None:
    """Cloudflare's own plugin would try for three minutes."""
    if base_url:
        project.set("baseUrls.cloudflare", base_url)
    if token:
        project.environment["CLOUDFLARE_API_TOKEN"] = token
    started = time.monotonic()
    ended = project.pulumi("preview")
    assert ended.code != 0
    assert words in ended.output
    assert "Traceback" not in ended.output
    assert time.monotonic() - started < 30  # of it 5 for the look-up, the rest is the engine on a loaded machine
    assert token is None or token not in ended.output
