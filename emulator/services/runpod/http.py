"""How RunPod's management API answers: problem+json, request ids, rate limit headers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from emulator.services.runpod.rules import Refusal
from emulator.world import World

Handler = Callable[[web.Request], Awaitable[web.Response]]
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 422: "Unprocessable Entity", 429: "Too Many Requests",
}  # fmt: skip
# name → requests, seconds. RunPod's documented header shows 60 per minute, another observation 176 left in one.
WINDOWS = {"minute": (600, 60), "hour": (30_000, 3600), "day": (500_000, 86_400)}


def problem(status: int, detail: str, errors: list[str] | None = None) -> web.Response:
    """application/problem+json as RunPod words it."""
    body: dict[str, Any] = {"title": TITLES[status], "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")


def bearer(request: web.Request) -> str:
    """The key; the management API takes it in this header only."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


class RateLimits:
    """Counts requests per window, in simulated time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._times: deque[float] = deque()

    def exceeded(self) -> tuple[str, int] | None:
        """Counts one request; the window that is full, with the seconds until it is not."""
        now = self.world.clock.now()
        while self._times and now - self._times[0] > WINDOWS["day"][1]:
            self._times.popleft()
        for name, (quota, seconds) in WINDOWS.items():
            if self._used(seconds) >= quota:
                return name, seconds
        self._times.append(now)
        return None

    def headers(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy."""
        left = [
            f'"{name}";r={max(0, quota - self._used(seconds))};t={seconds}'
            for name, (quota, seconds) in WINDOWS.items()
        ]
        policy = [f'"{name}";q={quota};w={seconds}' for name, (quota, seconds) in WINDOWS.items()]
        return {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policy)}

    def _used(self, seconds: float) -> int:
        since = self.world.clock.now() - seconds
        used = 0
        for moment in reversed(self._times):
            if moment < since:
                break
            used += 1
        return used


class Gate:
    """In front of every handler: credentials, rate limit, refusals as problem+json, headers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.limits = RateLimits(world)

    def guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            answer = await self._answer(request, handler)
            answer.headers["x-request-id"] = f"{self.world.random.getrandbits(64):016x}"
            return answer

        return guarded

    async def _answer(self, request: web.Request, handler: Handler) -> web.Response:
        rejected = self.world.rejects(bearer(request))
        if rejected == 401:
            sent = "Authorization" in request.headers
            return problem(401, "invalid bearer token" if sent else "missing bearer token")
        if rejected == 403:
            return problem(403, "access denied")
        full = self.limits.exceeded()
        if full is not None:
            answer = problem(429, f"rate limit exceeded for the {full[0]} window")
            answer.headers["Retry-After"] = str(full[1])
            return answer
        try:
            answer = await handler(request)
        except Refusal as refusal:
            answer = problem(refusal.status, refusal.detail, refusal.problems)
        answer.headers.update(self.limits.headers())
        return answer


async def json_body(request: web.Request) -> Any:
    """The parsed body; Refusal 400 when it is no JSON."""
    try:
        return json.loads(await request.read())
    except ValueError:
        raise Refusal(400, "request body is not valid JSON") from None
