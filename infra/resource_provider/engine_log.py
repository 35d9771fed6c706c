"""What a person reads while `pulumi up` works: lines through the engine's log, attached to their resource."""

from __future__ import annotations

from typing import Protocol

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class EngineStub(Protocol):
    """The one call used of the engine's gRPC service."""

    def Log(self, request: engine_pb2.LogRequest, timeout: float | None = None) -> object: ...  # noqa: N802


def connect(address: str) -> EngineStub:
    """The engine at `address` ("host:port"), which it gives the plugin as its first argument."""
    stub: EngineStub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
    return stub


class EngineLog:
    """Lines about one resource. An engine that is gone is no error: the work matters more than its report."""

    def __init__(self, engine: EngineStub | None, urn: str) -> None:
        self._engine = engine
        self._urn = urn

    def status(self, text: str) -> None:
        """Replaces the text behind the resource while it is worked on, and leaves no trace."""
        self._send(engine_pb2.INFO, text, ephemeral=True)

    def info(self, text: str) -> None:
        self._send(engine_pb2.INFO, text)

    def warning(self, text: str) -> None:
        self._send(engine_pb2.WARNING, text)

    def _send(self, severity: engine_pb2.LogSeverity.ValueType, text: str, *, ephemeral: bool = False) -> None:
        if self._engine is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=self._urn, ephemeral=ephemeral)
        try:
            self._engine.Log(request, timeout=5.0)
        except grpc.RpcError:
            self._engine = None
