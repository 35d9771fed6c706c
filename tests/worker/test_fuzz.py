"""The running Worker, asked whatever its own contract allows and much that it does not."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.worker.worker_contract import CONTRACT
from tests.worker.worker_harness import TOKEN, Cloud, Gateway

NOT_FOR_US = [
    ignored_auth,  # repeats a call without our Host header; test_gateway_basics.py asks without a token
    positive_data_acceptance,  # a schema cannot say that base64 is a picture, nor limit width times height
]

schema = schemathesis.openapi.from_path(CONTRACT)


@pytest.fixture(scope="module")
def target(cloud: Cloud) -> Gateway:
    return cloud.deploy("comfyui")


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_in_the_contract(case: Case, cloud: Cloud, target: Gateway) -> None:
    """No 5xx, no answer outside openapi.yaml, and nothing wrong is accepted."""
    headers = {"Host": urlsplit(target.url).netloc}
    if case.operation.security:
        headers["Authorization"] = f"Bearer {TOKEN}"
    case.headers.pop("Prefer", None)  # would really wait
    response = case.call(base_url=cloud.emulator.base_url, headers=headers)
    case.validate_response(response, excluded_checks=NOT_FOR_US)
