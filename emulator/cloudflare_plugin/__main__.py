"""Serve the plugin and print its port, as the engine expects; bin/pulumi-resource-cloudflare starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, Final

import grpc

from emulator.cloudflare_plugin.api import CloudflareClient
from emulator.cloudflare_plugin.configuration import Configuration
from emulator.cloudflare_plugin.protocol import engine_pb2, engine_pb2_grpc, provider_pb2_grpc
from emulator.cloudflare_plugin.servicer import CloudflareServicer, Log

_MESSAGE_BYTES: Final = 400 * 1024 * 1024  # the engine's own limit
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
]
_PARENT_CHECK_SECONDS: Final = 2.0


def _make_client(configuration: Configuration) -> CloudflareClient:
    return CloudflareClient(
        configuration.base_url, configuration.authorization, account_id=configuration.account_id
    )


def _engine_log(stub: Any) -> Log:
    async def log(severity: str, message: str, urn: str) -> None:
        await stub.Log(
            engine_pb2.LogRequest(severity=engine_pb2.LogSeverity.Value(severity), message=message, urn=urn)
        )

    return log


async def _stderr_log(severity: str, message: str, urn: str) -> None:
    sys.stderr.write(f"{severity.lower()}: {message} {urn}\n")


async def _serve(engine_address: str | None) -> None:
    stop = _stop_on_signals()
    channel = grpc.aio.insecure_channel(engine_address) if engine_address else None
    log = _engine_log(engine_pb2_grpc.EngineStub(channel)) if channel else _stderr_log
    servicer = CloudflareServicer(environment=os.environ, log=log, make_client=_make_client)
    server = grpc.aio.server(options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await _stopped(stop)
    await server.stop(grace=None)
    await servicer.close()
    if channel:
        await channel.close()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _stopped(stop: asyncio.Event) -> None:
    """Return when told to stop, or when the engine that started the plugin is gone (killed hard)."""
    parent = os.getppid()
    while not stop.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_SECONDS)
        except TimeoutError:
            continue


def main(arguments: list[str]) -> None:
    """Serve until stopped. The first argument that is not a flag is the engine's address."""
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    asyncio.run(_serve(addresses[0] if addresses else None))


if __name__ == "__main__":
    main(sys.argv[1:])
