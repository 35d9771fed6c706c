"""Holds an answer of the Worker against infra/worker/openapi.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator

import infra

CONTRACT = Path(infra.__file__).parent / "worker" / "openapi.yaml"
UNDOCUMENTED = {404, 405}  # addresses and methods that the contract does not have; still problem+json


@cache
def contract() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    return document


def hold_against_contract(answer: httpx.Response) -> None:
    """Status, headers, content type and body must be those of the operation; raises AssertionError."""
    if answer.request.method in {"OPTIONS", "HEAD"}:
        return
    operation = operation_of(answer.request.method, answer.request.url.path)
    if operation is None:
        assert answer.status_code in UNDOCUMENTED, answer.status_code
        described = resolved({"$ref": "#/components/responses/Problem"})
    else:
        responses = operation["responses"]
        described = resolved(responses.get(str(answer.status_code), responses["default"]))
    for name, header in described.get("headers", {}).items():
        check_header(answer, name, resolved(header))
    content = described.get("content")
    if not content:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content, f"{answer.status_code} with {media_type}"
    if "json" in media_type:
        validate(content[media_type]["schema"], answer.json())


def operation_of(method: str, path: str) -> Mapping[str, Any] | None:
    for template, operations in contract()["paths"].items():
        pattern = re.sub(r"\\{key\\}", ".+", re.escape(template))
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", pattern)
        if re.fullmatch(pattern, path):
            found: Mapping[str, Any] | None = operations.get(method.lower())
            return found
    return None


def check_header(answer: httpx.Response, name: str, header: Mapping[str, Any]) -> None:
    if name in answer.headers:
        validate(header["schema"], answer.headers[name])
    else:
        assert not header.get("required"), f"{answer.status_code} without {name}"


def validate(schema: Mapping[str, Any], value: object) -> None:
    Draft202012Validator({**schema, "components": contract()["components"]}).validate(value)


def resolved(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item, or what its $ref names."""
    if "$ref" not in item:
        return item
    found: Any = contract()
    for part in item["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return resolved(found)
