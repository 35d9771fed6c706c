"""The engine's gRPC messages, taken from the pulumi SDK without starting the SDK (0.2 s of every command)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pulumi.runtime.proto import engine_pb2 as _engine_pb2
    from pulumi.runtime.proto import plugin_pb2 as _plugin_pb2
    from pulumi.runtime.proto import provider_pb2 as _provider_pb2

_PACKAGE: Final = "pulumi.runtime.proto"
_ALIAS: Final = "emulator_pulumi_proto"


def _load(name: str) -> Any:
    if "pulumi" in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    if _ALIAS not in sys.modules:
        found = importlib.util.find_spec("pulumi")
        if found is None or found.origin is None:
            raise ModuleNotFoundError("the pulumi SDK is not installed", name="pulumi")
        package = ModuleType(_ALIAS)
        package.__path__ = [str(Path(found.origin).parent / "runtime" / "proto")]
        sys.modules[_ALIAS] = package
    return importlib.import_module(f"{_ALIAS}.{name}")


if not TYPE_CHECKING:
    _engine_pb2 = _load("engine_pb2")
    _plugin_pb2 = _load("plugin_pb2")
    _provider_pb2 = _load("provider_pb2")

engine_pb2 = _engine_pb2
plugin_pb2 = _plugin_pb2
provider_pb2 = _provider_pb2
engine_pb2_grpc: Any = _load("engine_pb2_grpc")
provider_pb2_grpc: Any = _load("provider_pb2_grpc")
