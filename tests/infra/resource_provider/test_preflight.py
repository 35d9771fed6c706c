"""Preflight: what is found before anything is made, and the two ways on that are named."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.resource_provider.controller import ProviderConfig, Session
from infra.resource_provider.preflight import PreflightController
from provider_client.clock import ManualClock
from provider_client.errors import AuthError, UnreachableError

ACCOUNT = "0123456789abcdef0123456789abcdef"
LEGACY = {"id": "5" * 32, "name": "gateway", "subdomain": {"enabled": True, "previews_enabled": False}}
INPUTS = {"accountId": ACCOUNT, "workerName": "gateway", "bucketName": "gateway-assets", "workersDev": True}
ADOPTING = {**INPUTS, "adoptWorkerId": LEGACY["id"], "adoptBucket": "gateway-assets"}


class Account:
    """Cloudflare's API with these Workers and buckets, and with `domains` that are bound to Workers."""

    def __init__(self, *workers: dict[str, Any], buckets: tuple[str, ...] = ()) -> None:
        self.workers, self.buckets = workers, buckets
        self.domains: list[dict[str, str]] = []
        self.objects: tuple[str, ...] = ()
        self.refusal: httpx.Response | None = None
        self.sent: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        kind, _, name = request.url.path.partition(f"/accounts/{ACCOUNT}/")[2].rpartition("/")
        if name == "objects":
            return httpx.Response(200, json={"success": True, "result": [{"key": key} for key in self.objects]})
        if self.refusal is not None:
            return self.refusal
        if request.method == "POST":
            self.sent.append((request.url.path, json.loads(request.content)))
            return httpx.Response(200, json={"success": True, "result": {}})
        found: Any = next((worker for worker in self.workers if name in (worker["id"], worker["name"])), None)
        if kind == "r2/buckets":
            found = {"name": name} if name in self.buckets else None
        if name == "domains":
            found = self.domains
        if found is None:
            return httpx.Response(
                404, json={"success": False, "errors": [{"code": 10007, "message": "not found"}]}
            )
        return httpx.Response(200, json={"success": True, "result": found})


class Log:
    def __init__(self) -> None:
        self.infos: list[str] = []

        self.warnings: list[str] = []

    def status(self, text: str) -> None: ...
    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def info(self, text: str) -> None:
        self.infos.append(text)


def session(transport: httpx.MockTransport, log: Log | None = None) -> Session:
    token = "dummy-cloudflare-token-of-forty-characters"
    return Session(
        urn="urn:pulumi:dev::image-generation::switchback:index:Preflight::preflight",
        config=ProviderConfig(cloudflare_api_token=token, project_dir=Path()),
        http=httpx.Client(transport=transport),
        log=log or Log(),
        wall=ManualClock(),
        clock=ManualClock(),
        cancelled=threading.Event(),
    )


def failures(account: Account, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, str]:
    checked = PreflightController().check(session(httpx.MockTransport(account)), old or {}, inputs)
    return {failure.property: failure.reason for failure in checked.failures}


def test_free_names_pass() -> None:
    assert failures(Account(), INPUTS) == {}


def test_a_clash_names_both_ways_on() -> None:
    """Taking it over, with the id that it needs, or another name."""
    found = failures(Account(LEGACY, buckets=("gateway-assets",)), INPUTS)
    assert f"adoptWorkerId {LEGACY['id']}" in found["workerName"]
    assert "workerName <name>" in found["workerName"]
    assert "adoptBucket gateway-assets" in found["bucketName"]
    assert "assetBucket <name>" in found["bucketName"]


def test_what_an_earlier_run_made_is_no_clash() -> None:
    assert failures(Account(LEGACY, buckets=("gateway-assets",)), INPUTS, old=INPUTS) == {}


def test_another_name_is_held_against_what_exists_again() -> None:
    renamed = {**INPUTS, "workerName": "other"}
    assert "workerName" in failures(Account(LEGACY, buckets=("gateway-assets",)), INPUTS, old=renamed)


def test_another_bucket_is_refused_while_the_old_one_holds_objects() -> None:
    """Before anything is made: afterwards the old one would be in the way of every `up`."""
    account = Account(buckets=("gateway-assets",))
    renamed = {**INPUTS, "bucketName": "other-assets"}
    assert failures(account, renamed, old=INPUTS) == {}
    account.objects = ("generations/knight.png",)
    reason = failures(account, renamed, old=INPUTS)["bucketName"]
    assert "generations/knight.png" in reason
    assert "pulumi config set assetBucket gateway-assets" in reason
    assert failures(account, INPUTS, old=INPUTS) == {}


def test_objects_that_were_given_up_are_told() -> None:
    account, log = Account(buckets=("gateway-assets",)), Log()
    account.objects = ("generations/knight.png",)
    within = session(httpx.MockTransport(account), log)
    renamed = {**INPUTS, "bucketName": "other-assets"}
    assert not PreflightController().check(within, {**INPUTS, "forceDestroy": True}, renamed).failures
    assert "bucket gateway-assets is deleted with its objects" in log.warnings[0]


@pytest.mark.parametrize(
    ("behind", "former_name", "refused"),
    [("shop", None, True), ("gateway", None, False), ("shop", "shop", False), ("gone", None, False)],
    ids=["another Worker's", "ours", "ours, about to be renamed", "ours, renamed by a run that was interrupted"],
)
def test_a_host_name_stays_with_the_worker_that_has_it(
    behind: str, former_name: str | None, refused: bool
) -> None:
    """Found in the preview; the official plugin would repeat Cloudflare's 409 for minutes, traffic moved."""
    account = Account({"id": "6" * 32, "name": "shop"})
    account.domains = [{"hostname": "images.example.com", "service": behind}]
    old = {**INPUTS, "workerName": former_name} if former_name else None
    found = failures(account, {**INPUTS, "customDomain": "images.example.com"}, old)
    assert set(found) == ({"customDomain"} if refused else set())
    assert not refused or "bound to the Worker shop" in found["customDomain"]


@pytest.mark.parametrize(
    ("account", "inputs", "named"),
    [
        (Account(), ADOPTING, {"adoptWorkerId", "adoptBucket"}),
        (Account({**LEGACY, "name": "old"}, buckets=("gateway-assets",)), ADOPTING, {"workerName"}),
        (
            Account(LEGACY, buckets=("gateway-assets",)),
            {**ADOPTING, "adoptWorkerId": "gateway"},
            {"adoptWorkerId"},
        ),
        (Account(LEGACY, buckets=("gateway-assets",)), ADOPTING, set()),
    ],
    ids=["nothing there", "another name", "a name for the id", "all there"],
)
def test_what_is_to_be_taken_over_must_exist(account: Account, inputs: dict[str, Any], named: set[str]) -> None:
    assert set(failures(account, inputs)) == named


def test_a_worker_that_is_taken_over_is_made_to_answer_where_the_stack_says() -> None:
    """Told in the preview, done in the update, once."""
    account, log = Account(LEGACY, buckets=("gateway-assets",)), Log()
    within = session(httpx.MockTransport(account), log)
    PreflightController().create(within, ADOPTING, preview=True)
    assert "Worker gateway: preview addresses off → on" in log.infos
    assert account.sent == []
    PreflightController().create(within, ADOPTING, preview=False)
    assert [body for _, body in account.sent] == [{"enabled": True, "previews_enabled": True}]
    PreflightController().update(within, ACCOUNT, ADOPTING, {**ADOPTING, "workersDev": False}, preview=False)
    assert len(account.sent) == 1


def test_the_keys_of_a_take_over_may_go() -> None:
    within = session(httpx.MockTransport(Account()))
    assert PreflightController().diff(within, ACCOUNT, ADOPTING, INPUTS).changed == ()
    assert PreflightController().diff(within, ACCOUNT, INPUTS, ADOPTING).changed == (
        "adoptWorkerId",
        "adoptBucket",
    )


def test_a_malformed_token_is_an_authentication_error() -> None:
    """Cloudflare answers it with 400 and code 6003, not with 401."""
    account = Account()
    envelope = {"success": False, "errors": [{"code": 6003, "message": "Invalid request headers"}]}
    account.refusal = httpx.Response(400, json=envelope)
    with pytest.raises(AuthError, match="does not accept the API token"):
        failures(account, INPUTS)


def test_an_api_that_cannot_be_reached_is_named_within_five_seconds() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    within = session(httpx.MockTransport(unreachable))
    with pytest.raises(UnreachableError, match=r"Cloudflare's API at api\.cloudflare\.com"):
        PreflightController().check(within, {}, INPUTS)
    assert within.wall.now() < 5
