"""What the demo and the tests ask of the emulator: break and heal a vendor, count what was done, look for leftovers."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx


class EmulatedCloud:
    """The control API of the emulator at `base_url`."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=f"{base_url}/_emulator", timeout=10)

    def __enter__(self) -> EmulatedCloud:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def break_down(self, service: str, kind: str, *, times: int | None = None, **parameters: object) -> None:
        """Let a vendor fail in this way so many times, or until `heal`."""
        fault = {"service": service, "kind": kind, "times": times, **parameters}
        self._client.post("/faults", json=fault).raise_for_status()

    def heal(self) -> None:
        self._client.delete("/faults").raise_for_status()

    def summary(self) -> dict[str, dict[str, Any]]:
        """Counters and state of each service."""
        answer = self._client.get("/state").raise_for_status()
        state: dict[str, dict[str, Any]] = answer.json()
        return state

    def paid(self) -> int:
        """Generations that all vendors together have accepted so far."""
        return sum(int(service.get("submits", 0)) for service in self.summary().values())

    def mutations(self, service: str = "") -> list[dict[str, Any]]:
        """The requests so far that changed something at a vendor."""
        answer = self._client.get("/requests", params={"service": service, "mutating": 1}).raise_for_status()
        requests: list[dict[str, Any]] = answer.json()["requests"]
        return requests

    def leftovers(self) -> dict[str, Any]:
        """What a destroyed stack must not leave behind, and did."""
        summary = self.summary()
        found = {
            "workers": summary["cloudflare"].get("workers"),
            "buckets": summary["cloudflare"].get("buckets"),
            "endpoints": summary["runpod"].get("endpoints"),
        }
        return {name: what for name, what in found.items() if what}
