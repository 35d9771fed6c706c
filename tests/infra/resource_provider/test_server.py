"""The plugin over its own gRPC service: what the engine would see, without an engine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import empty_pb2
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from infra.resource_provider import server
from infra.resource_provider.property_values import from_plain, to_plain
from infra.resource_provider.schema import SCHEMA
from tests.infra.resource_provider.runpod_stub import BASE_URL, WISH, RunPodStub, problem

LAUNCHER = Path(server.__file__).parent / "bin" / "pulumi-resource-switchback"
URN = "urn:pulumi:dev::image-generation::pkg:index:Stack$switchback:index:RunPodEndpoint::endpoint"
Ask = Callable[[Callable[[Any], Awaitable[Any]]], Any]


@pytest.fixture
def ask(runpod: RunPodStub) -> Iterator[Ask]:
    """Calls the servicer through a real channel, configured for the stub."""
    provider = server.SwitchbackProvider(
        server.controllers(),
        http=runpod.client(),
        environment={"RUNPOD_API_KEY": "dummy-key", "RUNPOD_REST_API_URL": BASE_URL},
    )

    async def call(question: Callable[[Any], Awaitable[Any]]) -> Any:
        grpc_server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        servicer = server.SwitchbackServicer([], provider, "")
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, grpc_server)
        port = grpc_server.add_insecure_port("127.0.0.1:0")
        await grpc_server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await question(provider_pb2_grpc.ResourceProviderStub(channel))
        finally:
            await grpc_server.stop(None)

    yield lambda question: asyncio.run(call(question))
    provider.close()


def properties(values: dict[str, Any]) -> Any:
    return PropertyValue.marshal_map(from_plain(values))


def create(values: dict[str, Any], *, preview: bool = False) -> Callable[[Any], Awaitable[Any]]:
    return lambda stub: stub.Create(
        provider_pb2.CreateRequest(urn=URN, properties=properties(values), preview=preview)
    )


def test_create_gives_id_and_outputs_with_env_secret(ask: Ask) -> None:
    response = ask(create(WISH))
    outputs = PropertyValue.unmarshal_map(response.properties)
    assert response.id == "ep000001"
    assert outputs["env"].is_secret
    assert to_plain(outputs)["workersMax"] == 3


def test_an_error_is_a_clean_sentence(ask: Ask, runpod: RunPodStub) -> None:
    runpod.intercept = lambda _request: problem(403, "access denied")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        ask(create(WISH))
    text = caught.value.details()
    assert text is not None
    assert "access denied" in text
    assert "fix: " in text
    assert "Traceback" not in text
    assert "File " not in text


def test_a_bug_names_its_place_and_no_value(ask: Ask) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="a bug in the resource provider: KeyError") as caught:
        ask(create({"env": {"TOKEN": "planted-secret"}}))
    assert "planted-secret" not in str(caught.value.details())


def test_created_but_unhealthy_reaches_the_engine_as_init_failed(ask: Ask, runpod: RunPodStub) -> None:
    def broken_releases(request: httpx.Request) -> httpx.Response | None:
        return problem(403, "access denied") if request.url.path.endswith("/releases") else None

    runpod.intercept = broken_releases
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        ask(create(WISH))
    metadata = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert failed.id == "ep000001"
    assert "exists, but it is not ready" in failed.reasons[0]
    assert PropertyValue.unmarshal_map(failed.properties)["env"].is_secret


def test_check_reports_failures_by_property(ask: Ask) -> None:
    news = properties({**WISH, "idleTimeoutSeconds": 0})
    response = ask(lambda stub: stub.Check(provider_pb2.CheckRequest(urn=URN, news=news)))
    assert [failure.property for failure in response.failures] == ["idleTimeoutSeconds"]


def test_diff_marks_a_replacement(ask: Ask, runpod: RunPodStub) -> None:
    request = provider_pb2.DiffRequest(urn=URN, id="gone", olds=properties(WISH), news=properties(WISH))
    response = ask(lambda stub: stub.Diff(request))
    assert list(response.replaces) == ["name"]
    assert not response.deleteBeforeReplace


def test_diff_obeys_ignore_changes(ask: Ask, runpod: RunPodStub) -> None:
    made = ask(create(WISH))
    request = provider_pb2.DiffRequest(
        urn=URN,
        id=made.id,
        olds=made.properties,
        news=properties({**WISH, "workersMax": 9}),
        ignoreChanges=["workersMax"],
    )
    response = ask(lambda stub: stub.Diff(request))
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_read_of_a_gone_endpoint_has_no_id(ask: Ask) -> None:
    response = ask(lambda stub: stub.Read(provider_pb2.ReadRequest(urn=URN, id="gone")))
    assert response.id == ""


def test_attach_is_answered(ask: Ask) -> None:
    assert ask(lambda stub: stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))) is not None


def test_configure_takes_over_the_provider_resource_and_cancel_stops(ask: Ask, runpod: RunPodStub) -> None:
    """After Cancel a wait ends at once, and what was made is recorded."""
    runpod.summary = {"initializing": 1}

    async def configure_cancel_create(stub: Any) -> Any:
        arguments = properties({"runpodApiKey": "another-dummy-key"})
        await stub.Configure(provider_pb2.ConfigureRequest(args=arguments))
        await stub.Cancel(empty_pb2.Empty())
        return await create({**WISH, "workersMin": 1})(stub)

    with pytest.raises(grpc.aio.AioRpcError, match="cancelled"):
        ask(configure_cancel_create)


def test_the_schema_knows_every_type_that_is_served(ask: Ask) -> None:
    response = ask(lambda stub: stub.GetSchema(provider_pb2.GetSchemaRequest()))
    assert set(json.loads(response.schema)["resources"]) == set(server.controllers())
    assert set(WISH) <= set(SCHEMA["resources"]["switchback:index:RunPodEndpoint"]["inputProperties"])


def test_the_launcher_says_how_to_make_a_missing_environment(tmp_path: Path) -> None:
    """A fresh clone without its environment gets one sentence with the command."""
    clone = tmp_path / "infra" / "resource_provider" / "bin"
    clone.mkdir(parents=True)
    launcher = clone / LAUNCHER.name
    launcher.write_bytes(LAUNCHER.read_bytes())
    launcher.chmod(0o755)
    done = subprocess.run(
        [launcher], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "make setup" in done.stderr


def test_the_launcher_is_executable() -> None:
    assert os.access(LAUNCHER, os.X_OK)
