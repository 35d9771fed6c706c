"""The emulator as a background process of this user: found again, started once, ended alone.

`process.json` in the state folder names the process and when it was born, so that a pid which the system gave to
another program since is never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_client.errors import DeadlineExceeded, SwitchbackError
from provider_client.files import write_atomically

PORT = 8790  # the one that Pulumi.local.yaml names
START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class LocalEmulator:
    """The emulator's process and the line by which it said that it is ready."""

    pid: int
    born: str
    ready: Mapping[str, Any]
    folder: Path

    @property
    def base_url(self) -> str:
        return str(self.ready.get("base_url", ""))

    @property
    def cloudflare_plugin(self) -> str:
        return str(self.ready.get("cloudflare_plugin", ""))

    @property
    def environment(self) -> dict[str, str]:
        """What a shell must export to work against the emulator."""
        return {str(key): str(value) for key, value in self.ready.get("environment", {}).items()}

    @property
    def log(self) -> Path:
        return self.folder / "emulator.log"


def state_dir(environment: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/switchback/local`, by default under ~/.local/state."""
    home = environment.get("HOME") or str(Path.home())
    root = environment.get("XDG_STATE_HOME") or str(Path(home) / ".local" / "state")
    return Path(root) / "switchback" / "local"


def find(folder: Path) -> LocalEmulator | None:
    """The emulator that `start` started, if it still lives."""
    try:
        document = json.loads((folder / "process.json").read_text(encoding="utf-8"))
        found = LocalEmulator(int(document["pid"]), str(document["born"]), dict(document["ready"]), folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.born and _born(found.pid) == found.born else None


def start(
    folder: Path, *, port: int, speed: float, project_dir: Path, environment: Mapping[str, str]
) -> LocalEmulator:
    """Start it and wait until it is ready. Raises SwitchbackError with its last words when it ends instead."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    out, log = folder / "ready.json", folder / "emulator.log"
    command = [sys.executable, "-m", "emulator", "serve", "--port", str(port)]
    command += ["--speed", f"{speed:g}", "--state-dir", str(folder / "state")]
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=project_dir,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C in this terminal is not meant for it
        )
    try:
        ready = _wait_until_ready(process, out, log, port)
    except BaseException:
        process.terminate()
        process.wait(STOP_SECONDS)
        raise
    born = _born(process.pid)
    write_atomically(
        folder / "process.json", json.dumps({"pid": process.pid, "born": born, "ready": ready}, indent=2)
    )
    process.returncode = 0  # it outlives this command on purpose; else Popen warns about it
    return LocalEmulator(process.pid, born, ready, folder)


def stop(running: LocalEmulator) -> None:
    """End this process and no other; it ends what it started itself."""
    os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while _born(running.pid) == running.born:
        if time.monotonic() > end:
            raise DeadlineExceeded(
                f"The emulator (process {running.pid}) does not end.", fix=f"kill -9 {running.pid}"
            )
        time.sleep(0.05)
    (running.folder / "process.json").unlink(missing_ok=True)


def _wait_until_ready(process: subprocess.Popen[bytes], out: Path, log: Path, port: int) -> dict[str, Any]:
    end = time.monotonic() + START_SECONDS
    while (ready := _ready_line(out)) is None:
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise SwitchbackError(
                f"The emulator ended at once: {said[-1] if said else 'it said nothing'}",
                fix=f"read {log}; if port {port} is taken, choose another with --port; else `make setup`",
            )
        if time.monotonic() > end:
            raise DeadlineExceeded(f"The emulator was not ready within {START_SECONDS:.0f} s.", fix=f"read {log}")
        time.sleep(0.05)
    return ready


def _ready_line(path: Path) -> dict[str, Any] | None:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("ready"):
            return document
    return None


def _born(pid: int) -> str:
    """When the process started, "" when it is gone: from /proc where there is one, else from `ps`."""
    if Path("/proc/self/stat").exists():
        try:
            fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]  # proc(5): state, start time in clock ticks
    command = ["ps", "-p", str(pid), "-o", "state=,lstart="]
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    return "" if not words or words[0].startswith("Z") else " ".join(words[1:])
