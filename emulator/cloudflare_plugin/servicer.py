"""The engine's ResourceProvider protocol on top of the resource types and their operations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2

from emulator.cloudflare_plugin import PLUGIN_VERSION, operations
from emulator.cloudflare_plugin.api import CloudflareClient, ProviderError
from emulator.cloudflare_plugin.catalog import RESOURCE_TYPES, UnsupportedTypeError, resource_type
from emulator.cloudflare_plugin.configuration import (
    SECRET_KEYS,
    Configuration,
    NotLoopbackError,
    configuration,
    token_problem,
)
from emulator.cloudflare_plugin.ignored import with_ignored
from emulator.cloudflare_plugin.planning import Plan, plan
from emulator.cloudflare_plugin.properties import (
    mark_secret,
    mark_secrets,
    plain,
    to_attributes,
    to_properties,
)
from emulator.cloudflare_plugin.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc
from emulator.cloudflare_plugin.refreshed_inputs import imported, refreshed
from emulator.cloudflare_plugin.schema import UNKNOWN, ResourceType
from emulator.cloudflare_plugin.validation import deprecated, failures, unsupported

ANNOUNCEMENT: Final = "stand-in Cloudflare plugin (emulator): the official one is not in use"
_NOT_DESTROYED: Final = (
    "[WARNING] This resource cannot be destroyed from Terraform. If you create this resource, it will be present in"
    " the API until manually deleted.: Resource Destruction Considerations"
)
_NOT_FOUND: Final = (
    "[WARNING] The resource was not found on the server and will be removed from state.: Resource not found"
)
_EXPECTED_ERRORS: Final = (ProviderError, ValueError, OSError)

Log = Callable[[str, str, str], Awaitable[None]]  # severity ("INFO", "WARNING", "ERROR"), message, URN
MakeClient = Callable[[Configuration], CloudflareClient]


class CloudflareServicer(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """Answers the engine. `environment` gives what the provider's arguments do not."""

    def __init__(self, *, environment: Mapping[str, str], log: Log, make_client: MakeClient) -> None:
        self._environment = environment
        self._log = log
        self._make_client = make_client
        self._client: CloudflareClient | None = None
        self._announced = False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def Handshake(self, request: Any, context: Any) -> NoReturn:  # noqa: N802, ARG002
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Handshake is not yet implemented")
        raise AssertionError

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return plugin_pb2.PluginInfo(version=PLUGIN_VERSION)

    async def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    async def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    async def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        resources = {token: {"description": "See the official plugin."} for token in RESOURCE_TYPES}
        schema = {"name": "cloudflare", "version": PLUGIN_VERSION, "resources": resources}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        inputs = plain(_from_struct(request.news))
        problem = token_problem(inputs.get("apiToken"), request.name or request.urn.rpartition("::")[2])
        marked = {key: mark_secret(value) if key in SECRET_KEYS else value for key, value in _wire(inputs).items()}
        return provider_pb2.CheckResponse(
            inputs=_to_struct(marked), failures=[provider_pb2.CheckFailure(reason=problem)] if problem else []
        )

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return provider_pb2.DiffResponse()

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        arguments = plain(_from_struct(request.args))
        try:
            if arguments.get("baseUrl") is not UNKNOWN:
                self._client = self._make_client(configuration(arguments, self._environment))
        except NotLoopbackError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        if not self._announced:
            self._announced = True
            await self._log("INFO", ANNOUNCEMENT, "")
        return provider_pb2.ConfigureResponse(
            acceptResources=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        inputs = plain(_from_struct(request.news))
        try:
            config = to_attributes(type_.fields, inputs)
        except _EXPECTED_ERRORS as error:
            await self._fail(error, request.urn, context)
        for name in deprecated(type_.fields, config):
            message = f'[WARNING] property "{name}" is deprecated: This attribute is deprecated.'
            await self._log("WARNING", message, request.urn)
        reasons = [*unsupported(type_.fields, inputs), *failures(type_.fields, config, _name(request))]
        return provider_pb2.CheckResponse(
            inputs=_to_struct(mark_secrets(type_.fields, inputs)),
            failures=[provider_pb2.CheckFailure(reason=reason) for reason in reasons],
        )

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        with_changes = await self._planned(type_, request, context)
        outcome = (
            provider_pb2.DiffResponse.DIFF_SOME if with_changes.changed else provider_pb2.DiffResponse.DIFF_NONE
        )
        return provider_pb2.DiffResponse(
            changes=outcome, diffs=with_changes.changed, replaces=with_changes.replaced
        )

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        config = to_attributes(type_.fields, plain(_from_struct(request.properties)))
        if type_.destroy_warning:
            await self._log("WARNING", _NOT_DESTROYED, request.urn)
        try:
            planned = plan(type_, None, config).values
            if request.preview:
                return provider_pb2.CreateResponse(properties=_to_struct(to_properties(type_.fields, planned)))
            state = await operations.create(self._api(), type_, planned)
        except _EXPECTED_ERRORS as error:
            await self._fail(error, request.urn, context)
        return provider_pb2.CreateResponse(
            id=operations.identifier(state), properties=_to_struct(to_properties(type_.fields, state))
        )

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        planned = (await self._planned(type_, request, context)).values
        if not request.preview:
            try:
                state = to_attributes(type_.fields, plain(_from_struct(request.olds)))
                planned = await operations.update(self._api(), type_, planned, state)
            except _EXPECTED_ERRORS as error:
                await self._fail(error, request.urn, context)
        return provider_pb2.UpdateResponse(properties=_to_struct(to_properties(type_.fields, planned)))

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        state = to_attributes(type_.fields, plain(_from_struct(request.properties)))
        try:
            await operations.delete(self._api(), type_, state)
        except _EXPECTED_ERRORS as error:
            await self._fail(error, request.urn, context)
        return empty_pb2.Empty()

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = await self._type(request, context)
        properties = plain(_from_struct(request.properties))
        is_refresh = bool(properties)
        try:
            state = (
                to_attributes(type_.fields, properties)
                if is_refresh
                else await operations.import_state(self._api(), type_, request.id)
            )
            live = await operations.read(self._api(), type_, state)
        except _EXPECTED_ERRORS as error:
            await self._fail(error, request.urn, context)
        if live is None:
            await self._log("WARNING", _NOT_FOUND, request.urn)
            return provider_pb2.ReadResponse(inputs=struct_pb2.Struct(), properties=struct_pb2.Struct())
        outputs = to_properties(type_.fields, live)
        bare = plain(outputs)
        inputs = (
            refreshed(type_.fields, plain(_from_struct(request.inputs)), bare)
            if is_refresh
            else imported(type_.fields, bare)
        )
        return provider_pb2.ReadResponse(
            id=operations.identifier(live),
            properties=_to_struct(outputs),
            inputs=_to_struct(mark_secrets(type_.fields, inputs)),
        )

    async def _planned(self, type_: ResourceType, request: Any, context: Any) -> Plan:
        olds = plain(_from_struct(request.olds))
        news = with_ignored(plain(_from_struct(request.news)), olds, request.ignoreChanges)
        try:
            return plan(type_, to_attributes(type_.fields, olds), to_attributes(type_.fields, news))
        except _EXPECTED_ERRORS as error:
            await self._fail(error, request.urn, context)

    async def _type(self, request: Any, context: Any) -> ResourceType:
        token = request.type or request.urn.split("::")[-2].rpartition("$")[2]
        try:
            return resource_type(token)
        except UnsupportedTypeError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise AssertionError from error

    def _api(self) -> CloudflareClient:
        if self._client is None:
            raise ValueError("The Cloudflare provider's baseUrl is not known yet.")
        return self._client

    async def _fail(self, error: Exception, urn: str, context: Any) -> NoReturn:
        if isinstance(error, ProviderError):
            await self._log("ERROR", f"[ERROR] {error.detail}: {error.summary}", urn)
        await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        raise AssertionError from error


def _name(request: Any) -> str:
    return str(request.name or request.urn.rpartition("::")[2])


def _wire(properties: Mapping[str, Any]) -> dict[str, Any]:
    return mark_secrets({}, properties)


def _from_struct(struct: Any) -> dict[str, Any]:
    return {name: _from_value(value) for name, value in struct.fields.items()}


def _from_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _from_struct(value.struct_value)
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case _:
            return None


def _to_struct(properties: Mapping[str, Any]) -> Any:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct
