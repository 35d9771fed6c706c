"""Each check against the emulator: what it says when all is well, and when one thing is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.supervisor import Emulator, running
from provider_client.config import load
from provider_client.config.keys import credential_variables
from provider_client.doctor import Finding, Level, Subject, quick_checks, run_checks
from provider_client.doctor.subject import Owned, owned_by
from provider_client.errors import ConfigError, ExitCode
from provider_client.http import open_client

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "dummy-cloudflare-token-not-a-secret-0000"
SECRET_KEYS = {"gatewayTokens", "jobSigningKeys", "runpodManagementApiKey", *credential_variables()}
RUNPOD = {"image": "registry.test/team/worker:1", "gpuTypes": ["NVIDIA L40"], "workersMin": 1, "workersMax": 3}
Examine = Callable[..., Subject]
GENERATING = ("scenario", "comfyui", "runpod")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(speed=1000, state_dir=tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def http(cloud: Emulator) -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client
        client.post(f"{cloud.base_url}/_emulator/reset").raise_for_status()


@pytest.fixture
def examine(cloud: Emulator, http: httpx.Client, tmp_path: Path) -> Examine:
    """A complete stack on the emulator; `values` replaces keys (None removes), the rest fields of the subject."""

    def build(values: dict[str, Any] | None = None, **fields: Any) -> Subject:
        base_urls = {
            "cloudflare": f"{cloud.base_url}/client/v4",
            "runpodManagement": f"{cloud.base_url}/runpod/v2",
            "runpodJobs": f"{cloud.base_url}/runpod-jobs/v2",
            "scenario": f"{cloud.base_url}/scenario/v1",
        }
        complete: dict[str, Any] = {
            "accountId": ACCOUNT,
            "workerName": "gateway",
            "assetBucket": "gateway-assets",
            "runpod": RUNPOD,
            "scenario": {"costPerImageUsd": 0.05},
            "verification": {"maxSpendUsd": 2},
            "baseUrls": base_urls,
            "scenarioApiKey": "dummy-scenario-key",
            "scenarioSecretApiKey": "dummy-scenario-secret",
            "runpodApiKey": "dummy-runpod-key",
            "comfyuiEndpoint": f"{cloud.base_url}/comfyui",
            "gatewayTokens": ["dummy-gateway-token"],
            "jobSigningKeys": ["dummy-signing-key"],
            **(values or {}),
        }
        texts = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in complete.items()
            if value is not None
        }
        try:
            config, error = load(texts, stack="test", secret_keys=SECRET_KEYS), None
        except ConfigError as refused:
            config, error = None, refused
        subject = Subject(
            stack="test",
            project_dir=tmp_path,
            http=http,
            environment={"PATH": "/usr/bin:/bin"},
            values=texts,
            config=config,
            config_error=error,
            cloudflare_token=TOKEN,
            cloudflare_base_url=base_urls["cloudflare"],
            account_id=ACCOUNT,
            owned=Owned(),
        )
        return replace(subject, **fields)

    return build


def found(subject: Subject, check: str) -> list[Finding]:
    return run_checks([one for one in quick_checks(subject) if one.name == check])


def only(subject: Subject, check: str, level: Level) -> Finding:
    """The one finding of that level."""
    [finding] = [one for one in found(subject, check) if one.level is level]
    return finding


def api(cloud: Emulator, http: httpx.Client, method: str, path: str, body: object) -> dict[str, Any]:
    url, key = (f"{cloud.base_url}{path}", "dummy-key-0000")
    answer = http.request(method, url, json=body, headers={"Authorization": f"Bearer {key}"})
    return dict(answer.raise_for_status().json())


def test_a_complete_stack_has_no_problem_and_nothing_is_paid_or_written(
    cloud: Emulator, http: httpx.Client, examine: Examine
) -> None:
    """All vendors are asked; no request changes anything and no generation is submitted."""
    findings = run_checks([one for one in quick_checks(examine()) if one.name != "tools"])
    assert [one for one in findings if one.level is Level.PROBLEM] == []
    asked = http.get(f"{cloud.base_url}/_emulator/requests").json()["requests"]
    assert {one["service"] for one in asked} == {"cloudflare", "runpod", "scenario", "comfyui"}
    assert [one for one in asked if one["mutating"]] == []
    state = http.get(f"{cloud.base_url}/_emulator/state").json()
    assert [state[service].get("submits", 0) for service in GENERATING] == [0, 0, 0]


VENDORS = {
    "cloudflare": {"cloudflare", "worker", "bucket"},
    "runpod": {"runpod"},
    "scenario": {"scenario jobs"},
    "comfyui": {"comfyui jobs"},
}


@pytest.mark.parametrize(
    ("services", "fault", "code"),
    [
        *(([service], "unauthorized", ExitCode.AUTH) for service in VENDORS),
        (list(VENDORS), "down", ExitCode.RESOURCE),
        (list(VENDORS), "hang", ExitCode.RESOURCE),
    ],
)
def test_a_vendor_that_refuses_is_silent_or_breaks_is_named_within_five_seconds(
    cloud: Emulator, examine: Examine, services: list[str], fault: str, code: ExitCode
) -> None:
    """A problem of each of its checks, with the exit code of its kind and a fix; the others are as they were."""
    for service in services:
        cloud.world.faults.arm(service, fault, times=None)
    subject = examine()
    began = time.monotonic()
    findings = run_checks(
        [one for one in quick_checks(subject) if any(one.name in checks for checks in VENDORS.values())]
    )
    assert time.monotonic() - began < 5
    problems = [one for one in findings if one.level is Level.PROBLEM]
    named = {check for service in services for check in VENDORS[service]}
    assert {(one.check, one.exit_code) for one in problems} == {(check, code) for check in named}
    assert all(one.fix for one in problems)
    assert not any(secret in repr(findings) for secret in subject.secrets())


def test_a_malformed_token_is_named_without_asking_anybody(cloud: Emulator, examine: Examine) -> None:
    """The official plugin would retry it for minutes."""
    subject = examine(cloudflare_token="too short")
    finding = only(subject, "cloudflare", Level.PROBLEM)
    assert "malformed" in finding.what
    assert finding.exit_code is ExitCode.CONFIG
    assert "too short" not in repr(finding)
    assert [one.level for one in found(subject, "worker")] == [Level.NOT_CHECKED]


@pytest.mark.parametrize(
    ("user", "account", "level", "says"),
    [
        ("active", None, Level.OK, "active"),
        ("expired", None, Level.PROBLEM, "expired"),
        (None, "active", Level.OK, "active"),
        (None, None, Level.PROBLEM, "401"),
    ],
)
def test_a_token_of_a_user_or_of_the_account_is_verified(
    examine: Examine, user: str | None, account: str | None, level: Level, says: str
) -> None:
    """Each kind has an address of its own, which refuses the other."""

    def handle(request: httpx.Request) -> httpx.Response:
        status = user if "/user/" in request.url.path else account
        return httpx.Response(200, json={"result": {"status": status}}) if status else httpx.Response(401)

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        assert says in only(examine(http=client), "cloudflare", level).what


def test_an_account_that_the_token_may_not_read_is_named(examine: Examine) -> None:
    """Another account's id: permission and account are both told."""
    finding = only(examine(account_id="f" * 32), "bucket", Level.PROBLEM)
    assert finding.exit_code is ExitCode.AUTH
    assert "f" * 32 in finding.what
    assert "Workers R2 Storage" in finding.fix


def test_names_in_use_are_ours_theirs_or_not_known(cloud: Emulator, http: httpx.Client, examine: Examine) -> None:
    """Pulumi's state decides; without it nothing is claimed."""
    account = f"/client/v4/accounts/{ACCOUNT}"
    api(cloud, http, "POST", f"{account}/workers/workers", {"name": "gateway"})
    api(cloud, http, "POST", f"{account}/r2/buckets", {"name": "gateway-assets"})
    for check, key in (("worker", "workerName"), ("bucket", "assetBucket")):
        taken = only(examine(), check, Level.PROBLEM)
        assert taken.exit_code is ExitCode.RESOURCE
        assert taken.fix.startswith(f"pulumi config set {key} <another name>")
        ours = examine(owned=Owned(workers=frozenset({"gateway"}), buckets=frozenset({"gateway-assets"})))
        assert [one.level for one in found(ours, check)] == [Level.OK, Level.OK]
        unknown = examine(owned=None, owned_error="the backend is down")
        assert "the backend is down" in only(unknown, check, Level.NOT_CHECKED).what


def test_what_is_to_be_taken_over_must_exist(cloud: Emulator, http: httpx.Client, examine: Examine) -> None:
    """adoptWorkerId and adoptBucket: the fix of a clash gives their values; without the thing they are a problem."""
    for check, key, value in (("worker", "adoptWorkerId", "0" * 32), ("bucket", "adoptBucket", "gateway-assets")):
        missing = only(examine({key: value}), check, Level.PROBLEM)
        assert (missing.fix, missing.exit_code) == (f"pulumi config rm {key}", ExitCode.CONFIG)
    account = f"/client/v4/accounts/{ACCOUNT}"
    api(cloud, http, "POST", f"{account}/workers/workers", {"name": "gateway"})
    api(cloud, http, "POST", f"{account}/r2/buckets", {"name": "gateway-assets"})
    for check in ("worker", "bucket"):
        key, _, value = (
            only(examine(), check, Level.PROBLEM).fix.rpartition("pulumi config set ")[2].partition(" ")
        )
        assert {one.level for one in found(examine({key: value}), check)} == {Level.OK}


def test_the_state_tells_what_the_stack_made() -> None:
    """From the resources of `pulumi stack export`; a stack that never ran has none."""
    resources = [
        {"type": "cloudflare:index/worker:Worker", "id": "1", "outputs": {"name": "gateway"}},
        {"type": "cloudflare:index/r2Bucket:R2Bucket", "id": "2", "outputs": {"name": "assets"}},
        {"type": "switchback:index:RunPodEndpoint", "id": "ep1", "outputs": {}},
    ]
    owned = owned_by({"deployment": {"resources": resources}})
    assert owned == Owned(frozenset({"gateway"}), frozenset({"assets"}), "ep1")
    assert owned_by({"deployment": {"manifest": {}}}) == Owned()


def endpoint(name: str, workers: int, env: dict[str, str] | None = None) -> dict[str, object]:
    return {
        "type": "QUEUE",
        "name": name,
        "image": "registry.test/team/worker:1",
        "gpu": {"pools": ["ADA_48_PRO"], "count": 1},
        "workers": {"min": 0, "max": workers, "idleTimeout": 30},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
        "env": env or {},
    }


def test_an_endpoint_of_that_name_is_ours_left_over_or_in_the_way(
    cloud: Emulator, http: httpx.Client, examine: Examine
) -> None:
    """By the state, by the marker in its environment, or neither."""
    made = api(cloud, http, "POST", "/runpod/v2/serverless", endpoint("gateway", 2))
    assert "did not make" in only(examine(), "runpod", Level.PROBLEM).what
    assert {one.level for one in found(examine(owned=Owned(endpoint_id=made["id"])), "runpod")} == {Level.OK}
    api(cloud, http, "PATCH", f"/runpod/v2/serverless/{made['id']}", {"env": {"SWITCHBACK_MARKER": "abc"}})
    assert "adopts" in only(examine(), "runpod", Level.WARNING).what


def test_workers_of_other_endpoints_count_into_the_quota(
    cloud: Emulator, http: httpx.Client, examine: Examine
) -> None:
    """3 elsewhere and 3 here are more than the default 5."""
    api(cloud, http, "POST", "/runpod/v2/serverless", endpoint("somebody-elses", 3))
    assert "6 workers" in only(examine(), "runpod", Level.WARNING).what


def test_an_existing_endpoint_must_exist(cloud: Emulator, http: httpx.Client, examine: Examine) -> None:
    """mode existing: the id is looked up, and its job API is asked for health."""
    made = api(cloud, http, "POST", "/runpod/v2/serverless", endpoint("by-hand", 2))
    there = examine({"runpod": {"mode": "existing", "endpointId": made["id"]}})
    assert {one.level for one in found(there, "runpod")} == {Level.OK}
    gone = examine({"runpod": {"mode": "existing", "endpointId": "gone"}})
    assert "no endpoint gone" in only(gone, "runpod", Level.PROBLEM).what


def test_gpu_types_exist_are_in_stock_and_have_a_price(cloud: Emulator, examine: Examine) -> None:
    """With its source; a near miss is answered with the right name."""
    stock, price = found(examine(), "gpu")
    assert (stock.level, price.level) == (Level.OK, Level.OK)
    assert "$45.79 a day (RunPod's live catalog" in price.what
    misspelt = only(examine({"runpod": {**RUNPOD, "gpuTypes": ["L40"]}}), "gpu", Level.PROBLEM)
    assert "did you mean 'NVIDIA L40'" in misspelt.what
    assert misspelt.exit_code is ExitCode.CONFIG


def test_a_gpu_out_of_stock_is_a_warning(examine: Examine) -> None:
    """Stock changes by the hour: it must not stop anybody."""
    gpu = {"id": "NVIDIA L40", "pool": "ADA_48_PRO", "price": {"serverless": 1.9}, "availability": "NONE"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"gpus": [gpu]}))
    with httpx.Client(transport=transport) as client:
        levels = [one for one in found(examine(http=client), "gpu") if "stock" in one.what]
    assert [one.level for one in levels] == [Level.WARNING]


def test_every_problem_of_the_configuration_is_a_finding_of_its_own(examine: Examine) -> None:
    """Each with the command that mends it; what needs the configuration says that it was not checked."""
    subject = examine({"imageGenerationProvidr": "runpod", "accountId": "zzz", "gatewayTokens": None})
    problems = found(subject, "config")
    assert len(problems) == 3
    assert all(one.exit_code is ExitCode.CONFIG for one in problems)
    assert "pulumi config rm imageGenerationProvidr" in [one.fix for one in problems]
    assert [one.level for one in found(subject, "gpu")] == [Level.NOT_CHECKED]
    assert [one.level for one in found(subject, "scenario jobs")] == [Level.OK]


@pytest.mark.parametrize(
    ("image", "level"),
    [
        ("ghcr.io/team/worker-comfyui:5.8.5", Level.OK),
        ("localhost:5000/worker@sha256:" + "0" * 64, Level.OK),
        ("emulated/worker-comfyui:5.8.5", Level.OK),
        ("team/worker:latest", Level.WARNING),
        ("team/worker", Level.WARNING),
        ("registry.example.com/your-team/worker-comfyui:1.0.0", Level.PROBLEM),
        ("https://ghcr.io/team/worker:1", Level.PROBLEM),
        ("team/Worker Comfy:1", Level.PROBLEM),
    ],
)
def test_an_image_must_have_the_form_of_one_and_should_not_move(
    examine: Examine, image: str, level: Level
) -> None:
    """The example's own name is not a name."""
    assert [one.level for one in found(examine({"runpod": {**RUNPOD, "image": image}}), "image")] == [level]


def test_the_budget_is_held_against_the_caps(examine: Examine) -> None:
    """12 live images at $0.05 are $0.60."""
    assert "16 images for about $0.80" in only(examine(), "budget", Level.OK).what
    capped = only(examine({"verification": {"maxSpendUsd": 0.5}}), "budget", Level.PROBLEM)
    assert "$0.60" in capped.what
    assert "maxSpendUsd" in capped.fix
    daily = examine({"verification": {"maxSpendUsdPerDay": 0.7}})
    assert "$0.80" in only(daily, "budget", Level.PROBLEM).what
    assert "no cap" in only(examine({"verification": {}}), "budget", Level.WARNING).what
    assert only(examine({"scenario": {}}), "budget", Level.NOT_CHECKED)


def test_a_named_provider_without_credentials_is_a_problem_others_are_not_checked(examine: Examine) -> None:
    """Whoever is not deployed needs none."""
    without = examine({"comfyuiEndpoint": None})
    assert "not deployed" in only(without, "comfyui jobs", Level.NOT_CHECKED).what
    assert "first `pulumi up`" in only(examine(), "runpod jobs", Level.NOT_CHECKED).what
