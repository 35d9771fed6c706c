"""Cloudflare's answer envelope and its refusals."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

# where no source gives Cloudflare's own number: README.md lists these
UNKNOWN_CODE = 0
AUTHENTICATION_CODE = 10000
WORKER_NOT_FOUND_CODE = 10007
VALIDATION_CODE = 10021
NO_SUCH_BUCKET_CODE = 10006


class Refusal(Exception):
    """An answer of Cloudflare's that is not a success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def success(result: object, **more: object) -> web.Response:
    """200 with a result; `more` are further fields of the envelope."""
    return web.json_response({"success": True, "errors": [], "messages": [], "result": result, **more})


def error_envelope(code: int, message: str) -> dict[str, object]:
    """The body of an error answer."""
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def refusal(status: int, code: int, message: str) -> web.Response:
    """An error answer; clients are told not to repeat what cannot succeed (cloudflare.md 2.1)."""
    headers = {"x-should-retry": "false"} if status == 409 or status >= 500 else {}
    return web.json_response(error_envelope(code, message), status=status, headers=headers)


def bad_request(message: str, code: int = UNKNOWN_CODE) -> Refusal:
    """400."""
    return Refusal(400, code, message)


def not_found(what: str, code: int = UNKNOWN_CODE) -> Refusal:
    """404."""
    return Refusal(404, code, what)


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    body = await json_body(request)
    if not isinstance(body, dict):
        raise bad_request("The request body must be a JSON object.")
    return body


async def json_body(request: web.Request) -> Any:
    """The body, which must be JSON."""
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise bad_request("Could not parse input. Is it valid JSON?") from error
