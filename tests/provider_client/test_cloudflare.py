"""CloudflareApi against answers of the recorded shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from provider_client.clock import ManualClock
from provider_client.cloudflare import CloudflareApi, VersionShare
from provider_client.errors import (
    ApiError,
    AuthError,
    ConfigError,
    ExitCode,
    NotFoundError,
    RateLimitedError,
    SwitchbackError,
    UnreachableError,
)

if TYPE_CHECKING:
    from tests.provider_client.conftest import Edge

ACCOUNT = "0123456789abcdef0123456789abcdef"
WORKER = "image-generation-test"
DUMMY_TOKEN = "dummy-cloudflare-token-not-a-secret-0000"


def refusing(status: int, code: int, message: str, **headers: str) -> httpx.Response:
    body = {"errors": [{"code": code, "message": message}], "messages": [], "result": None, "success": False}
    return httpx.Response(status, json=body, headers=headers)


def test_the_active_deployment_is_the_newest_with_its_shares_and_message(edge: Edge, api: CloudflareApi) -> None:
    first, second = edge.upload("scenario"), edge.upload("runpod")
    edge.deploy({first: 100}, "older")
    edge.deploy({first: 90, second: 10}, "switchback:up to=runpod")
    active = api.active_deployment(WORKER)
    assert active is not None
    assert active.versions == (VersionShare(first, 90), VersionShare(second, 10))
    assert (active.message, active.main_version_id) == ("switchback:up to=runpod", first)
    assert [one.id for one in api.deployments(WORKER)] == ["deployment-2", "deployment-1"]


def test_a_worker_that_does_not_exist_has_no_active_deployment(api: CloudflareApi) -> None:
    assert api.active_deployment("another-worker") is None


def test_deploy_sends_the_recorded_body_with_force_and_the_token(edge: Edge, api: CloudflareApi) -> None:
    version = edge.upload("runpod")
    deployment = api.deploy(WORKER, [VersionShare(version, 100)], "switchback:up to=runpod")
    (request,) = edge.mutating
    assert json.loads(request.content) == {
        "strategy": "percentage",
        "versions": [{"percentage": 100, "version_id": version}],
        "annotations": {"workers/message": "switchback:up to=runpod"},
    }
    assert request.url.params["force"] == "true"
    assert request.headers["authorization"] == f"Bearer {DUMMY_TOKEN}"
    assert deployment.id == "deployment-1"


def test_versions_are_read_from_the_older_shape_and_one_version_from_the_newer(
    edge: Edge, api: CloudflareApi
) -> None:
    edge.upload("scenario")
    edge.upload("runpod")
    newest = api.versions(WORKER, deployable=True)[0]
    assert edge.requests[-1].url.params["deployable"] == "true"
    assert (newest.provider, newest.number, newest.bindings) == ("runpod", 2, ())
    detailed = api.version(WORKER, newest.id)
    assert detailed.provider == "runpod"
    assert detailed.urls == ("https://00000002-image-generation-test.example.workers.dev",)
    assert newest.created_on == detailed.created_on


@pytest.mark.parametrize(
    ("answer", "kind", "exit_code", "words"),
    [
        (
            refusing(401, 10000, "Authentication error"),
            AuthError,
            ExitCode.AUTH,
            ["10000", "CLOUDFLARE_API_TOKEN"],
        ),
        (
            refusing(403, 10000, "Authentication error"),
            AuthError,
            ExitCode.AUTH,
            ["Workers Scripts Write", ACCOUNT],
        ),
        (refusing(404, 10007, "no such Worker"), NotFoundError, ExitCode.RESOURCE, ["no such Worker", "10007"]),
        (
            refusing(400, 10220, "Secret bindings changed"),
            ApiError,
            ExitCode.RESOURCE,
            ["Secret bindings changed"],
        ),
        (
            refusing(502, 10013, "internal"),
            ApiError,
            ExitCode.RESOURCE,
            ["trouble of its own", "cloudflarestatus"],
        ),
        (httpx.Response(200, text="<html>captive</html>"), ApiError, ExitCode.RESOURCE, ["not JSON"]),
        (httpx.Response(200, json=[1]), ApiError, ExitCode.RESOURCE, ["not JSON"]),
    ],
)
def test_every_refusal_is_named_with_its_next_step(
    edge: Edge,
    api: CloudflareApi,
    answer: httpx.Response,
    kind: type[SwitchbackError],
    exit_code: ExitCode,
    words: list[str],
) -> None:
    edge.answer_first = lambda request: answer
    with pytest.raises(kind) as caught:
        api.deployments(WORKER)
    assert type(caught.value) is kind
    assert caught.value.exit_code is exit_code
    assert all(word in str(caught.value) for word in words)
    assert DUMMY_TOKEN not in str(caught.value) + repr(caught.value)


def test_a_read_is_tried_again_after_trouble_and_obeys_retry_after(edge: Edge, api: CloudflareApi) -> None:
    answers = iter([refusing(429, 10429, "rate limited", **{"retry-after": "7"}), refusing(500, 1, "internal")])
    edge.answer_first = lambda request: next(answers, None)
    assert api.deployments(WORKER) == []
    assert len(edge.requests) == 3
    assert 7 <= edge.clock.now() < 8


def test_a_read_gives_up_at_its_deadline(edge: Edge, api: CloudflareApi) -> None:
    edge.answer_first = lambda request: refusing(429, 10429, "rate limited", **{"retry-after": "300"})
    with pytest.raises(RateLimitedError) as caught:
        api.deployments(WORKER)
    assert caught.value.retry_after == 300
    assert edge.clock.now() == 0


@pytest.mark.parametrize("failure", [refusing(500, 1, "internal"), None])
def test_a_deployment_whose_fate_is_unknown_is_never_sent_twice(
    edge: Edge, api: CloudflareApi, failure: httpx.Response | None
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        if failure is None:
            raise httpx.ReadTimeout("slow", request=request)
        return failure

    edge.answer_first = fail
    with pytest.raises((ApiError, UnreachableError)):
        api.deploy(WORKER, [VersionShare("v", 100)], "")
    assert len(edge.requests) == 1


def test_a_deployment_refused_for_too_many_requests_is_sent_again(edge: Edge, api: CloudflareApi) -> None:
    answers = iter([refusing(429, 10429, "rate limited", **{"retry-after": "0"})])
    edge.answer_first = lambda request: next(answers, None)
    api.deploy(WORKER, [VersionShare(edge.upload("runpod"), 100)], "")
    assert (len(edge.requests), len(edge.deployments)) == (2, 1)


def test_no_answer_is_unreachable_and_names_the_host(edge: Edge, api: CloudflareApi) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    edge.answer_first = refuse
    with pytest.raises(UnreachableError, match=r"api\.cloudflare\.com.*ConnectError"):
        api.deployments(WORKER)
    assert len(edge.requests) == 4


@pytest.mark.parametrize("token", ["", "dummy token", "dummy\n", "dummy-ключ"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(http: httpx.Client, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CloudflareApi(ACCOUNT, token, http=http, clock=ManualClock())
    assert "dummy" not in str(caught.value)


def test_the_subdomain_is_read_from_the_account(edge: Edge, api: CloudflareApi) -> None:
    body = {"success": True, "errors": [], "messages": [], "result": {"subdomain": "example"}}
    edge.answer_first = lambda request: httpx.Response(200, json=body)
    assert api.subdomain() == "example"
