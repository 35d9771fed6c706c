"""Create, read, update and delete of any type, as its description says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from emulator.cloudflare_plugin.api import CloudflareClient, ProviderError, Request, RequestFailedError
from emulator.cloudflare_plugin.documents import after_change, after_read, request_body, wire_value
from emulator.cloudflare_plugin.planning import content_digest
from emulator.cloudflare_plugin.schema import Call, ResourceType, Value

State = Mapping[str, Value]

NO_ID: Final = "missing ID"  # the id of resources without one of their own
_TEXT_BINDINGS: Final = ("secret_text", "plain_text")
_NOT_FOUND: Final = 404


async def create(client: CloudflareClient, type_: ResourceType, planned: State) -> dict[str, Value]:
    """Create the resource and return its state."""
    return await _change(client, type_, type_.create, planned, None)


async def update(client: CloudflareClient, type_: ResourceType, planned: State, state: State) -> dict[str, Value]:
    """Update the resource and return its state; a type without an update call keeps what it has."""
    if type_.update is None:
        return {**state, **{name: planned[name] for name in type_.stored_without_call}}
    return await _change(client, type_, type_.update, planned, state)


async def _change(
    client: CloudflareClient, type_: ResourceType, call: Call, planned: State, state: State | None
) -> dict[str, Value]:
    answer = await client.send(_request(client, type_, call, planned, state))
    changed = after_change(type_.fields, planned, answer)
    follow_up = type_.missing_name_follow_up
    if follow_up is not None and changed[follow_up] is None and type_.read is not None:
        changed = after_change(
            type_.fields, planned, await client.send(_request(client, type_, type_.read, planned))
        )
    return _identified(type_, changed)


async def read(client: CloudflareClient, type_: ResourceType, state: State) -> dict[str, Value] | None:
    """Return the live state, None when the resource is gone."""
    if type_.read is None:
        return dict(state)
    try:
        answer = await client.send(_request(client, type_, type_.read, state))
    except RequestFailedError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return _identified(type_, _restored(state, after_read(type_.fields, state, _object(answer))))


async def delete(client: CloudflareClient, type_: ResourceType, state: State) -> None:
    """Delete the resource, without a call when the official plugin makes none."""
    if type_.delete is not None:
        await client.send(_request(client, type_, type_.delete, state))


async def import_state(client: CloudflareClient, type_: ResourceType, import_id: str) -> dict[str, Value]:
    """Return the state that an import by id finds, before the ordinary read."""
    state = {**dict.fromkeys(type_.fields), **parse_import_id(type_, import_id)}
    call = type_.import_call or type_.read
    if call is None:
        return state
    answer = await client.send(_request(client, type_, call, state))
    return _identified(type_, after_read(type_.fields, state, _object(answer)))


def parse_import_id(type_: ResourceType, import_id: str) -> dict[str, str]:
    """Return the attributes that an import id holds; ProviderError when its form is another."""
    if not type_.imported_by:
        raise ProviderError(
            "Resource Import Not Implemented",
            "This resource does not support import. Please contact the provider developer for additional information.",
        )
    segments = import_id.split("/")
    if len(segments) != len(type_.imported_by):
        form = "/".join(f"<{name}>" for name in type_.imported_by.values())
        raise ProviderError("invalid ID", f'expected urlencoded segments "{form}", got "{import_id}"')
    return dict(zip(type_.imported_by, map(unquote, segments), strict=True))


def identifier(state: State) -> str:
    """Return the Pulumi id of a state."""
    found = state.get("id")
    return found if isinstance(found, str) and found else NO_ID


def _request(
    client: CloudflareClient, type_: ResourceType, call: Call, values: State, former: State | None = None
) -> Request:
    known = values if values.get("account_id") else {**values, "account_id": client.account_id}
    if not known["account_id"]:
        raise RequestFailedError("missing required account_id parameter")
    filled = {name: quote(value, safe="") for name, value in known.items() if isinstance(value, str)}
    return Request(
        method=call.method,
        path=call.path.format_map(filled),
        query=call.query,
        headers={name: template.format_map(values) for name, template in call.headers.items()},
        body=_body(type_, call, values, former),
    )


def _body(type_: ResourceType, call: Call, values: State, former: State | None) -> Any:
    if call.body == "none":
        return None
    if call.body == "object":
        return request_body(type_.fields, values, former)
    return wire_value(type_.fields[call.body], values[call.body])


def _object(answer: Any) -> Mapping[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _identified(type_: ResourceType, state: dict[str, Value]) -> dict[str, Value]:
    return state if type_.id_from is None else {**state, "id": state[type_.id_from]}


def _restored(state: State, live: dict[str, Value]) -> dict[str, Value]:
    """Return a version's live state with what the API never returns: texts of bindings, digests of modules."""
    restored = dict(live)
    if isinstance(live.get("bindings"), list):
        former = {binding["name"]: binding for binding in state.get("bindings") or ()}
        restored["bindings"] = [
            _with_former_text(binding, former.get(binding["name"])) for binding in live["bindings"]
        ]
    if isinstance(live.get("modules"), list):
        restored["modules"] = [{**module, "content_sha256": content_digest(module)} for module in live["modules"]]
    return restored


def _with_former_text(binding: dict[str, Value], former: State | None) -> dict[str, Value]:
    if former is None or former.get("text") is None or binding.get("type") not in _TEXT_BINDINGS:
        return binding
    return {**binding, "text": former["text"]}
