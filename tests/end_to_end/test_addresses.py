"""Where the gateway and its assets answer, in every mode that the configuration offers; what stays in the bucket."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from emulator.supervisor import Emulator
from provider_client.clock import SystemClock
from provider_client.gateway import GatewayClient
from provider_client.models import Asset, GenerationRequest, Operation
from tests.end_to_end.conftest import expect_success

pytestmark = pytest.mark.engine

ZONE = "f" * 32
GAME = "https://game.example.com"
DAY = 86_400


def output(project: Project, name: str) -> str:
    return project.expect("pulumi", "stack", "output", name).strip()


def cloudflare(project: Project, path: str) -> Any:
    """What Cloudflare's API says of the account."""
    environment = project.environment
    url = f"{environment['CLOUDFLARE_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}/{path}"
    headers = {"Authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"}
    return httpx.get(url, headers=headers).raise_for_status().json()["result"]


def generated(project: Project, http: httpx.Client) -> Asset:
    """An asset as one of the API's users gets it."""
    token = project.environment["SWITCHBACK_GATEWAY_TOKEN"]
    client = GatewayClient(output(project, "apiUrl"), token, http=http, clock=SystemClock())
    request = GenerationRequest(operation=Operation.TXT2IMG, prompt="A knight", width=256, height=256)
    return client.generate(request, deadline_seconds=60).assets[0]


@pytest.mark.parametrize("access", ["worker", "r2dev", "domain"])
def test_assets_resolve_wherever_they_are_served(
    project: Project, emulator: Emulator, http: httpx.Client, access: str
) -> None:
    """The verification has fetched its assets from there before `up` ended; a web page may load them, others not."""
    host = f"assets.example.localhost:{emulator.port}"
    project.set("assetPublicAccess", host if access == "domain" else access)
    project.set("zoneId", ZONE)
    project.set("assetCorsOrigins[0]", GAME)
    expect_success(project.pulumi("up", "--skip-preview"))
    asset = generated(project, http)
    served_at = {
        "worker": urlsplit(output(project, "apiUrl")).netloc,
        "r2dev": urlsplit(output(project, "assetBaseUrl")).netloc,
        "domain": host,
    }
    assert urlsplit(asset.url).netloc == served_at[access]
    assert (access == "r2dev") == urlsplit(asset.url).netloc.startswith("pub-")
    answer = http.get(asset.url, headers={"Origin": GAME}).raise_for_status()
    assert len(answer.content) == asset.bytes
    assert answer.headers["access-control-allow-origin"] == GAME
    stranger = http.get(asset.url, headers={"Origin": "https://elsewhere.example.com"})
    assert "access-control-allow-origin" not in stranger.headers
    expect_success(project.pulumi("preview", "--expect-no-changes"))


def test_what_a_verification_made_expires_and_what_users_made_stays_as_long_as_they_say(
    project: Project, http: httpx.Client
) -> None:
    project.set("assetRetentionDays", "30")
    expect_success(project.pulumi("up", "--skip-preview"))
    bucket = output(project, "bucket")
    verified = {item["key"].partition("/")[0] for item in cloudflare(project, f"r2/buckets/{bucket}/objects")}
    assert "_verification" in verified
    assert "generations" not in verified
    assert generated(project, http).key.startswith("generations/")
    rules = cloudflare(project, f"r2/buckets/{bucket}/lifecycle")["rules"]
    expiring = {
        rule["conditions"]["prefix"]: rule["deleteObjectsTransition"]["condition"]["maxAge"] / DAY
        for rule in rules
        if rule.get("deleteObjectsTransition")
    }
    assert expiring == {"_verification/": 7, "_jobs/": 7, "_queue/": 7, "generations/": 30}


def test_a_gateway_on_a_custom_domain_alone(project: Project, emulator: Emulator, http: httpx.Client) -> None:
    """The domain is bound after the first move and confirms the next one; there is no workers.dev address."""
    host = f"images.example.localhost:{emulator.port}"
    project.set("customDomain", host)
    project.set("zoneId", ZONE)
    project.set("workersDev", "false")
    expect_success(project.pulumi("up", "--skip-preview"))
    assert output(project, "apiUrl") == f"http://{host}"
    assert http.get(f"http://{host}/health").json()["provider"] == "scenario"
    assert http.get(f"http://gateway.emulator.localhost:{emulator.port}/health").status_code == 404
    project.set("imageGenerationProvider", "comfyui")
    expect_success(project.pulumi("up", "--skip-preview"))
    assert http.get(f"http://{host}/health").json()["provider"] == "comfyui"
    expect_success(project.pulumi("preview", "--expect-no-changes"))


def test_a_renamed_worker_keeps_its_custom_domain(
    project: Project, emulator: Emulator, http: httpx.Client
) -> None:
    """Cloudflare takes a host name from no other Worker, so the former binding goes before the new one comes.

    The addresses under the new name are known without a refresh: the next switch is verified there.
    """
    host = f"images.example.localhost:{emulator.port}"
    project.set("customDomain", host)
    project.set("zoneId", ZONE)
    expect_success(project.pulumi("up", "--skip-preview"))
    project.set("workerName", "renamed")
    expect_success(project.pulumi("up", "--skip-preview"))
    assert [domain["service"] for domain in cloudflare(project, "workers/domains")] == ["renamed"]
    assert output(project, "apiUrl") == f"http://renamed.emulator.localhost:{emulator.port}"
    project.set("imageGenerationProvider", "comfyui")
    expect_success(project.pulumi("up", "--skip-preview"))
    assert http.get(f"http://{host}/health").json()["provider"] == "comfyui"


def test_a_first_up_that_fails_leaves_a_custom_domain_dark(
    project: Project, emulator: Emulator, cloud: EmulatedCloud
) -> None:
    """Nothing is bound to a Worker that did not prove itself."""
    project.set("customDomain", f"images.example.localhost:{emulator.port}")
    project.set("zoneId", ZONE)
    project.set("workersDev", "false")
    cloud.break_down("scenario", "blank")
    assert project.pulumi("up", "--skip-preview").code != 0
    assert cloudflare(project, "workers/domains") == []


def test_a_protected_bucket_stays_and_everything_else_goes(
    project: Project, cloud: EmulatedCloud, http: httpx.Client
) -> None:
    """Production's way to destroy names what it keeps; a later `up` goes on with the same bucket and its pictures."""
    project.set("protectAssetBucket", "true")
    expect_success(project.pulumi("up", "--skip-preview"))
    asset = generated(project, http)
    refused = project.pulumi("destroy")
    assert refused.code != 0
    assert "because it is protected" in refused.output
    assert set(cloud.leftovers()) == {"workers", "buckets", "endpoints"}, (
        "its preview stops it before anything goes"
    )
    expect_success(project.pulumi("destroy", "--skip-preview", "--exclude-protected"))
    assert cloud.leftovers() == {"buckets": ["gateway-assets"]}
    expect_success(project.pulumi("up", "--skip-preview"))
    assert len(http.get(asset.url).raise_for_status().content) == asset.bytes
