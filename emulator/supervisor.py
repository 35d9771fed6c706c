"""Starts the emulated world on one loopback port and takes it down again, workerd processes included."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from emulator.control import Control
from emulator.environment import CloudflarePlugin, emulated_environment, find_cloudflare_plugin
from emulator.faults import fault_middleware, service_of
from emulator.front import Front
from emulator.object_store import ObjectStore
from emulator.services import construct
from emulator.services.cloudflare import Cloudflare
from emulator.services.r2 import R2
from emulator.worker_runtime import WorkerRuntime
from emulator.world import SimulatedClock, World

HEAD_LIMIT = 16 << 10  # a URL or one header, as at Cloudflare
READ_LIMIT = 110 << 20  # bodies that are read whole; above Cloudflare's limit for Workers


class Emulator:
    """A running emulator. Its world belongs to another thread: change it through the control API."""

    def __init__(self, world: World, state_dir: Path, plugin: CloudflarePlugin) -> None:
        self.world = world
        self.state_dir = state_dir
        self.cloudflare_plugin = plugin

    @property
    def base_url(self) -> str:
        """http://127.0.0.1:<port>"""
        return self.world.base_url

    @property
    def port(self) -> int:
        """The one port."""
        return self.world.port

    def environment(self) -> dict[str, str]:
        """Variables for a command that is to meet this emulator; to be laid over its own environment."""
        (self.state_dir / "pulumi").mkdir(parents=True, exist_ok=True)
        return emulated_environment(
            self.base_url,
            self.world.objects.s3_endpoint,
            self.world.clock.speed,
            self.state_dir,
            self.cloudflare_plugin,
        )


@contextmanager
def running(
    *,
    port: int = 0,
    speed: float = 1.0,
    state_dir: Path | None = None,
    seed: int = 0,
    allow_internet: bool = False,
) -> Iterator[Emulator]:
    """An emulator in a thread of this process. `port` 0 takes a free one; without `state_dir` nothing is kept.

    With `allow_internet` Workers may call addresses outside this machine: the same code against the real vendors.
    """
    with ExitStack() as stack:
        directory = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-")))
        started: Future[tuple[Emulator, Callable[[], None]]] = Future()
        set_aside_old_state(directory)
        networks = ("local", "private", "public") if allow_internet else ("local",)
        runtime = WorkerRuntime(directory.resolve() / "workers", networks)
        serving = _serve(port, speed, seed, runtime, directory.resolve(), started)
        thread = threading.Thread(target=_run, args=(serving, started), name="emulator")
        thread.start()
        try:
            emulator, stop = started.result()
        except BaseException:
            thread.join()
            raise
        try:
            yield emulator
        finally:
            stop()
            thread.join()


def _run(serving: Awaitable[None], started: Future[tuple[Emulator, Callable[[], None]]]) -> None:
    async def main() -> None:
        await serving

    try:
        asyncio.run(main())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(
    port: int,
    speed: float,
    seed: int,
    runtime: WorkerRuntime,
    directory: Path,
    started: Future[tuple[Emulator, Callable[[], None]]],
) -> None:
    async with AsyncExitStack() as stack:
        objects = ObjectStore()
        stack.push_async_callback(objects.close)
        world = World(SimulatedClock(speed), objects, seed)
        stack.push_async_callback(runtime.stop)
        app, front = _application(world, runtime)
        stack.push_async_callback(front.close)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=0.5,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            auto_decompress=False,  # the front passes a Worker what it got; unpacked, it would not be of its length
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        world.port = runner.addresses[0][1]
        world.base_url = f"http://127.0.0.1:{world.port}"
        runtime.r2_port = world.port
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        emulator = Emulator(world, directory, find_cloudflare_plugin())

        def stop() -> None:
            loop.call_soon_threadsafe(stopped.set)

        started.set_result((emulator, stop))
        await stopped.wait()


def _application(world: World, runtime: WorkerRuntime) -> tuple[web.Application, Front]:
    services = construct(world)
    cloudflare, r2 = cast("Cloudflare", services["cloudflare"]), cast("R2", services["r2"])
    front = Front(world, cloudflare.account, r2, runtime)

    async def reset() -> None:
        world.faults.clear()
        world.requests.clear()
        world.reseed(world.seed)
        for service in services.values():
            service.reset()
        await runtime.stop()
        await world.objects.reset()

    control = Control(world, list(services.values()), reset, runtime.logs)
    app = web.Application(
        middlewares=[front.middleware(), log_middleware(world), fault_middleware(world, services.values())],
        client_max_size=READ_LIMIT,
    )
    app.add_routes(control.routes())
    for service in services.values():
        app.add_routes(service.routes())
    return app, front


def set_aside_old_state(state_dir: Path) -> None:
    """Pulumi's state of an earlier emulator describes a cloud that is gone: keep it, but out of the way."""
    state, previous = state_dir / "pulumi", state_dir / "pulumi.previous"
    if state.exists():
        shutil.rmtree(previous, ignore_errors=True)
        state.rename(previous)


def log_middleware(world: World) -> Middleware:
    """Writes every request of a vendor's API into the request log, whatever became of it."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        service, status = service_of(request.path), 0
        try:
            answer = await handler(request)
            status = answer.status
        except web.HTTPException as error:
            status = error.status
            raise
        else:
            return answer
        finally:
            if service:
                world.requests.add(service, request.method, request.path, status, world.clock.time())

    return middleware
