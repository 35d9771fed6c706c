"""Starts the emulated world on one loopback port and takes it down again."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from emulator.faults import fault_middleware
from emulator.services import construct
from emulator.world import SimulatedClock, World


class Emulator:
    """A running emulator."""

    def __init__(self, world: World, state_dir: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self.state_dir = state_dir
        self.loop = loop

    @property
    def base_url(self) -> str:
        return self.world.base_url

    @property
    def port(self) -> int:
        return self.world.port

    def environment(self) -> dict[str, str]:
        return {}


@contextmanager
def running(
    *, port: int = 0, speed: float = 1.0, state_dir: Path | None = None, seed: int = 0
) -> Iterator[Emulator]:
    """An emulator in a thread of this process."""
    with tempfile.TemporaryDirectory() as temporary:
        ready: list[Emulator] = []
        started, stop = threading.Event(), asyncio.Event()

        async def serve() -> None:
            world = World(SimulatedClock(speed), seed)
            app = web.Application(middlewares=[fault_middleware(world)], client_max_size=110 << 20)
            for service in construct(world):
                app.add_routes(service.routes())
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            world.port = runner.addresses[0][1]
            world.base_url = f"http://127.0.0.1:{world.port}"
            ready.append(Emulator(world, state_dir or Path(temporary), asyncio.get_running_loop()))
            started.set()
            await stop.wait()
            await runner.cleanup()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        started.wait(10)
        try:
            yield ready[0]
        finally:
            ready[0].loop.call_soon_threadsafe(stop.set)
            thread.join()
