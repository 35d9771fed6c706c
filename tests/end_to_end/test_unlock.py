"""A lock that a killed engine left: refused while the engine lives, removed once it is dead, and `up` goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from demo.project import Project
from provider_client.rollout.lock import StackLock, locks_folder, read_locks
from tests.end_to_end.conftest import expect_success

pytestmark = pytest.mark.engine

LOCKED_WITHIN_SECONDS = 60.0


@pytest.fixture
def updating(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """The first `pulumi up` of the stack, running."""
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield process
    with suppress(ProcessLookupError):  # what the engine had started, where that did not end with it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def held_lock(project: Project) -> StackLock:
    folder = locks_folder(project.environment["PULUMI_BACKEND_URL"], "image-generation", project.stack)
    assert folder is not None
    end = time.monotonic() + LOCKED_WITHIN_SECONDS
    while not (locks := read_locks(folder)):
        assert time.monotonic() < end, "the engine took no lock"
        time.sleep(0.05)
    return locks[0]


def unlock(project: Project) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        ["switchback", "unlock", "--yes", "--json"],
        cwd=project.directory,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_a_lock_is_removed_once_its_engine_is_dead(project: Project, updating: subprocess.Popen[bytes]) -> None:
    """Exit 14 while it lives, whatever --yes says; then the lock goes and the next `up` finishes the work."""
    lock = held_lock(project)
    assert lock.pid == updating.pid
    code, answer = unlock(project)
    assert (code, answer["error"]["kind"]) == (14, "LockedError")
    assert str(lock.pid) in answer["error"]["message"]
    os.kill(lock.pid, signal.SIGKILL)
    updating.wait()
    assert "locked" in project.pulumi("up", "--skip-preview").output
    code, answer = unlock(project)
    assert (code, answer["unlocked"], answer["locks"][0]["pid"]) == (0, True, lock.pid)
    expect_success(project.pulumi("up", "--skip-preview"))
    assert unlock(project) == (0, {"schema": 1, "stack": project.stack, "unlocked": False, "locks": []})
