"""The plugin process: the engine's gRPC calls in, plain Python calls to the controllers out.

Async ends here. A controller works in a thread, so that one long verification does not keep the engine's other
calls waiting; `Cancel` sets the event that all their waits listen to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
from google.protobuf import any_pb2, empty_pb2
from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from infra.resource_provider.bucket_contents import BucketContentsController
from infra.resource_provider.controller import (
    Controller,
    CreatedButUnhealthy,
    ProviderConfig,
    Session,
)
from infra.resource_provider.engine_log import EngineLog, EngineStub, connect
from infra.resource_provider.preflight import PreflightController
from infra.resource_provider.property_values import from_plain, secret_paths, to_plain
from infra.resource_provider.runpod_endpoint import RunPodEndpointController
from infra.resource_provider.schema import PACKAGE, SCHEMA
from infra.resource_provider.traffic_split import TrafficSplitController
from infra.resource_provider.verification import VerificationController
from provider_client import __version__
from provider_client.clock import SystemClock, provider_clock
from provider_client.errors import SwitchbackError
from provider_client.http import open_client

WORKING_THREADS = 16  # more than a stack has resources of ours: none waits for another's verification
PARENT_CHECK_SECONDS = 2.0
READ_TIMEOUT_SECONDS = 150.0  # above the longest answer a caller may ask for; each client sets its own below it


def controllers() -> dict[str, Controller]:
    """Type token → controller."""
    return {
        f"{PACKAGE}:index:RunPodEndpoint": RunPodEndpointController(),
        f"{PACKAGE}:index:Verification": VerificationController(),
        f"{PACKAGE}:index:TrafficSplit": TrafficSplitController(),
        f"{PACKAGE}:index:BucketContents": BucketContentsController(),
        f"{PACKAGE}:index:Preflight": PreflightController(),
    }


class SwitchbackProvider(api.Provider):
    """Turns each request into a controller's call, and its plain result back into property values."""

    def __init__(
        self,
        by_type: Mapping[str, Controller],
        *,
        http: httpx.Client,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._controllers = by_type
        self._http = http
        self._environment = environment
        self._config = ProviderConfig.from_properties({}, environment)
        self._cancelled = threading.Event()
        self.working = 0  # controllers at work
        self._threads = ThreadPoolExecutor(WORKING_THREADS, thread_name_prefix="controller")
        self.engine: EngineStub | None = None

    async def get_schema(self, _request: api.GetSchemaRequest) -> api.GetSchemaResponse:
        return api.GetSchemaResponse(schema=json.dumps(SCHEMA))

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        properties = {**request.variables, **to_plain(request.args)}
        self._config = ProviderConfig.from_properties(properties, self._environment)
        # Not accept_outputs: an unknown output value has no `value`, which PropertyValue.unmarshal refuses.
        return api.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        controller = self._controller(request.type)
        checked = await self._run(
            controller.check, self._session(request), to_plain(request.old_inputs), to_plain(request.new_inputs)
        )
        inputs = self._properties(controller, checked.inputs, request.new_inputs)
        failures = [api.CheckFailure(failure.property, failure.reason) for failure in checked.failures]
        return api.CheckResponse(inputs, failures)

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        new = to_plain(request.new_inputs)
        for name in request.ignore_changes:
            new[name] = to_plain(request.old_state).get(name)
        diff = await self._run(
            self._controller(request.type).diff,
            self._session(request),
            request.resource_id,
            to_plain(request.old_state),
            new,
        )
        changed, replaces = list(diff.changed), list(diff.replaces)
        kinds = dict.fromkeys(changed, api.PropertyDiffKind.UPDATE)
        kinds |= dict.fromkeys(replaces, api.PropertyDiffKind.UPDATE_REPLACE)
        return api.DiffResponse(
            changes=bool(kinds),
            replaces=replaces,
            diffs=list(kinds),
            detailed_diff={name: api.PropertyDiff(kind, input_diff=True) for name, kind in kinds.items()},
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        controller = self._controller(request.type)
        created = await self._run(
            controller.create, self._session(request), to_plain(request.properties), preview=request.preview
        )
        return api.CreateResponse(created.id, self._properties(controller, created.outputs, request.properties))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        controller = self._controller(request.type)
        live = await self._run(
            controller.read,
            self._session(request),
            request.resource_id,
            to_plain(request.properties),
            to_plain(request.inputs),
        )
        if live is None:
            return api.ReadResponse(resource_id=None)
        before = {**request.properties, **request.inputs}
        return api.ReadResponse(
            live.id,
            self._properties(controller, live.outputs, before),
            self._properties(controller, live.inputs, before),
        )

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        controller = self._controller(request.type)
        outputs = await self._run(
            controller.update,
            self._session(request),
            request.resource_id,
            to_plain(request.olds),
            to_plain(request.news),
            preview=request.preview,
        )
        return api.UpdateResponse(self._properties(controller, outputs, {**request.olds, **request.news}))

    async def delete(self, request: api.DeleteRequest) -> None:
        await self._run(
            self._controller(request.type).delete,
            self._session(request),
            request.resource_id,
            to_plain(request.properties),
        )

    async def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        """Ends the working threads; what still waits is told to stop."""
        self._cancelled.set()
        self._threads.shutdown()

    def _controller(self, qualified_type: str) -> Controller:
        """By the type as an URN has it: the parents' types come first, each followed by `$`."""
        type_token = qualified_type.rpartition("$")[2]
        try:
            return self._controllers[type_token]
        except KeyError:
            raise SwitchbackError(
                f"the resource provider '{PACKAGE}' has no type {type_token}; "
                f"it has {', '.join(sorted(self._controllers))}"
            ) from None

    def _session(self, request: Any) -> Session:
        return Session(
            urn=request.urn,
            config=self._config,
            http=self._http,
            log=EngineLog(self.engine, request.urn),
            wall=SystemClock(),
            clock=provider_clock(self._environment),
            cancelled=self._cancelled,
            timeout_seconds=float(getattr(request, "timeout", 0.0) or 0.0),
        )

    def secrets_of(self, request: Any) -> frozenset[tuple[str, ...]]:
        """Secret paths of a Create or Update as it came over the wire."""
        given = PropertyValue.unmarshal_map(request.news if hasattr(request, "news") else request.properties)
        controller = self._controller(request.urn.split("::")[-2])
        return secret_paths(given) | {(name,) for name in controller.secret_properties}

    def _properties(
        self, controller: Controller, values: Mapping[str, Any], before: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        secrets = secret_paths(before) | {(name,) for name in controller.secret_properties}
        return from_plain(values, secrets)

    async def _run(self, work: Callable[..., Any], *arguments: object, **named: object) -> Any:
        loop = asyncio.get_running_loop()
        self.working += 1
        try:
            return await loop.run_in_executor(self._threads, lambda: work(*arguments, **named))
        finally:
            self.working -= 1


def partial_failure(error: CreatedButUnhealthy, secrets: frozenset[tuple[str, ...]]) -> status_pb2.Status:
    """The status that makes the engine record the resource together with why it is not well."""
    details = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id,
        properties=PropertyValue.marshal_map(from_plain(error.outputs, secrets)),
        inputs=PropertyValue.marshal_map(from_plain(error.inputs, secrets)),
        reasons=[str(error)],
    )
    packed = any_pb2.Any()
    packed.Pack(details)
    return status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])


def sentence(error: BaseException) -> str:
    """What the user reads. A bug says where it is, never with values: they could be secret."""
    if isinstance(error, SwitchbackError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    where = f" at {Path(frame.filename).name}:{frame.lineno}" if frame else ""
    return f"a bug in the resource provider: {type(error).__name__}{where} (SWITCHBACK_DEBUG=1 shows more)"


class SwitchbackServicer(ProviderServicer):
    """The SDK's servicer with three things it lacks: clean errors, partial failures, and Attach.

    The SDK (3.272) wraps every error in one whose text is the traceback; the original is its context.
    """

    def __init__(self, arguments: list[str], provider: SwitchbackProvider, engine_address: str) -> None:
        super().__init__(arguments, __version__, provider, engine_address)
        self._switchback = provider
        if engine_address:
            provider.engine = connect(engine_address)

    async def Attach(self, request: Any, _context: Any) -> empty_pb2.Empty:  # noqa: N802
        """PULUMI_DEBUG_PROVIDERS: an engine connects to a provider that runs already."""
        self._switchback.engine = connect(request.address)
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().CheckConfig(request, context), request, context)

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Configure(request, context), request, context)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Check(request, context), request, context)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Diff(request, context), request, context)

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Create(request, context), request, context)

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Read(request, context), request, context)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Update(request, context), request, context)

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._cleanly(super().Delete(request, context), request, context)

    async def _cleanly(self, call: Awaitable[Any], request: Any, context: Any) -> Any:
        try:
            return await call
        except NotImplementedError:
            raise
        except Exception as error:
            original = error.__context__ or error
            if os.environ.get("SWITCHBACK_DEBUG"):
                traceback.print_exception(original)
            if isinstance(original, CreatedButUnhealthy):
                status = partial_failure(original, self._switchback.secrets_of(request))
                metadata = (("grpc-status-details-bin", status.SerializeToString()),)
                await context.abort(grpc.StatusCode.UNKNOWN, str(original), metadata)
            await context.abort(grpc.StatusCode.UNKNOWN, sentence(original))
            raise  # not reached: abort raises


async def serve(arguments: list[str], provider: SwitchbackProvider, engine_address: str) -> None:
    """Serves on a free loopback port, printed on stdout as the engine expects, until the engine ends the process.

    The engine ends its plugins with SIGINT and waits for them, so leaving at once is time that nobody waits for.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    servicer = SwitchbackServicer(arguments, provider, engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await until_no_longer_needed(ended, provider)
    await server.stop(grace=None)


async def until_no_longer_needed(ended: asyncio.Event, provider: SwitchbackProvider) -> None:
    """Returns when told to end, or when the engine is gone (kill -9) and what it had asked for is finished.

    Finished, not dropped: a move of traffic whose verification fails is put back even when nobody listens any more.
    """
    parent = os.getppid()
    while not ended.is_set() and (os.getppid() == parent or provider.working):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), PARENT_CHECK_SECONDS)


def main() -> None:
    """Entry of pulumi-resource-switchback; the first positional argument is the engine's address, if any."""
    arguments = sys.argv[1:]
    engine_address = next((argument for argument in arguments if not argument.startswith("-")), "")
    with open_client(timeout=READ_TIMEOUT_SECONDS) as http:
        provider = SwitchbackProvider(controllers(), http=http)
        try:
            asyncio.run(serve(arguments, provider, engine_address))
        finally:
            provider.close()


if __name__ == "__main__":
    main()
