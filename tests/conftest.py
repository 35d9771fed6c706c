"""What every test gets: an environment without anybody's credentials, and no way to leave the machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

# a loaded machine is slow, which is not what a property test is about; and CI tries the same examples every time,
# so that a change is not blamed for what it did not touch
settings.register_profile("switchback", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("switchback")

FOREIGN = ("CLOUDFLARE_", "RUNPOD_", "SCENARIO_", "COMFYUI_", "SWITCHBACK_", "PULUMI_", "AWS_", "R2_", "GITHUB_")
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """A developer's own keys never reach a test."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(FOREIGN)}
    yield
    os.environ.update(taken)


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """A connection to anywhere else fails at once, with the address in the message."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = str(address[0]) if isinstance(address, tuple) else ""
        if self.family != socket.AF_UNIX and not host.startswith(LOOPBACK):
            raise OSError(f"a test tried to reach {address}")
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]
