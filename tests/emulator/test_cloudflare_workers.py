"""Workers, versions and deployments: the state machine of Cloudflare's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulator.cloudflare_calls import Cloud, deployment_body, version_body

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "wire" / "pulumi_cloudflare"
ANSWER = "export default { async fetch() { return new Response('ok'); } };"
# given anew by every server: only their presence and kind is compared
FRESH = {"id", "created_on", "updated_on", "creation_date", "modified_on", "deployed_on", "urls", "version_id"}


def recorded(step: str) -> list[dict[str, Any]]:
    exchanges: list[dict[str, Any]] = json.loads((RECORDINGS / step / "http.json").read_text())
    return exchanges


def timeless(value: Any) -> Any:
    """An answer without what is fresh each time."""
    if isinstance(value, dict):
        return {name: "fresh" if name in FRESH and item else timeless(item) for name, item in value.items()}
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("end", ["/r2/buckets", "/workers/workers", "/lifecycle", "/cors", "/custom", "/domains"])
def test_what_the_official_plugin_creates_is_answered_as_recorded(cloud: Cloud, end: str) -> None:
    """Every field of the recorded answer comes back with the recorded value."""
    for exchange in recorded("01-create"):
        path = exchange["path"].split("0123456789abcdef0123456789abcdef", 1)[1]
        if path.endswith(("/versions", "/deployments", "/managed")):
            continue
        answer = cloud.result(exchange["method"], path, json=exchange["body"])
        if path.endswith(end):
            wanted = timeless(exchange["answer"]["result"])
            assert timeless(answer).items() >= wanted.items()


def test_a_version_is_answered_as_recorded_and_read_back_with_its_modules(cloud: Cloud) -> None:
    cloud.bucket("switchback-assets")
    worker = cloud.worker("switchback-gateway")
    exchange = next(item for item in recorded("01-create") if item["path"].endswith("/versions"))
    answer = cloud.result("POST", f"/workers/workers/{worker['id']}/versions", json=exchange["body"])
    wanted = {name: value for name, value in exchange["answer"]["result"].items() if name not in FRESH}
    assert {name: answer[name] for name in wanted} == wanted
    assert answer["urls"] == [
        f"http://{answer['id'][:8]}-switchback-gateway.emulator.localhost:{cloud.emulator.port}"
    ]
    read = cloud.result("GET", f"/workers/workers/{worker['id']}/versions/{answer['id']}?include=modules")
    assert read == {**answer, "modules": exchange["body"]["modules"]}


def test_the_text_of_a_secret_is_in_no_answer(cloud: Cloud) -> None:
    cloud.worker()
    version = cloud.upload(
        ANSWER, bindings=[{"name": "KEY", "type": "secret_text", "text": "planted-dummy-secret"}]
    )
    cloud.deploy((version, 100))
    pages = [
        f"/workers/workers/gateway/versions/{version['id']}?include=modules",
        "/workers/workers/gateway/versions",
        f"/workers/scripts/gateway/versions/{version['id']}",
        "/workers/scripts/gateway/settings",
        "/workers/scripts/gateway/secrets",
    ]
    for page in pages:
        assert "planted-dummy-secret" not in cloud.call("GET", page).text
    assert "planted-dummy-secret" not in json.dumps(cloud.control("GET", "state"))


def test_bindings_come_back_sorted_by_name(cloud: Cloud) -> None:
    cloud.worker()
    bindings = [{"name": name, "type": "plain_text", "text": "x"} for name in ("C", "A", "B")]
    assert [item["name"] for item in cloud.upload(ANSWER, bindings=bindings)["bindings"]] == ["A", "B", "C"]


@pytest.mark.parametrize(
    "change",
    [
        {"main_module": "missing.js"},
        {"modules": [{"name": "index.js", "content_type": "text/html", "content_base64": ""}]},
        {"modules": [{"name": "index.js", "content_type": "text/plain", "content_base64": "%"}]},
        {"bindings": [{"name": "A", "type": "kv_namespace", "namespace_id": "1"}]},
        {"bindings": [{"name": "A", "type": "plain_text"}]},
        {"bindings": [{"name": "A", "type": "version_metadata"}, {"name": "A", "type": "version_metadata"}]},
        {"bindings": [{"name": "A", "type": "inherit"}]},
    ],
)
def test_an_upload_that_could_not_run_is_refused(cloud: Cloud, change: dict[str, Any]) -> None:
    cloud.worker()
    body = {**version_body({"index.js": ANSWER}), **change}
    assert cloud.refused("POST", "/workers/workers/gateway/versions", json=body) == (400, 10021)


def test_a_bucket_that_does_not_exist_cannot_be_bound(cloud: Cloud) -> None:
    cloud.worker()
    body = version_body({"index.js": ANSWER}, [{"name": "ASSETS", "type": "r2_bucket", "bucket_name": "nowhere"}])
    assert cloud.refused("POST", "/workers/workers/gateway/versions", json=body) == (400, 10085)


def test_a_version_whose_bucket_is_gone_cannot_be_deployed(cloud: Cloud) -> None:
    cloud.worker()
    cloud.bucket("assets")
    version = cloud.upload(ANSWER, bindings=[{"name": "ASSETS", "type": "r2_bucket", "bucket_name": "assets"}])
    cloud.result("DELETE", "/r2/buckets/assets")
    refusal = cloud.refused("POST", "/workers/scripts/gateway/deployments", json=deployment_body((version, 100)))
    assert refusal == (400, 10085)


def test_two_workers_cannot_have_one_name(cloud: Cloud) -> None:
    cloud.worker()
    answer = cloud.call("POST", "/workers/workers", json={"name": "gateway"})
    assert answer.status_code == 409
    assert answer.headers["x-should-retry"] == "false"


def test_versions_are_numbered_and_deployments_are_newest_first(cloud: Cloud) -> None:
    cloud.worker()
    first, second = cloud.upload(ANSWER), cloud.upload(ANSWER)
    assert (first["number"], second["number"]) == (1, 2)
    deployments = [cloud.deploy((first, 100)), cloud.deploy((second, 90), (first, 10))]
    listed = cloud.result("GET", "/workers/scripts/gateway/deployments")["deployments"]
    assert listed == deployments[::-1]
    assert cloud.result("GET", f"/workers/scripts/gateway/deployments/{deployments[0]['id']}") == deployments[0]


@pytest.mark.parametrize("percentages", [[90], [50, 49], [101, -1], [50, 25, 25]])
def test_a_split_must_be_one_or_two_versions_with_a_total_of_100(cloud: Cloud, percentages: list[float]) -> None:
    cloud.worker()
    shares = [(cloud.upload(ANSWER), percentage) for percentage in percentages]
    status, _ = cloud.refused("POST", "/workers/scripts/gateway/deployments", json=deployment_body(*shares))
    assert status == 400


def test_a_version_may_be_in_a_deployment_with_0_percent(cloud: Cloud) -> None:
    cloud.worker()
    live, shadow = cloud.upload(ANSWER), cloud.upload(ANSWER)
    versions = cloud.deploy((live, 100), (shadow, 0))["versions"]
    assert [item["percentage"] for item in versions] == [100, 0]


def test_only_the_last_100_versions_can_be_deployed(cloud: Cloud) -> None:
    cloud.worker()
    versions = [cloud.upload(ANSWER) for _ in range(101)]
    status, _ = cloud.refused(
        "POST", "/workers/scripts/gateway/deployments", json=deployment_body((versions[0], 100))
    )
    assert status == 400
    cloud.deploy((versions[1], 100))
    deployable = cloud.result("GET", "/workers/scripts/gateway/versions?deployable=true")["items"]
    assert [item["id"] for item in deployable] == [version["id"] for version in versions[:0:-1]]


def test_the_way_back_across_a_changed_secret_needs_force(cloud: Cloud) -> None:
    """Recordings 10-secret and 31-10220: forward it goes without; the refusal names the secret."""
    cloud.worker()
    old = cloud.upload(ANSWER, bindings=[{"name": "RUNPOD_API_KEY", "type": "secret_text", "text": "dummy-old"}])
    new = cloud.upload(ANSWER, bindings=[{"name": "RUNPOD_API_KEY", "type": "secret_text", "text": "dummy-new"}])
    cloud.deploy((old, 100))
    cloud.deploy((new, 100))
    answer = cloud.call("POST", "/workers/scripts/gateway/deployments", json=deployment_body((old, 100)))
    assert (answer.status_code, answer.json()) == (400, recorded("31-10220")[0]["answer"])
    cloud.deploy((old, 100), force=True)


def test_a_worker_knows_when_it_was_deployed(cloud: Cloud) -> None:
    worker = cloud.worker()
    assert worker["deployed_on"] is None
    deployment = cloud.deploy((cloud.upload(ANSWER), 100))
    assert cloud.result("GET", f"/workers/workers/{worker['id']}")["deployed_on"] == deployment["created_on"]


def test_an_update_keeps_versions_and_replaces_settings(cloud: Cloud) -> None:
    worker = cloud.worker()
    version = cloud.upload(ANSWER)
    body = {"name": "gateway", "logpush": True, "tags": ["stack:dev"], "subdomain": {"enabled": True}}
    updated = cloud.result("PUT", f"/workers/workers/{worker['id']}", json=body)
    assert updated["tags"] == ["stack:dev"]
    assert updated["subdomain"] == {"enabled": True, "previews_enabled": True}
    assert cloud.result("GET", f"/workers/workers/gateway/versions/{version['id']}")["number"] == 1


def test_a_deleted_worker_is_gone(cloud: Cloud) -> None:
    worker = cloud.worker()
    cloud.result("DELETE", f"/workers/workers/{worker['id']}")
    assert cloud.refused("GET", f"/workers/workers/{worker['id']}") == (404, 10007)
    assert cloud.refused("GET", "/workers/scripts/gateway/deployments") == (404, 10007)


def test_a_host_name_is_taken_from_another_worker_only_when_told_to(cloud: Cloud) -> None:
    cloud.worker("gateway")
    cloud.worker("shop")
    bound = {"hostname": "images.example.com", "service": "gateway", "zone_id": "f" * 32}
    cloud.result("PUT", "/workers/domains", json=bound)
    assert cloud.result("PUT", "/workers/domains", json=bound)["service"] == "gateway"
    moved = {**bound, "service": "shop"}
    assert cloud.refused("PUT", "/workers/domains", json=moved) == (409, 100116)
    cloud.result("PUT", "/workers/domains", json={**moved, "override_existing_origin": True})
    for hostname, services in (("images.example.com", ["shop"]), ("other.example.com", [])):
        listed = cloud.result("GET", "/workers/domains", params={"hostname": hostname})
        assert [domain["service"] for domain in listed] == services


def test_a_secret_put_makes_and_deploys_a_version(cloud: Cloud) -> None:
    cloud.serve(ANSWER)
    secret = {"name": "KEY", "text": "dummy", "type": "secret_text"}
    cloud.result("PUT", "/workers/scripts/gateway/secrets", json=secret)
    assert cloud.result("GET", "/workers/scripts/gateway/secrets") == [{"name": "KEY", "type": "secret_text"}]
    newest = cloud.result("GET", "/workers/scripts/gateway/versions")["items"][0]
    active = cloud.result("GET", "/workers/scripts/gateway/deployments")["deployments"][0]
    assert [item["version_id"] for item in active["versions"]] == [newest["id"]]
    cloud.result("DELETE", "/workers/scripts/gateway/secrets/KEY")
    assert cloud.result("GET", "/workers/scripts/gateway/secrets") == []


def test_a_secret_cannot_be_put_while_the_newest_version_is_not_deployed(cloud: Cloud) -> None:
    cloud.serve(ANSWER)
    cloud.upload(ANSWER)
    secret = {"name": "KEY", "text": "dummy", "type": "secret_text"}
    assert cloud.refused("PUT", "/workers/scripts/gateway/secrets", json=secret) == (400, 10215)


def test_a_patched_version_keeps_the_other_bindings_and_is_not_deployed(cloud: Cloud) -> None:
    live = cloud.serve(ANSWER, bindings=[{"name": "A", "type": "plain_text", "text": "1"}])
    patch = {"env": {"KEY": {"type": "secret_text", "text": "dummy"}}, "annotations": {"workers/tag": "patched"}}
    version = cloud.result(
        "PATCH",
        "/workers/workers/gateway/versions/latest",
        content=json.dumps(patch),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert [item["name"] for item in version["bindings"]] == ["A", "KEY"]
    active = cloud.result("GET", "/workers/scripts/gateway/deployments")["deployments"][0]
    assert [item["version_id"] for item in active["versions"]] == [live["id"]]


def test_settings_patched_at_the_console_take_effect_at_once(cloud: Cloud) -> None:
    """The drift that a dashboard change makes: another version is live than the declared one."""
    cloud.serve(ANSWER, bindings=[{"name": "IMAGE_GENERATION_PROVIDER", "type": "plain_text", "text": "scenario"}])
    bindings = [{"name": "IMAGE_GENERATION_PROVIDER", "type": "plain_text", "text": "runpod"}]
    form = {"settings": (None, json.dumps({"bindings": bindings}), "application/json")}
    assert cloud.result("PATCH", "/workers/scripts/gateway/settings", files=form)["bindings"] == bindings
    assert len(cloud.result("GET", "/workers/scripts/gateway/deployments")["deployments"]) == 2


def test_the_older_versions_api_shows_metadata_and_resources(cloud: Cloud) -> None:
    version = cloud.serve(ANSWER, bindings=[{"name": "A", "type": "plain_text", "text": "1"}])
    detail = cloud.result("GET", f"/workers/scripts/gateway/versions/{version['id']}")
    assert detail["number"] == 1
    assert detail["resources"]["bindings"] == [{"name": "A", "type": "plain_text", "text": "1"}]
    assert detail["resources"]["script_runtime"]["compatibility_date"] == "2026-10-01"
    assert detail["annotations"]["workers/tag"] == "scenario"
    assert detail["metadata"]["created_on"] == version["created_on"]


@pytest.mark.parametrize(
    ("token", "status"), [("invalid-dummy", 401), ("forbidden-dummy", 403), ("other-dummy", 200)]
)
def test_marked_tokens_are_refused_in_cloudflares_form(cloud: Cloud, token: str, status: int) -> None:
    answer = cloud.http.get(f"{cloud.account}/r2/buckets", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    if status != 200:
        assert answer.json() == recorded("30-401")[0]["answer"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/workers/workers/gateway", {"subdomain": 1}),
        ("POST", "/workers/workers/gateway/versions", {**version_body({"index.js": ANSWER}), "annotations": "x"}),
        ("POST", "/workers/workers/gateway/versions", {**version_body({"index.js": ANSWER}), "modules": [1]}),
        ("POST", "/workers/scripts/gateway/deployments", {"strategy": "percentage", "versions": [1]}),
        ("PUT", "/workers/domains", {}),
        ("GET", "/workers/scripts/gateway/versions?per_page=x", None),
    ],
)
def test_a_malformed_field_is_refused_in_cloudflares_form(
    cloud: Cloud, method: str, path: str, body: object
) -> None:
    """Not with a 500, which the official plugin would repeat for minutes; and nothing of it is kept."""
    cloud.worker()
    assert cloud.refused(method, path, json=body) == (400, 10021)
    assert cloud.result("GET", "/workers/workers/gateway/versions") == []


def test_another_account_is_not_served(cloud: Cloud) -> None:
    other = cloud.account.replace("0123456789abcdef0123456789abcdef", "f" * 32)
    assert cloud.http.get(f"{other}/r2/buckets", headers=cloud.authorization).status_code == 403


def test_an_unknown_call_fails_loudly(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    assert cloud.refused("GET", "/queues") == (404, 7000)
    assert "not emulated" in caplog.text
    assert "/queues" in caplog.text


def test_the_token_can_be_verified(cloud: Cloud) -> None:
    base = cloud.environment["CLOUDFLARE_BASE_URL"]
    answer = cloud.http.get(f"{base}/user/tokens/verify", headers=cloud.authorization)
    assert answer.json()["result"]["status"] == "active"


def test_faults_speak_as_cloudflare_does(cloud: Cloud) -> None:
    """Recording 30-429: three refusals with Retry-After 0, then success."""
    cloud.control(
        "POST", "faults", {"service": "cloudflare", "kind": "rate_limited", "times": 3, "retry_after": 0}
    )
    answers: list[httpx.Response] = [cloud.call("GET", "/r2/buckets") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert answers[0].headers["Retry-After"] == "0"
    assert answers[0].json() == recorded("30-429-three-times-retry-after-0")[0]["answer"]
