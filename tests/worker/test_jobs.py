"""Ids, cancelling, and jobs that outlive a switch of the provider."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.worker.worker_harness import Cloud, Gateway

TXT2IMG = {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}
SLOW_SECONDS = 3600  # of simulated time: longer than a test takes at its speed


def submits(cloud: Cloud, service: str, since: int) -> int:
    """How often a vendor accepted a job."""
    paths = {"scenario": "/generate/", "comfyui": "/prompt", "runpod_jobs": "/run"}
    return sum(
        request["method"] == "POST" and paths[service] in request["path"] and request["status"] == 200
        for request in cloud.requests(service, since)
    )


def tampered(generation_id: str, **changes: object) -> str:
    payload, signature = generation_id.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    content = json.dumps({**claims, **changes}, separators=(",", ":")).encode()
    return f"{base64.urlsafe_b64encode(content).decode().rstrip('=')}.{signature}"


def test_an_id_says_where_the_job_is_and_cannot_be_changed(gateways: dict[str, Gateway]) -> None:
    gateway = gateways["comfyui"]
    generation = gateway.post(TXT2IMG).json()
    for forged in (
        tampered(generation["id"], p="scenario"),
        tampered(generation["id"], e=2_000_000_000_000),
        generation["id"][:-4] + "AAAA",
    ):
        assert gateway.poll(forged).status_code == 404
    gateway.finish(generation)


@pytest.mark.parametrize(
    "malformed", ["x", "a.b", "%20", "..", "A" * 3000, "A" * 50 + "." + "!" * 43, "prompt-id"]
)
def test_what_never_was_an_id_is_not_found(gateways: dict[str, Gateway], malformed: str) -> None:
    assert gateways["comfyui"].poll(malformed).status_code == 404


def test_an_id_of_another_gateway_is_not_found(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    foreign = cloud.deploy("comfyui", JOB_SIGNING_KEYS=json.dumps(["dummy-other-key"]))
    generation = foreign.post(TXT2IMG).json()
    assert gateways["comfyui"].poll(generation["id"]).status_code == 404
    assert foreign.finish(generation)["status"] == "succeeded"


def test_signing_keys_rotate_without_losing_a_job(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    generation = gateways["comfyui"].post(TXT2IMG).json()
    rotated = cloud.deploy("comfyui", JOB_SIGNING_KEYS=json.dumps(["dummy-new-key", "dummy-signing-key"]))
    assert rotated.finish(generation)["status"] == "succeeded"


def test_a_webhooks_address_is_no_job_id(gateways: dict[str, Gateway]) -> None:
    gateway = gateways["runpod"]
    generation = gateway.post(TXT2IMG).json()
    answer = gateway.request(
        "POST", f"/v1/webhooks/runpod/{generation['id']}", token=None, json={"id": "job", "status": "COMPLETED"}
    )
    assert answer.status_code == 404
    gateway.finish(generation)


def test_polling_after_the_end_does_not_ask_the_provider(cloud: Cloud, gateway: Gateway) -> None:
    generation = gateway.generate(**TXT2IMG)
    before = cloud.last_request()
    assert gateway.poll(generation["id"]).json() == generation
    assert [cloud.requests(name, before) for name in ("scenario", "comfyui", "runpod_jobs")] == [[], [], []]


def test_a_result_is_stored_once_however_many_poll(cloud: Cloud, gateway: Gateway) -> None:
    generation = gateway.post(TXT2IMG).json()
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: gateway.finish(generation), range(8)))
    assert all(end == ends[0] for end in ends)
    assert ends[0]["status"] == "succeeded"


def test_cancelling_stops_the_job_at_its_provider(cloud: Cloud, gateway: Gateway) -> None:
    service = {"runpod": "runpod_jobs"}.get(gateway.provider, gateway.provider)
    cloud.fault(service, "slow", seconds=SLOW_SECONDS, times=1)
    generation = gateway.post(TXT2IMG).json()
    before = cloud.last_request()
    canceled = gateway.request("DELETE", f"/v1/generations/{generation['id']}")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    posted = [request["path"] for request in cloud.requests(service, before) if request["method"] == "POST"]
    assert any(re.search("cancel|action|queue|interrupt", path) for path in posted)
    assert gateway.poll(generation["id"]).json()["status"] == "canceled"


def test_cancelling_what_has_ended_changes_nothing(gateway: Gateway) -> None:
    generation = gateway.generate(**TXT2IMG)
    answer = gateway.request("DELETE", f"/v1/generations/{generation['id']}")
    assert (answer.status_code, answer.json()) == (200, generation)


def test_jobs_outlive_a_switch(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    """Fifty jobs at three providers all end where they began, polled through another version, each paid once."""
    before = cloud.last_request()
    names = ["scenario", "comfyui", "runpod"]
    begun = [(name, gateways[name].post(TXT2IMG).json()) for name in (names * 17)[:50]]
    with ThreadPoolExecutor(8) as pool:
        others = [gateways[names[(names.index(name) + 1) % 3]] for name, _ in begun]
        ends = list(
            pool.map(lambda pair: pair[0].finish(pair[1], 60), zip(others, (job for _, job in begun), strict=True))
        )
    assert [(end["provider"], end["status"]) for end in ends] == [(name, "succeeded") for name, _ in begun]
    counts = [submits(cloud, name, before) for name in ("scenario", "comfyui", "runpod_jobs")]
    assert counts == [17, 17, 16]


def test_a_version_without_the_jobs_provider_says_so(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    generation = gateways["comfyui"].post(TXT2IMG).json()
    bare = cloud.deploy("scenario", COMFYUI_ENDPOINT=None)
    answer = bare.poll(generation["id"])
    assert answer.status_code == 503
    assert "COMFYUI_ENDPOINT" in answer.json()["detail"]
    gateways["comfyui"].finish(generation)


def test_two_clients_polling_a_chain_advance_it_once(cloud: Cloud, gateways: dict[str, Gateway]) -> None:
    """A hundred polls at once from two sides: each stage of Scenario's chain is submitted once."""
    before = cloud.last_request()
    sides = [gateways["scenario"], gateways["comfyui"]]
    generation = sides[0].post({"operation": "pipeline", "prompt": "A wizard", "width": 128, "height": 128}).json()
    with ThreadPoolExecutor(20) as pool:
        ends = list(pool.map(lambda number: sides[number % 2].finish(generation, 60), range(100)))
    assert {end["status"] for end in ends} == {"succeeded"}
    assert len({end["assets"][0]["key"] for end in ends}) == 1
    assert submits(cloud, "scenario", before) == 2


def signed(**claims: object) -> str:
    """An id as the gateway gives it out, with claims of our choice."""
    payload = unpadded(json.dumps(claims, separators=(",", ":")).encode())
    digest = hmac.digest(b"dummy-signing-key", f"generation.{payload}".encode(), "sha256")
    return f"{payload}.{unpadded(digest)}"


def test_an_error_of_our_own_is_logged_without_its_message(cloud: Cloud) -> None:
    """A message may quote anything, and words that look like a place in the code."""
    gateway = cloud.deploy("comfyui")
    payload = unpadded(b"at a castle")
    forged = f"{payload}.{unpadded(hmac.digest(b'dummy-signing-key', f'generation.{payload}'.encode(), 'sha256'))}"
    assert gateway.poll(forged).status_code == 500
    logs = cloud.http.get(f"{cloud.emulator.base_url}/_emulator/logs").json()["logs"][gateway.version_id]
    (line,) = [json.loads(line) for line in logs if line.startswith("{")]
    assert line["event"] == "error"
    assert any("job_id.js" in place for place in line["stack"])
    assert "castle" not in json.dumps(logs)


def unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def aged(generation_id: str, seconds: int, lifetime: int = 24 * 3600) -> str:
    """The same job, as if it had been submitted so long ago."""
    payload = generation_id.split(".")[0]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    issued = claims["t"] - seconds
    return signed(**{**claims, "t": issued, "e": issued + lifetime})


def test_an_expired_id_is_gone(gateways: dict[str, Gateway]) -> None:
    generation = gateways["comfyui"].generate(**TXT2IMG)
    assert gateways["comfyui"].poll(aged(generation["id"], 25 * 3600)).status_code == 410


def test_a_job_past_the_deadline_is_given_up_and_stopped(cloud: Cloud, gateway: Gateway) -> None:
    """After half an hour the gateway cancels at the provider, so that nothing bills on."""
    service = {"runpod": "runpod_jobs"}.get(gateway.provider, gateway.provider)
    cloud.fault(service, "slow", seconds=SLOW_SECONDS, times=1)
    generation = gateway.post(TXT2IMG).json()
    before = cloud.last_request()
    given_up = gateway.poll(aged(generation["id"], 31 * 60)).json()
    assert given_up["status"] == "failed"
    assert given_up["error"]["kind"] in {"TIMEOUT", "COLD_START"}
    posted = [request["path"] for request in cloud.requests(service, before) if request["method"] == "POST"]
    assert any(re.search("cancel|action|queue|interrupt", path) for path in posted)
    assert gateway.poll(generation["id"]).json()["status"] == "failed"


def test_a_job_that_was_never_there_is_no_longer_known(gateways: dict[str, Gateway]) -> None:
    now = int(time.time())
    unknown = signed(g=str(uuid4()), p="comfyui", o="txt2img", s=0, t=now, e=now + 60)
    assert gateways["comfyui"].poll(unknown).status_code == 410
