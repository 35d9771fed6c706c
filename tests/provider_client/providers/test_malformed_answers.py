"""Whatever a vendor, or what stands in its place, answers: a provider fails as a provider, never as a program."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_client.failures import ProviderError
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers import PROVIDERS
from tests.provider_client.providers.scripted_vendor import Vendor, picture_base64

WORDS = [
    "id", "status", "output", "images", "data", "type", "error", "job", "jobId", "metadata", "assetIds", "asset",
    "url", "prompt_id", "node_errors", "queue_running", "queue_pending", "exec_info", "queue_remaining", "outputs",
    "9", "name", "workers", "jobs", "delayTime", "executionTime", "createdAt", "statusHistory", "messages",
    "creativeUnitsCost", "billing", "status_str", "filename", "job-1", "errors", "details",
]  # fmt: skip
ENDINGS = ["COMPLETED", "success", "FAILED", "failure", "canceled", "IN_QUEUE", "queued", "job-1"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(ENDINGS) | st.just(picture_base64()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)
BODIES = st.lists(st.dictionaries(st.sampled_from(WORDS), JSON, max_size=8) | JSON, min_size=4, max_size=8)


@pytest.mark.parametrize("name", list(PROVIDERS))
@given(bodies=BODIES, operation=st.sampled_from(list(Operation)))
@settings(max_examples=60, deadline=None)
def test_no_json_whatsoever_breaks_a_provider(name: str, bodies: list[Any], operation: Operation) -> None:
    answers = iter(bodies)
    last = bodies[-1]

    def answer(request: httpx.Request, _: Vendor) -> httpx.Response:
        return httpx.Response(200, json=next(answers, last))

    vendor = Vendor({"GET /": [answer], "POST /": [answer]})
    prompt = None if operation is Operation.REMOVE_BACKGROUND else "a knight"
    request = GenerationRequest(operation=operation, prompt=prompt, image=InputImage(base64=picture_base64()))
    provider = vendor.connect(name)
    for ask in (provider.health, lambda: provider.generate(request, deadline_seconds=10)):
        with suppress(ProviderError):
            ask()


@pytest.mark.parametrize("name", list(PROVIDERS))
@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\xfe", b"<html>hi</html>", b"{"])
def test_no_bytes_whatsoever_break_a_provider(name: str, content: bytes) -> None:
    vendor = Vendor(
        {"GET /": [httpx.Response(200, content=content)], "POST /": [httpx.Response(200, content=content)]}
    )
    request = GenerationRequest(operation=Operation.TXT2IMG, prompt="a knight")
    with pytest.raises(ProviderError):
        vendor.connect(name).generate(request, deadline_seconds=10)
