"""Pulumi's lock of a stack in a self-managed backend: one JSON file per holder, which never expires.

`.pulumi/locks/organization/<project>/<stack>/<uuid>.json` = {pid, username, hostname, timestamp} (pulumi
pkg/backend/diy/lock.go; seen with 3.259). A killed engine leaves its file behind.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Holder(StrEnum):
    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "on another machine"


@dataclass(frozen=True)
class StackLock:
    pid: int
    user: str
    host: str
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since}"


def locks_folder(backend_url: str, project: str, stack: str) -> Path | None:
    """Where the locks of a file backend are; None for a backend that is not a folder of this machine."""
    parts = urlsplit(backend_url)
    if parts.scheme != "file":
        return None
    root = Path(unquote(parts.netloc + parts.path)).expanduser()
    return root / ".pulumi" / "locks" / "organization" / project / stack


def read_locks(folder: Path) -> list[StackLock]:
    """Every lock of the stack, the oldest first. A file that is no lock is left out."""
    locks = []
    for path in folder.glob("*.json"):
        try:
            lock = json.loads(path.read_text(encoding="utf-8"))
            locks.append(StackLock(int(lock["pid"]), lock["username"], lock["hostname"], lock["timestamp"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(locks, key=lambda lock: lock.since)


def holder_of(lock: StackLock, *, hostname: str, program_of: Callable[[int], str]) -> Holder:
    """Whether the holder still runs. A pid that now belongs to another program is a dead holder."""
    if lock.host != hostname:
        return Holder.ELSEWHERE
    return Holder.ALIVE if "pulumi" in program_of(lock.pid) else Holder.DEAD


def program_of(pid: int) -> str:
    """The name of a running program, "" when there is none with this pid."""
    command = ["ps", "-p", str(pid), "-o", "stat=,comm="]
    try:
        words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    except FileNotFoundError:  # a container without ps has /proc
        return _program_in_proc(pid)
    return "" if not words or words[0].startswith("Z") else " ".join(words[1:])


def _program_in_proc(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
