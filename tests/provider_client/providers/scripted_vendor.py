"""Vendors that answer from a script, for the cases that no emulator should need to know."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image

from provider_client.clock import ManualClock
from provider_client.providers import PROVIDERS, Provider

Answer = httpx.Response | Exception
ENVIRONMENT = {
    "SCENARIO_API_KEY": "fake-scenario-key",
    "SCENARIO_SECRET_API_KEY": "fake-scenario-secret",
    "SCENARIO_BASE_URL": "http://scenario.localhost/v1",
    "RUNPOD_API_KEY": "fake-runpod-key",
    "RUNPOD_COMFYUI_ENDPOINT_ID": "endpoint1",
    "RUNPOD_ENDPOINT_BASE_URL": "http://runpod.localhost/v2",
    "COMFYUI_ENDPOINT": "http://comfyui.localhost/api",
}


class Vendor:
    """Answers each request by the first matching route; remembers the requests.

    A route is "METHOD /part-of-path" with a list of answers: they are given in turn, the last one for ever.
    """

    def __init__(self, routes: dict[str, list[Answer | Callable[[httpx.Request, Vendor], Answer]]]) -> None:
        self.requests: list[httpx.Request] = []
        self.clock = ManualClock()
        self._routes = {route: list(answers) for route, answers in routes.items()}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        for route, answers in self._routes.items():
            method, _, path = route.partition(" ")
            if request.method == method and path in request.url.path:
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer) and not isinstance(answer, httpx.Response):
                    answer = answer(request, self)
                if isinstance(answer, Exception):
                    raise answer
                # a fresh one: a response can be read once
                return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx.Response(404, json={"error": f"no route for {request.method} {request.url.path}"})

    def connect(self, name: str, **environment: str) -> Provider:
        spec = PROVIDERS[name]
        settings = spec.settings.from_environment({**ENVIRONMENT, **environment})
        return spec.connect(settings, httpx.Client(transport=httpx.MockTransport(self)), self.clock)

    def sent(self, route: str) -> list[httpx.Request]:
        method, _, path = route.partition(" ")
        return [request for request in self.requests if request.method == method and path in request.url.path]


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers=headers)


def body_of(request: httpx.Request) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(request.content)
    return parsed


def picture(width: int = 64, height: int = 64, colour: str = "red", mode: str = "RGB") -> bytes:
    encoded = io.BytesIO()
    Image.new(mode, (width, height), colour).save(encoded, format="PNG")
    return encoded.getvalue()


def picture_base64(**options: Any) -> str:
    return base64.b64encode(picture(**options)).decode("ascii")
