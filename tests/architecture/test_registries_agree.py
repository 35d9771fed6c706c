"""A provider exists in three places or in none: the client, the Worker, the emulator."""

from __future__ import annotations

import re
from pathlib import Path

from emulator.services import SERVICES
from provider_client.config import StackConfig
from provider_client.providers import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]


def worker_providers() -> set[str]:
    source = (ROOT / "infra/worker/src/providers/index.js").read_text()
    body = re.search(r"PROVIDERS\s*=\s*(?:Object\.freeze\()?\{(.*?)\}", source, re.DOTALL)
    assert body is not None
    return set(re.findall(r"\w+", re.sub(r"//.*", "", body.group(1))))


def test_client_worker_and_emulator_know_the_same_providers() -> None:
    """The three registries hold the same names."""
    emulated = {name.removesuffix("_jobs") for name in SERVICES}
    assert worker_providers() == set(PROVIDERS)
    assert set(PROVIDERS) <= emulated


def test_the_configuration_knows_every_provider() -> None:
    """Each registered provider can be configured."""
    keys = {"account_id": "0" * 32, "gateway_tokens": ("t",), "job_signing_keys": ("k",)}
    assert set(StackConfig(stack="dev", **keys).missing_credentials()) == set(PROVIDERS)
