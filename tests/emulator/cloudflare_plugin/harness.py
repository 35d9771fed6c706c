"""The plugin served over real gRPC in the test's process, with every log line it sends to the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from emulator.cloudflare_plugin.api import CloudflareClient
from emulator.cloudflare_plugin.configuration import Configuration
from emulator.cloudflare_plugin.protocol import provider_pb2, provider_pb2_grpc
from emulator.cloudflare_plugin.servicer import CloudflareServicer

REQUESTS: Mapping[str, Any] = {
    "Handshake": provider_pb2.ProviderHandshakeRequest,
    "GetPluginInfo": empty_pb2.Empty,
    "GetSchema": provider_pb2.GetSchemaRequest,
    "CheckConfig": provider_pb2.CheckRequest,
    "DiffConfig": provider_pb2.DiffRequest,
    "Configure": provider_pb2.ConfigureRequest,
    "Check": provider_pb2.CheckRequest,
    "Diff": provider_pb2.DiffRequest,
    "Create": provider_pb2.CreateRequest,
    "Read": provider_pb2.ReadRequest,
    "Update": provider_pb2.UpdateRequest,
    "Delete": provider_pb2.DeleteRequest,
}
Answering = Callable[[httpx.Request], httpx.Response]


@dataclass
class Plugin:
    """Calls the plugin as the engine does; answers are in the form of the recordings."""

    stub: Any
    log: list[tuple[str, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def call(self, rpc: str, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = await getattr(self.stub, rpc)(ParseDict(request, REQUESTS[rpc]()))
        except grpc.aio.AioRpcError as error:
            code = {"UNKNOWN": "Unknown", "UNIMPLEMENTED": "Unimplemented"}[error.code().name]
            return {"errors": [f"rpc error: code = {code} desc = {error.details()}"]}
        return {"response": MessageToDict(response)}

    async def of(self, token: str, rpc: str, **request: Any) -> dict[str, Any]:
        """Call one resource's operation; returns the response, fails on an error."""
        urn = f"urn:pulumi:dev::test::{token}::thing"
        answer = await self.call(rpc, {"type": token, "name": "thing", "urn": urn, **request})
        assert "response" in answer, answer
        response: dict[str, Any] = answer["response"]
        return response


@asynccontextmanager
async def served_plugin(base_url: str, answering: Answering | None = None) -> AsyncIterator[Plugin]:
    """Serve the plugin, configured for `base_url`; with `answering` no request leaves the process."""
    transport = httpx.MockTransport(answering) if answering else None
    plugin = Plugin(stub=None)

    async def log(severity: str, message: str, urn: str) -> None:
        plugin.log.append((severity, message, urn))

    async def no_sleep(seconds: float) -> None:
        plugin.waits.append(seconds)

    def make_client(configuration: Configuration) -> CloudflareClient:
        return CloudflareClient(
            configuration.base_url,
            configuration.authorization,
            account_id=configuration.account_id,
            transport=transport,
            sleep=no_sleep,
            wall=lambda: 0.0,
        )

    environment = {"CLOUDFLARE_BASE_URL": base_url, "CLOUDFLARE_API_TOKEN": "dummy-token-for-tests"}
    servicer = CloudflareServicer(environment=environment, log=log, make_client=make_client)
    server = grpc.aio.server()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        plugin.stub = provider_pb2_grpc.ResourceProviderStub(channel)
        yield plugin
    await server.stop(grace=None)
    await servicer.close()
