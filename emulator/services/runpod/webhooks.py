"""Delivery of finished jobs to the webhook that their request named."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from emulator.services.runpod.state import Json
from emulator.world import World

TRIES = 3
PAUSE_SECONDS = 10.0
ANSWER_SECONDS = 10.0


def is_loopback(host: str) -> bool:
    """The emulator talks to nobody outside this machine."""
    return host in {"127.0.0.1", "localhost", "::1"} or host.endswith(".localhost")


class _Loopback(AbstractResolver):
    """`*.localhost` is this machine (RFC 6761), whatever the system's resolver says."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family or socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        return None


class Webhooks:
    """Posts until one answer is 200: three tries, 10 simulated seconds apart."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts = {"delivered": 0, "failed": 0, "not_loopback": 0}

    async def deliver(self, url: str, body: Json) -> None:
        if not is_loopback(urlsplit(url).hostname or ""):
            self.counts["not_loopback"] += 1
            return
        connector = aiohttp.TCPConnector(resolver=_Loopback())
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            for attempt in range(TRIES):
                if attempt:
                    await self.world.clock.sleep(PAUSE_SECONDS)
                if await self._posted(session, url, body):
                    self.counts["delivered"] += 1
                    return
        self.counts["failed"] += 1

    async def _posted(self, session: aiohttp.ClientSession, url: str, body: Json) -> bool:
        try:
            async with session.post(url, json=body, allow_redirects=False) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
