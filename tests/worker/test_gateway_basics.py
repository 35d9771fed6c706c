"""What the gateway says and refuses before any provider is asked."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.worker.worker_harness import SECOND_TOKEN, TOKEN, Cloud, Gateway, png

TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}


@pytest.fixture(scope="module")
def scenario(gateways: dict[str, Gateway]) -> Gateway:
    return gateways["scenario"]


def test_health_names_provider_and_version_to_anybody_and_no_more(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/health", token=None)
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"status", "provider", "version"}
    assert (body["status"], body["version"]["id"]) == ("ok", gateway.version_id)
    assert answer.headers["Switchback-Provider"] == body["provider"]
    assert answer.headers["Switchback-Version"] == gateway.version_id


def test_health_with_a_token_lists_operations_and_checks(gateway: Gateway) -> None:
    body = gateway.request("GET", "/health").json()
    assert body["operations"] == ["txt2img", "img2img", "remove_background", "pipeline"]
    assert {name: check["ok"] for name, check in body["checks"].items()} == {"credentials": True, "storage": True}


def test_unknown_provider_is_misconfigured_and_never_a_default(cloud: Cloud) -> None:
    gateway = cloud.deploy("midjourney")
    assert gateway.request("GET", "/health", token=None).json()["status"] == "misconfigured"
    problem = gateway.post(TXT2IMG)
    assert problem.status_code == 503
    assert "midjourney" in problem.json()["detail"]


def test_missing_credentials_are_named_without_a_value(cloud: Cloud) -> None:
    gateway = cloud.deploy("runpod", RUNPOD_API_KEY=None)
    health = gateway.request("GET", "/health").json()
    assert health["status"] == "misconfigured"
    assert health["checks"]["credentials"]["detail"] == "missing: RUNPOD_API_KEY"
    assert gateway.post(TXT2IMG).status_code == 503


@pytest.mark.parametrize("binding", ["JOB_SIGNING_KEYS", "ASSETS"])
def test_nothing_is_paid_for_without_what_a_result_needs(cloud: Cloud, binding: str) -> None:
    """Nor left in the bucket: a repeated request hears the same."""
    gateway = cloud.deploy("comfyui", **{binding: None})
    before, stored = cloud.last_request(), cloud.stored_keys()
    for headers in (
        {},
        {"idempotency_key": "dummy-key-of-a-bare-gateway"},
        {"idempotency_key": "dummy-key-of-a-bare-gateway"},
    ):
        problem = gateway.post(TXT2IMG, **headers)
        assert (problem.status_code, problem.json()["kind"]) == (503, "UNAVAILABLE")
        assert binding in problem.json()["detail"]
    assert (cloud.requests("comfyui", before), cloud.stored_keys()) == ([], stored)
    assert gateway.request("GET", "/health", token=None).json()["status"] == "misconfigured"


@pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", TOKEN[:-1]])
def test_generations_need_a_token(scenario: Gateway, token: str | None) -> None:
    for method, path in [("POST", ""), ("GET", "/abc"), ("DELETE", "/abc")]:
        answer = scenario.request(method, f"/v1/generations{path}", token=token, json=TXT2IMG)
        assert (answer.status_code, answer.json()["kind"]) == (401, "AUTH")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_configured_token_is_accepted(scenario: Gateway) -> None:
    for token in (TOKEN, SECOND_TOKEN):
        assert scenario.request("GET", "/v1/generations/x", token=token).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"operation": "upscale"}, "operation"),
        ({"operation": ["txt2img"]}, "operation"),
        ({"operation": "toString"}, "operation"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": "x" * 4001}, "prompt"),
        ({"prompt": "\x07" * 4096}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"width": 0}, "width"),
        ({"width": 100_000}, "width"),
        ({"width": -512}, "width"),
        ({"width": 513}, "width"),
        ({"width": 512.5}, "width"),
        ({"width": "512"}, "width"),
        ({"width": True}, "width"),
        ({"width": 4096, "height": 4096}, "width"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**40}, "seed"),
        ({"steps": 5}, "steps"),
        ({"__proto__x": 1}, "__proto__x"),
        ({"image": {"base64": png()}}, "image"),
        ({"operation": "img2img"}, "image"),
        ({"operation": "img2img", "image": "x"}, "image"),
        ({"operation": "img2img", "image": {}}, "image"),
        ({"operation": "img2img", "image": {"url": "http://127.0.0.1/x.png"}}, "image"),
        ({"operation": "img2img", "image": {"base64": "%%%"}}, "image"),
        ({"operation": "img2img", "image": {"base64": "bm8gaW1hZ2U="}}, "image"),
        ({"operation": "img2img", "image": {"base64": png()[:60]}}, "image"),
        ({"operation": "img2img", "image": {"key": "_jobs/x.json"}}, "image"),
        ({"operation": "img2img", "image": {"key": "generations/../_jobs/x.json"}}, "image"),
        ({"operation": "img2img", "image": {"key": f"generations/{'0' * 32}-0.png"}}, "image"),
        ({"operation": "img2img", "image": {"base64": png()}, "strength": 1.5}, "strength"),
        ({"operation": "remove_background", "image": {"base64": png()}}, "prompt"),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_sent(
    cloud: Cloud, scenario: Gateway, changes: dict[str, Any], field: str
) -> None:
    """Each mistake is a 422 that names its field, before any provider hears of it."""
    before = cloud.last_request()
    answer = scenario.post({**TXT2IMG, **changes})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert cloud.requests("scenario", before) == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"not json", "application/json", 400),
        (b'{"operation": "txt2img"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"operation=txt2img", "application/x-www-form-urlencoded", 415),
        (json.dumps(TXT2IMG).encode(), "text/plain", 415),
    ],
)
def test_bodies_that_are_no_json_object(scenario: Gateway, content: bytes, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    answer = scenario.request("POST", "/v1/generations", content=content, headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (status, "BAD_REQUEST")


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 413), ("wrong", 401)])
def test_a_body_of_50_megabytes_is_refused_by_its_length(scenario: Gateway, token: str, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = scenario.request("POST", "/v1/generations", content=b" " * 50_000_000, headers=headers, token=token)
    assert answer.status_code == status


def test_a_body_without_a_length_is_read_no_further_than_the_limit(scenario: Gateway) -> None:
    def chunks() -> Any:
        for _ in range(20):
            yield b" " * 1_000_000

    answer = scenario.request(
        "POST", "/v1/generations", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_packed_body_is_not_unpacked(scenario: Gateway) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(TXT2IMG).encode())
    answer = scenario.request("POST", "/v1/generations", content=body, headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (400, "BAD_REQUEST")


def test_too_large_an_image_is_refused(cloud: Cloud) -> None:
    gateway = cloud.deploy("comfyui", GATEWAY={"maxImageBytes": 1024})
    answer = gateway.post({"operation": "remove_background", "image": {"base64": "A" * 4000}})
    assert answer.status_code == 413


def test_an_unknown_purpose_is_refused(scenario: Gateway) -> None:
    answer = scenario.request("POST", "/v1/generations", json=TXT2IMG, headers={"Switchback-Purpose": "fun"})
    assert (answer.status_code, answer.json()["kind"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/generations/a/b", "/assets/", "/favicon.ico"])
def test_other_addresses_are_not_found(scenario: Gateway, path: str) -> None:
    answer = scenario.request("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.headers["Switchback-Version"] == scenario.version_id


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/generations", "POST"), ("POST", "/health", "GET"), ("PUT", "/v1/generations/x", "GET, DELETE")],
)
def test_other_methods_are_not_allowed(scenario: Gateway, method: str, path: str, allowed: str) -> None:
    answer = scenario.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "key",
    [
        "_jobs/x.json",
        "generations/x.png",
        "generations/..%2F_jobs%2Fx.json",
        f"generations/{'0' * 32}-0.png",
        f"generations/{'0' * 32}-0.png/../../_jobs/x",
        "%00",
        "%2e%2e/x",
    ],
)
def test_only_assets_are_served(scenario: Gateway, key: str) -> None:
    assert scenario.request("GET", f"/assets/{key}", token=None).status_code == 404


def test_browsers_may_call_from_configured_origins_only(cloud: Cloud) -> None:
    gateway = cloud.deploy("scenario", GATEWAY={"corsOrigins": ["https://game.example"]})
    for method in ("GET", "OPTIONS"):
        named = gateway.request(method, "/health", headers={"Origin": "https://game.example"})
        other = gateway.request(method, "/health", headers={"Origin": "https://evil.example"})
        assert named.headers["Access-Control-Allow-Origin"] == "https://game.example"
        assert "Access-Control-Allow-Origin" not in other.headers
        assert named.headers["Vary"] == other.headers["Vary"] == "Origin"
    assets = cloud.deploy("scenario", ASSET_CORS_ORIGINS=["https://game.example"])
    loaded = assets.request("GET", "/assets/generations/none.png", headers={"Origin": "https://game.example"})
    assert loaded.headers["Access-Control-Allow-Origin"] == "https://game.example"
    plain = assets.request(
        "GET", "/assets/generations/none.png"
    )  # as an <img> asks: caches must tell the two apart
    assert plain.headers["Vary"] == "Origin"
    called = assets.request("GET", "/health", headers={"Origin": "https://game.example"})
    assert "Access-Control-Allow-Origin" not in called.headers


def test_a_token_that_asks_too_often_has_to_wait(cloud: Cloud) -> None:
    gateway = cloud.deploy("comfyui", GATEWAY={"requestsPerMinute": 1})
    answers = [gateway.post(TXT2IMG) for _ in range(3)]  # three cannot fall into three minutes
    refused = [answer for answer in answers if answer.status_code == httpx.codes.TOO_MANY_REQUESTS]
    assert refused
    assert 0 < int(refused[0].headers["Retry-After"]) <= 60
