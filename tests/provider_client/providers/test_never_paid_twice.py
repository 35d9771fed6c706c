"""A submit whose fate nobody knows is neither sent again nor called worth sending again."""

from __future__ import annotations

import httpx
import pytest

from provider_client.failures import Failure, FailureKind, ProviderError
from provider_client.models import GenerationRequest, Operation
from tests.provider_client.providers.scripted_vendor import Answer, Vendor, answer

KNIGHT = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight of glass", width=64, height=64, seed=7)
SUBMITS = {"scenario": "POST /generate", "comfyui": "POST /prompt", "runpod": "POST /run"}
JSON = {"content-type": "application/json"}
LOST: dict[str, Answer] = {
    "no answer in time": httpx.ReadTimeout("lost"),
    "a proxy that gave up (504)": httpx.Response(504),
    "a proxy that gave up (524)": httpx.Response(524, html="<html>A timeout occurred</html>"),
    "a connection cut off (520)": httpx.Response(520),
    "an answer cut off": httpx.Response(200, content=b'{"id": "job-', headers=JSON),
    "an answer that cannot be unpacked": httpx.DecodingError("bad gzip"),
}


def failure_of(vendor: Vendor, provider: str) -> Failure:
    with pytest.raises(ProviderError) as raised:
        vendor.connect(provider).generate(KNIGHT)
    return raised.value.failure


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("provider", SUBMITS)
def test_a_lost_submit_that_cannot_be_looked_for_is_sent_once_and_not_called_retryable(
    provider: str, lost: str
) -> None:
    vendor = Vendor(
        {SUBMITS[provider]: [LOST[lost]], "GET /": [httpx.ConnectError("down")], "POST /": [answer({})]}
    )
    failure = failure_of(vendor, provider)
    assert len(vendor.sent(SUBMITS[provider])) == 1
    assert not failure.retryable
    assert failure.kind in (FailureKind.TIMEOUT, FailureKind.UNAVAILABLE)
    assert "may have taken the job" in failure.mitigation


@pytest.mark.parametrize("found", [{"jobs": "?"}, {"jobs": [{"createdAt": 1}, 7]}])
def test_a_list_of_jobs_that_cannot_be_read_leaves_the_submit_unknown(found: object) -> None:
    vendor = Vendor({"POST /generate": [httpx.ReadTimeout("lost")], "GET /jobs": [answer(found)]})
    assert not failure_of(vendor, "scenario").retryable


def test_an_accepted_job_without_a_name_is_not_submitted_again() -> None:
    failure = failure_of(Vendor({"POST /generate": [answer({"job": {"status": "queued"}})]}), "scenario")
    assert not failure.retryable
    assert "may have taken the job" in failure.mitigation


@pytest.mark.parametrize("provider", SUBMITS)
def test_a_page_in_place_of_the_api_took_no_job(provider: str) -> None:
    vendor = Vendor({"POST /": [httpx.Response(200, html="<html>Welcome to nginx</html>")], "GET /": [answer({})]})
    assert failure_of(vendor, provider).retryable
