"""The life of workerd processes."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from emulator.worker_runtime import VersionSource, WorkerFailed, WorkerRuntime, configuration


def version(name: str, **changes: object) -> VersionSource:
    source = f"export default {{ async fetch() {{ console.log('asked'); return new Response('{name}'); }} }};"
    module = {
        "name": "index.js",
        "content_type": "application/javascript+module",
        "content_base64": base64.b64encode(source.encode()).decode(),
    }
    body = {"main_module": "index.js", "modules": [module], "bindings": [], **changes}
    return VersionSource(name, "", "2026-11-23T00:00:00Z", body)


async def ask(runtime: WorkerRuntime, source: VersionSource) -> str:
    async with (
        aiohttp.ClientSession() as http,
        runtime.process(source) as process,
        http.get(f"http://127.0.0.1:{process.port}/") as answer,
    ):
        return await answer.text()


def test_requests_at_the_same_time_start_one_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path)
        try:
            assert set(await asyncio.gather(*(ask(runtime, version("a")) for _ in range(5)))) == {"a"}
            assert runtime.running == ["a"]
        finally:
            await runtime.stop()

    asyncio.run(scenario())


def test_the_least_recently_used_version_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path, limit=2)
        try:
            for name in ("a", "b", "a", "c"):
                assert await ask(runtime, version(name)) == name
            assert runtime.running == ["a", "c"]
            assert await ask(runtime, version("b")) == "b"
        finally:
            await runtime.stop()

    asyncio.run(scenario())


def test_a_version_in_use_is_never_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path, limit=1)
        try:
            async with runtime.process(version("busy")):
                await ask(runtime, version("b"))
                assert "busy" in runtime.running
        finally:
            await runtime.stop()

    asyncio.run(scenario())


def test_a_killed_workerd_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path)
        try:
            async with runtime.process(version("a")) as process:
                os.killpg(process.shell.pid, signal.SIGKILL)
                await process.shell.wait()
            assert await ask(runtime, version("a")) == "a"
        finally:
            await runtime.stop()

    asyncio.run(scenario())


def test_what_a_worker_prints_can_be_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path)
        try:
            await ask(runtime, version("a"))
            for _ in range(100):
                if runtime.logs() == {"a": ["asked"]}:
                    return
                await asyncio.sleep(0.01)
            assert runtime.logs() == {"a": ["asked"]}
        finally:
            await runtime.stop()

    asyncio.run(scenario())


def test_workerds_own_words_explain_why_it_does_not_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = WorkerRuntime(tmp_path)
        with pytest.raises(WorkerFailed, match="no_such_flag"):
            await ask(runtime, version("a", compatibility_flags=["no_such_flag"]))

    asyncio.run(scenario())


@pytest.mark.parametrize(("asked", "given"), [("2026-01-01", "2026-01-01"), ("2027-01-01", "2026-11-17")])
def test_a_date_that_workerd_does_not_know_yet_becomes_its_newest(asked: str, given: str) -> None:
    config = configuration(version("a", compatibility_date=asked), 1, ["local"], "2026-11-17")
    assert f'compatibilityDate = "{given}"' in config


def test_workers_are_kept_from_the_internet_unless_it_is_allowed() -> None:
    assert 'allow = ["local"]' in configuration(version("a"), 1, ["local"], "2026-11-17")
