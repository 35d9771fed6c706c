"""Time as an argument: whoever measures or waits is given a Clock, so tests never wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Protocol


class Clock(Protocol):
    """Seconds that only go forward, `speed` of them in a real one, and a way to let them pass."""

    @property
    def speed(self) -> float: ...

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """Wall time. `speed` > 1 is for the emulator alone, whose GPUs work that many times faster than real ones."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.speed)


class ManualClock:
    """A clock for tests: `sleep` returns at once and moves the time on."""

    speed = 1.0

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(0.0, seconds)


def provider_clock(environment: Mapping[str, str] = os.environ) -> SystemClock:
    """The clock by which generations are timed: wall time, or the emulator's when its environment says so."""
    return SystemClock(float(environment.get("SWITCHBACK_CLOCK_SPEED", "1")))
