"""JSON bodies and answers: which attributes are sent, and what an answer changes in state."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from emulator.cloudflare_plugin.schema import UNKNOWN, Attribute, Fields, Kind, Value

State = Mapping[str, Value]

_DAY_LENGTH = len("2026-01-31")


def request_body(fields: Fields, planned: State, state: State | None = None) -> dict[str, Any]:
    """Return the body of a create (`state` None) or of an update.

    Values that are null or only computed are not sent; an update sends null for what state has and the plan has not.
    """
    body: dict[str, Any] = {}
    for name, attribute in fields.items():
        if not (attribute.in_body and attribute.is_input):
            continue
        value = planned[name]
        former = None if state is None else state.get(name)
        if value is None and former is not None:
            body[attribute.wire or name] = None
        elif value is not None and value is not UNKNOWN:
            body[attribute.wire or name] = wire_value(attribute, value, former)
    return body


def wire_value(attribute: Attribute, value: Value, former: Value = None) -> Any:
    """Return one attribute's value as it is sent."""
    if isinstance(value, dict):
        return request_body(attribute.fields or {}, _readable(value), former if isinstance(former, dict) else None)
    if isinstance(value, list):
        if attribute.sent_by_name:
            value = sorted(value, key=_name)
        return [wire_value(attribute, item) if isinstance(item, dict) else item for item in value]
    if attribute.kind is Kind.JSON:
        return json.loads(value)
    if attribute.kind is Kind.DATE:
        return value[:_DAY_LENGTH]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _readable(value: State) -> State:
    """Return a module with the content of its file in it, any other object as it is."""
    file = value.get("content_file")
    if not isinstance(file, str):
        return value
    return {**value, "content_base64": base64.b64encode(Path(file).expanduser().read_bytes()).decode()}


def after_change(fields: Fields, planned: State, answer: Value) -> dict[str, Value]:
    """Return the state after a create or update: the planned values, computed ones from the answer.

    A computed value that the answer does not have becomes null.
    """
    received = answer if isinstance(answer, dict) else {}
    return {name: _after_change(name, attribute, planned[name], received) for name, attribute in fields.items()}


def _after_change(name: str, attribute: Attribute, planned: Value, received: Mapping[str, Any]) -> Value:
    answer = received.get(_answer_name(name, attribute))
    if not attribute.in_body:
        return None if planned is UNKNOWN else planned
    if attribute.computed and (planned is UNKNOWN or planned is None or not attribute.is_input):
        return from_answer(attribute, answer)
    if isinstance(planned, dict):
        return after_change(attribute.fields or {}, planned, answer)
    if isinstance(planned, list) and attribute.fields and attribute.kind is Kind.LIST:
        return _items_after_change(attribute, planned, answer if isinstance(answer, list) else [])
    return None if planned is UNKNOWN else planned


def _items_after_change(attribute: Attribute, planned: list[Value], answers: list[Any]) -> list[Value]:
    """Return a list of objects with the computed values of the answer's objects at the places they were sent."""
    sent = sorted(planned, key=_name) if attribute.sent_by_name else planned
    changed = {
        id(item): after_change(attribute.fields or {}, item, answers[index] if index < len(answers) else None)
        for index, item in enumerate(sent)
        if isinstance(item, dict)
    }
    return [changed.get(id(item), item) for item in planned]


def _name(item: State) -> str:
    return str(item["name"])


def after_read(fields: Fields, state: State, answer: Mapping[str, Any]) -> dict[str, Value]:
    """Return the state after a read: everything as the answer says, except what a read does not refresh."""
    return {
        name: _refreshed(attribute, state.get(name), answer.get(_answer_name(name, attribute)))
        if attribute.in_body and attribute.refreshed
        else state.get(name)
        for name, attribute in fields.items()
    }


def _answer_name(name: str, attribute: Attribute) -> str:
    return attribute.answer_wire or attribute.wire or name


def _refreshed(attribute: Attribute, state: Value, answer: Any) -> Value:
    if isinstance(answer, dict) and attribute.kind is Kind.OBJECT:
        return after_read(attribute.fields or {}, state if isinstance(state, dict) else {}, answer)
    if isinstance(answer, list) and attribute.fields:
        return _refreshed_items(attribute, state if isinstance(state, list) else [], answer)
    received = from_answer(attribute, answer)
    return state if _means_the_same(attribute, state, received) else received


def _refreshed_items(attribute: Attribute, state: list[Value], answer: list[Any]) -> list[Value]:
    """Return a list of objects as answered, in the order of state where they have names (bindings, modules)."""
    fields = attribute.fields or {}
    former = {item["name"]: item for item in state if isinstance(item, dict) and "name" in item}
    if "name" not in fields:
        return [
            after_read(fields, state[index] if index < len(state) else {}, item)
            for index, item in enumerate(answer)
        ]
    items = [after_read(fields, former.get(item.get("name"), {}), item) for item in answer]
    if attribute.kind is Kind.SET:
        return items
    order = {name: index for index, name in enumerate(former)}
    return sorted(items, key=lambda item: order.get(item["name"], len(order)))


def _means_the_same(attribute: Attribute, state: Value, received: Value) -> bool:
    if attribute.kind is not Kind.JSON or not isinstance(state, str) or not isinstance(received, str):
        return False
    try:
        return bool(json.loads(state) == json.loads(received))
    except ValueError:
        return False


def from_answer(attribute: Attribute, answer: Any) -> Value:
    """Return a value of an answer as an attribute value."""
    if answer is None:
        return None
    if attribute.kind is Kind.OBJECT:
        return after_read(attribute.fields or {}, {}, answer) if isinstance(answer, dict) else None
    if attribute.kind in (Kind.LIST, Kind.SET):
        fields = attribute.fields
        return [after_read(fields, {}, item) if fields and isinstance(item, dict) else item for item in answer]
    if attribute.kind is Kind.JSON:
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    if attribute.kind is Kind.DATE:
        return f"{answer}T00:00:00Z" if len(str(answer)) == _DAY_LENGTH else _to_the_second(str(answer))
    if attribute.kind is Kind.TIME:
        return _to_the_second(str(answer))
    return answer


def _to_the_second(text: str) -> str:
    """Return an RFC 3339 time without its fraction: what the official plugin keeps of it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
