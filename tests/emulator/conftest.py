"""One emulator for all tests of a process; each test begins with an empty cloud."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from emulator.supervisor import Emulator, running
from provider_client.http import open_client
from tests.emulator.cloudflare_calls import Cloud
from tests.emulator.vendor_calls import Vendors


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running(speed=1000) as started:
        yield started


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client


@pytest.fixture
def cloud(emulator: Emulator, http: httpx.Client) -> Cloud:
    """An emulator without a memory."""
    cloud = Cloud(emulator, http)
    cloud.control("POST", "reset")
    return cloud


@pytest.fixture
def vendors(emulator: Emulator, http: httpx.Client) -> Vendors:
    """The providers of pictures, without a memory."""
    vendors = Vendors(emulator, http)
    vendors.control("POST", "reset")
    return vendors
