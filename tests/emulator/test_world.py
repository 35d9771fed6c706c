"""Simulated time, faults and the request log, without a server."""

from __future__ import annotations

import asyncio
import time

import pytest

from emulator.world import FaultBook, RequestLog, SimulatedClock


def test_time_runs_at_the_given_speed() -> None:
    clock = SimulatedClock(speed=1000)
    asyncio.run(clock.sleep(20))
    assert clock.now() >= 20


def test_a_jump_wakes_whoever_sleeps_that_long() -> None:
    async def scenario() -> float:
        clock = SimulatedClock()
        sleeping = asyncio.create_task(clock.sleep(3600))
        await asyncio.sleep(0)
        clock.advance(3600)
        await asyncio.wait_for(sleeping, 1)
        return clock.now()

    assert asyncio.run(scenario()) >= 3600


def test_a_sleeper_feels_a_new_speed_at_once() -> None:
    async def scenario() -> None:
        clock = SimulatedClock()
        sleeping = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0)
        clock.set_speed(100_000)
        await asyncio.wait_for(sleeping, 1)

    asyncio.run(scenario())


def test_time_never_jumps_when_the_speed_changes() -> None:
    clock = SimulatedClock(speed=1)
    before = clock.now()
    clock.set_speed(1_000_000)
    started = time.monotonic()
    assert clock.now() - before <= (time.monotonic() - started + 0.01) * 1_000_000
    assert clock.now() >= before


def test_a_fault_happens_as_often_as_it_was_armed() -> None:
    faults = FaultBook()
    faults.arm("scenario", "status", times=2, status=503)
    taken = [faults.take("scenario", {"status"}) for _ in range(3)]
    assert [fault is not None for fault in taken] == [True, True, False]
    assert not list(faults)


def test_a_fault_without_times_stays_until_removed() -> None:
    faults = FaultBook()
    fault = faults.arm("comfyui", "down", times=None)
    assert all(faults.take("comfyui", {"down"}) is fault for _ in range(5))
    assert faults.remove(fault.id)
    assert faults.take("comfyui", {"down"}) is None


@pytest.mark.parametrize(
    ("criteria", "happens"),
    [
        ({"method": "POST", "path": "/run"}, True),
        ({"method": "GET", "path": "/run"}, False),
        ({"method": "POST", "path": "/status/1"}, False),
    ],
)
def test_a_fault_concerns_only_what_it_names(criteria: dict[str, str], happens: bool) -> None:
    faults = FaultBook()
    faults.arm("runpod_jobs", "status", method="post", path="/run$")
    assert (faults.take("runpod_jobs", {"status"}, **criteria) is not None) is happens


def test_a_fault_of_one_version_leaves_the_other_alone() -> None:
    faults = FaultBook()
    faults.arm("worker", "status", version="3d6bfbdd")
    assert faults.take("worker", {"status"}, version="c414b7de-ec79-42b9-be61-628df0f5ebd1") is None
    assert faults.take("worker", {"status"}, version="3d6bfbdd-6b93-4301-8936-aad3937185a3") is not None


def test_the_oldest_fault_of_a_fitting_kind_comes_first() -> None:
    faults = FaultBook()
    faults.arm("scenario", "blank")
    first = faults.arm("scenario", "latency", seconds="0.5")
    faults.arm("scenario", "status")
    taken = faults.take("scenario", {"latency", "status"})
    assert taken is first
    assert taken.number("seconds", 1) == 0.5


def test_the_request_log_can_be_read_from_a_point_on() -> None:
    log = RequestLog()
    log.add("cloudflare", "GET", "/a", 200, 1.0)
    log.add("cloudflare", "POST", "/b", 200, 2.0)
    log.add("runpod", "POST", "/c", 401, 3.0)
    assert [item.path for item in log.select(None, None, since=1)] == ["/b", "/c"]
    assert [item.path for item in log.select("cloudflare", mutating=True, since=0)] == ["/b"]
    assert [item.path for item in log.select("cloudflare", mutating=False, since=0)] == ["/a"]
