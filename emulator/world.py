"""What all emulated vendors share: simulated time, seeded chance, armed faults, the request log, credentials."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

from emulator.object_store import ObjectStore

ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
REQUEST_LOG_LENGTH = 20_000


class SimulatedClock:
    """Time that runs `speed` times as fast as the wall's and can be moved on by hand; for one event loop."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._epoch = time.time()
        self._simulated = 0.0
        self._since = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second."""
        return self._speed

    def now(self) -> float:
        """Simulated seconds since the emulator started."""
        return self._simulated + (time.monotonic() - self._since) * self._speed

    def time(self) -> float:
        """Simulated unix time in seconds."""
        return self._epoch + self.now()

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds; a change of speed or a jump in time is felt at once."""
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), left / self._speed)
            except TimeoutError:
                continue

    def set_speed(self, speed: float) -> None:
        """From now on this many simulated seconds per wall second."""
        self._settle()
        self._speed = speed
        self._wake()

    def advance(self, seconds: float) -> None:
        """Jump forward; whoever sleeps that long wakes."""
        self._settle()
        self._simulated += seconds
        self._wake()

    def _settle(self) -> None:
        self._simulated, self._since = self.now(), time.monotonic()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass
class Fault:
    """Something that is to go wrong. `times` None means until removed; `params` are the kind's own figures."""

    id: str
    service: str
    kind: str
    times: int | None
    params: dict[str, object]
    method: str | None = None
    path: str | None = None
    version: str | None = None

    def number(self, name: str, default: float) -> float:
        """A numeric parameter."""
        value = self.params.get(name, default)
        return float(value) if isinstance(value, int | float | str) else default

    def concerns(self, method: str | None, path: str | None, version: str | None) -> bool:
        """Whether a request matches; what the caller cannot tell does not exclude."""
        return (
            (self.method is None or method is None or self.method.upper() == method.upper())
            and (self.path is None or path is None or re.search(self.path, path) is not None)
            and (self.version is None or version is None or version.startswith(self.version))
        )


class FaultBook:
    """The armed faults, oldest first."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults.values()))

    def arm(
        self,
        service: str,
        kind: str,
        *,
        times: int | None = 1,
        method: str | None = None,
        path: str | None = None,
        version: str | None = None,
        **params: object,
    ) -> Fault:
        """Let the next matching requests of a service fail in this way."""
        fault = Fault(f"fault-{next(self._numbers)}", service, kind, times, params, method, path, version)
        self._faults[fault.id] = fault
        return fault

    def take(
        self,
        service: str,
        kinds: Collection[str],
        *,
        method: str | None = None,
        path: str | None = None,
        version: str | None = None,
    ) -> Fault | None:
        """The oldest fault armed for this service, used once; None when all is well."""
        for fault in self:
            if fault.service != service or fault.kind not in kinds or not fault.concerns(method, path, version):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[fault.id]
            return fault
        return None

    def remove(self, fault_id: str) -> bool:
        """Disarm one; False when it is not armed (any more)."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Disarm all."""
        self._faults.clear()


@dataclass(frozen=True)
class LoggedRequest:
    """One request as the log keeps it: never a header, never a body, never a query value."""

    n: int
    time: float
    service: str
    method: str
    path: str
    status: int
    mutating: bool


class RequestLog:
    """What was asked of the emulated world, in order of arrival of the answers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._requests: deque[LoggedRequest] = deque(maxlen=REQUEST_LOG_LENGTH)

    def add(self, service: str, method: str, path: str, status: int, at: float) -> None:
        """Record one; `at` is simulated unix time, `status` 0 when no answer was sent."""
        mutating = method not in {"GET", "HEAD", "OPTIONS"}
        self._requests.append(LoggedRequest(next(self._numbers), at, service, method, path, status, mutating))

    def select(self, service: str | None, mutating: bool | None, since: int) -> list[LoggedRequest]:
        """Requests numbered above `since`, of one service, that (do not) change something."""
        return [
            request
            for request in self._requests
            if request.n > since
            and (service is None or request.service == service)
            and (mutating is None or request.mutating == mutating)
        ]

    def clear(self) -> None:
        """Forget all; the numbers go on."""
        self._requests.clear()


@dataclass
class World:
    """Given to every service when it is constructed."""

    clock: SimulatedClock
    objects: ObjectStore
    seed: int = 0
    base_url: str = ""  # set once listening
    port: int = 0
    account_id: str = ACCOUNT_ID
    faults: FaultBook = field(default_factory=FaultBook)
    requests: RequestLog = field(default_factory=RequestLog)
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.reseed(self.seed)

    def reseed(self, seed: int) -> None:
        """Start chance again from this seed."""
        self.seed = seed
        self.random = random.Random(seed)

    def rejects(self, credential: str | None) -> Literal[401, 403] | None:
        """How a vendor refuses this credential; None when it accepts it, as it does anything not marked as bad."""
        if not credential or credential.startswith("invalid-"):
            return 401
        return 403 if credential.startswith("forbidden-") else None
