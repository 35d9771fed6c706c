"""The stand-in answers every recorded call of the engine as the official plugin did, with the same HTTP calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.emulator.cloudflare_plugin.harness import served_plugin

RECORDINGS = Path(__file__).parents[2] / "fixtures" / "wire" / "pulumi_cloudflare"
STEPS = sorted(path.parent.name for path in RECORDINGS.glob("*/rpc.json"))
RECORDED_ADDRESS = "127.0.0.1:18080"
MEANT_HEADERS = ("cf-r2-jurisdiction", "cf-r2-storage-class", "content-type")


class ReplayedApi:
    """Answers each recorded HTTP call once, with the recorded answer; remembers what it was not asked for."""

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        self.unasked = list(calls)
        self.unexpected: list[str] = []
        self.headers: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        asked = {"method": request.method, "path": request.path, "query": request.query_string}
        body = json.loads(await request.read()) if request.can_read_body else None
        headers = {name: request.headers[name] for name in MEANT_HEADERS if name in request.headers}
        for call in self.unasked:
            recorded = {"method": call["method"], "path": call["path"], "query": call.get("query", "")}
            if recorded == asked and call.get("body") == body and call.get("headers", {}) == headers:
                self.unasked.remove(call)
                return self._recorded(call)
        self.unexpected.append(f"{asked} {headers} {body}")
        return web.Response(status=400, text="not recorded")

    @staticmethod
    def _recorded(call: dict[str, Any]) -> web.Response:
        answer = call["answer"]
        body = json.dumps({name: answer[name] for name in ("success", "errors", "messages", "result")})
        headers = {"Retry-After": "0"} if call["status"] == 429 else {}
        return web.Response(status=call["status"], text=body, content_type="application/json", headers=headers)


@asynccontextmanager
async def served(api: ReplayedApi) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def replay(step: str) -> tuple[list[dict[str, Any]], ReplayedApi]:
    """Feed a step's recorded calls to the plugin; return what it answered in the recorded form."""
    calls = json.loads((RECORDINGS / step / "rpc.json").read_text())
    api = ReplayedApi(json.loads((RECORDINGS / step / "http.json").read_text()))
    async with served(api) as address:
        reachable = "127.0.0.1:9" if step == "61-unreachable" else address
        async with served_plugin(f"http://{reachable}/client/v4") as plugin:
            answers = [await plugin.call(call["rpc"], call["request"]) for call in calls]
    recorded_address = json.loads(json.dumps(answers).replace(address, RECORDED_ADDRESS))
    return recorded_address, api


@pytest.mark.parametrize("step", STEPS)
def test_step_is_answered_as_recorded(step: str) -> None:
    """Every response, error text and HTTP call of a recorded command is the official plugin's own."""
    recorded = json.loads((RECORDINGS / step / "rpc.json").read_text())
    answers, api = asyncio.run(replay(step))
    for call, answer in zip(recorded, answers, strict=True):
        expected = {key: call[key] for key in ("response", "errors") if key in call}
        assert answer == expected, f"{call['rpc']} of {call['request'].get('name')}"
    assert api.unexpected == []
    assert api.unasked == []


def test_requests_carry_the_recorded_headers() -> None:
    """The headers of a first call are those the official plugin sends."""
    recorded = json.loads((RECORDINGS / "headers.json").read_text()) | {
        "authorization": "Bearer dummy-token-for-tests"
    }
    _, api = asyncio.run(replay("01-create"))
    with_body = [headers for headers in api.headers if "cf-r2-jurisdiction" in headers]
    assert recorded.items() <= with_body[0].items()
