"""A setting that no request could carry is refused by name, before anything is sent, and never shown."""

from __future__ import annotations

import pytest

from provider_client.errors import ConfigError
from provider_client.providers import PROVIDERS
from tests.provider_client.providers.scripted_vendor import ENVIRONMENT

ADDRESSES = {"scenario": "SCENARIO_BASE_URL", "comfyui": "COMFYUI_ENDPOINT", "runpod": "RUNPOD_ENDPOINT_BASE_URL"}
KEYS = {"scenario": "SCENARIO_SECRET_API_KEY", "comfyui": "COMFYUI_API_KEY", "runpod": "RUNPOD_API_KEY"}


@pytest.mark.parametrize("provider", ADDRESSES)
@pytest.mark.parametrize(
    "address", ["api.runpod.ai/v2", "http://", "http://host:port", "ftp://host", "localhost:8188"]
)
def test_an_address_that_is_none(provider: str, address: str) -> None:
    refused(provider, ADDRESSES[provider], address)


@pytest.mark.parametrize("provider", KEYS)
@pytest.mark.parametrize("key", ["fake…key", "fake\nkey", "fake\u200bkey"])
def test_a_key_that_was_not_pasted_as_it_is(provider: str, key: str) -> None:
    refused(provider, KEYS[provider], key)


def refused(provider: str, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as raised:
        PROVIDERS[provider].settings.from_environment({**ENVIRONMENT, name: value})
    assert value not in str(raised.value)
