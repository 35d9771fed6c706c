"""One workerd process per Worker version, started when first asked for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import sys
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROCESS_LIMIT = 8
START_SECONDS = 20.0
STOP_SECONDS = 3.0
LOG_LINES = 200
MODULE_KINDS = {
    "application/javascript+module": "esModule",
    "application/javascript": "commonJsModule",
    "application/json": "json",
    "application/octet-stream": "data",
    "application/wasm": "wasm",
    "text/plain": "text",
}
# ends workerd when the emulator's end of stdin closes, however the emulator dies; on every system with a shell
LEASH = (
    'exec 3<&0; "$@" 3<&- & worker=$!; '
    '{ read -r _ <&3; kill "$worker"; sleep 2; kill -9 "$worker"; } >/dev/null 2>&1 & leash=$!; '
    'exec 3<&-; wait "$worker"; status=$?; kill "$leash" 2>/dev/null; exit "$status"'
)


class WorkerFailed(Exception):
    """workerd did not start; the message is its own."""


@dataclass(frozen=True)
class VersionSource:
    """What workerd needs to run one version."""

    id: str
    tag: str
    created_on: str
    body: Mapping[str, Any]


@dataclass
class Process:
    """A running workerd."""

    version_id: str
    port: int
    shell: asyncio.subprocess.Process
    logs: deque[str]
    requests: int = 0
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.shell.returncode is None


class WorkerRuntime:
    """Keeps the most recently used versions running."""

    def __init__(self, directory: Path, networks: Sequence[str] = ("local",), limit: int = PROCESS_LIMIT) -> None:
        self._directory = directory
        self._networks = networks
        self._limit = limit
        self._processes: OrderedDict[str, Process] = OrderedDict()
        self._starting: dict[str, asyncio.Lock] = {}
        self._newest_date: str | None = None
        self.r2_port = 0  # set once listening

    @asynccontextmanager
    async def process(self, version: VersionSource) -> AsyncIterator[Process]:
        """The version's process, kept alive while in use."""
        async with self._starting.setdefault(version.id, asyncio.Lock()):
            process = self._processes.get(version.id)
            if process is None or not process.alive:
                process = await self._start(version)
                self._processes[version.id] = process
            process.requests += 1
        self._processes.move_to_end(version.id)
        try:
            yield process
        finally:
            process.requests -= 1
            await self._evict()

    def logs(self) -> dict[str, list[str]]:
        """The last lines that each running version printed."""
        return {version_id: list(process.logs) for version_id, process in self._processes.items()}

    @property
    def running(self) -> list[str]:
        """Ids of the versions that have a process now, least recently used first."""
        return [version_id for version_id, process in self._processes.items() if process.alive]

    async def stop(self) -> None:
        """End all processes."""
        processes = list(self._processes.values())
        self._processes.clear()
        await asyncio.gather(*(_end(process) for process in processes))

    async def _evict(self) -> None:
        while len(self._processes) > self._limit:
            idle = next((item for item in self._processes.values() if not item.requests), None)
            if idle is None:
                return
            del self._processes[idle.version_id]
            await _end(idle)

    async def _start(self, version: VersionSource) -> Process:
        directory = self._directory / version.id
        directory.mkdir(parents=True, exist_ok=True)
        newest = await self._newest_compatibility_date()
        for index, module in enumerate(version.body["modules"]):
            (directory / f"module-{index}").write_bytes(base64.b64decode(module["content_base64"]))
        (directory / "config.capnp").write_text(
            configuration(version, self.r2_port, self._networks, newest), encoding="utf-8"
        )
        reading, writing = os.pipe()
        try:
            shell = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                LEASH,
                "sh",
                workerd_path(),
                "serve",
                str(directory / "config.capnp"),
                f"--control-fd={writing}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[writing],
                env=secret_environment(version.body),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        process = Process(version.id, 0, shell, deque(maxlen=LOG_LINES))
        process.readers.append(asyncio.create_task(_collect(shell, process.logs)))
        process.port = await self._listening(reading, process)
        return process

    async def _listening(self, reading: int, process: Process) -> int:
        line = asyncio.create_task(_first_line(reading))
        ended = asyncio.create_task(process.shell.wait())
        await asyncio.wait({line, ended}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if line.done() and (text := line.result()):
            return int(json.loads(text)["port"])
        line.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await line
        await _end(process)
        raise WorkerFailed("\n".join(process.logs) or "workerd did not start")

    async def _newest_compatibility_date(self) -> str:
        if self._newest_date is None:
            process = await asyncio.create_subprocess_exec(
                workerd_path(), "--version", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            self._newest_date = output.decode().split()[-1]
        return self._newest_date


def workerd_path() -> str:
    """`WORKERD`, else next to the interpreter, else on PATH."""
    beside = Path(sys.executable).with_name("workerd")
    found = os.environ.get("WORKERD") or (str(beside) if beside.exists() else shutil.which("workerd"))
    if not found:
        raise WorkerFailed("workerd is not installed: run `make setup`, or name it in WORKERD")
    return found


def secret_environment(body: Mapping[str, Any]) -> dict[str, str]:
    """workerd's whole environment: the version's secrets, which are in no file."""
    return {
        secret_variable(item["name"]): item["text"] for item in body["bindings"] if item["type"] == "secret_text"
    }


def secret_variable(name: str) -> str:
    """Prefixed, so that no binding can pose as a variable that the system reads."""
    return f"SECRET_{name}"


def configuration(version: VersionSource, r2_port: int, networks: Sequence[str], newest_date: str) -> str:
    """The version as a text Cap'n Proto config. Modules are read from files module-0, module-1, ... beside it."""
    body = version.body
    buckets = sorted({item["bucket_name"] for item in body["bindings"] if item["type"] == "r2_bucket"})
    allowed = ", ".join(text(network) for network in networks)
    services = [
        '(name = "worker", worker = .worker)',
        f'(name = "outside", network = (allow = [{allowed}], tlsOptions = (trustBrowserCas = true)))',
        *(_bucket_service(bucket, r2_port) for bucket in buckets),
    ]
    modules = [
        (module["name"] != body["main_module"], f"(name = {text(module['name'])}, {_module(module, index)})")
        for index, module in enumerate(body["modules"])
    ]
    flags = ", ".join(text(flag) for flag in body.get("compatibility_flags") or ())
    return "\n".join(
        [
            'using Workerd = import "/workerd/workerd.capnp";',
            "const config :Workerd.Config = (",
            f"  services = [{', '.join(services)}],",
            '  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],',
            ");",
            "const worker :Workerd.Worker = (",
            f"  modules = [{', '.join(line for _, line in sorted(modules, key=lambda item: item[0]))}],",
            f"  compatibilityDate = {text(min(str(body.get('compatibility_date') or newest_date), newest_date))},",
            f"  compatibilityFlags = [{flags}],",
            '  globalOutbound = "outside",',
            f"  bindings = [{', '.join(_binding(item, version) for item in body['bindings'])}],",
            ");",
        ]
    )


def _module(module: Mapping[str, Any], index: int) -> str:
    return f'{MODULE_KINDS[module["content_type"]]} = embed "module-{index}"'


def _bucket_service(bucket: str, port: int) -> str:
    # the wire carries no bucket name
    header = f'(name = "X-Bucket", value = {text(bucket)})'
    http = f"http = (injectRequestHeaders = [{header}])"
    return f'(name = {text(f"r2-{bucket}")}, external = (address = "127.0.0.1:{port}", {http}))'


def _binding(binding: Mapping[str, Any], version: VersionSource) -> str:
    name, kind = text(binding["name"]), binding["type"]
    if kind == "secret_text":
        return f"(name = {name}, fromEnvironment = {text(secret_variable(binding['name']))})"
    if kind == "plain_text":
        return f"(name = {name}, text = {text(binding['text'])})"
    if kind == "r2_bucket":
        return f"(name = {name}, r2Bucket = {text('r2-' + binding['bucket_name'])})"
    if kind == "version_metadata":
        metadata = {"id": version.id, "tag": version.tag, "timestamp": version.created_on}
        return f"(name = {name}, json = {text(json.dumps(metadata))})"
    return f"(name = {name}, json = {text(json.dumps(binding['json']))})"


def text(value: str) -> str:
    """A Cap'n Proto string literal."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 32 else c) for c in value) + '"'


async def _first_line(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.readline()
    finally:
        transport.close()


async def _collect(shell: asyncio.subprocess.Process, logs: deque[str]) -> None:
    if shell.stdout is None:
        return
    async for line in shell.stdout:
        logs.append(line.decode(errors="replace").rstrip())


async def _end(process: Process) -> None:
    if process.shell.stdin is not None:
        process.shell.stdin.close()
    try:
        await asyncio.wait_for(process.shell.wait(), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.shell.pid, signal.SIGKILL)
        await process.shell.wait()
    await asyncio.gather(*process.readers)
