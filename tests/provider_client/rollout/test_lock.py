"""Pulumi's lock files as recorded, and who counts as dead."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from provider_client.rollout.lock import Holder, StackLock, holder_of, locks_folder, program_of, read_locks

RECORDED = '{"pid":15585,"username":"root","hostname":"vm","timestamp":"2026-11-23T06:15:27.717109183Z"}'
LOCK = StackLock(15585, "root", "vm", "2026-11-23T06:15:27.717109183Z")


def test_locks_are_read_as_pulumi_writes_them(tmp_path: Path) -> None:
    folder = locks_folder(f"file://{tmp_path}", "image-generation", "dev")
    assert folder == tmp_path / ".pulumi/locks/organization/image-generation/dev"
    assert read_locks(folder) == []
    folder.mkdir(parents=True)
    (folder / "b540842e.json").write_text(RECORDED)
    (folder / "b540842e.json.attrs").write_text("{}")
    (folder / "broken.json").write_text("{")
    older = json.loads(RECORDED) | {"timestamp": "2026-11-23T05:00:00Z", "pid": 2}
    (folder / "older.json").write_text(json.dumps(older))
    assert [lock.pid for lock in read_locks(folder)] == [2, 15585]
    assert read_locks(folder)[1] == LOCK


@pytest.mark.parametrize("backend", ["s3://bucket", "https://app.pulumi.com", ""])
def test_only_a_folder_can_be_looked_into(backend: str) -> None:
    assert locks_folder(backend, "image-generation", "dev") is None


def test_the_home_folder_may_be_written_short() -> None:
    folder = locks_folder("file://~/state", "p", "s")
    assert folder is not None
    assert str(folder).startswith(str(Path.home()))


@pytest.mark.parametrize(
    ("hostname", "program", "holder"),
    [
        ("vm", "pulumi", Holder.ALIVE),
        ("vm", "/opt/pulumi/bin/pulumi", Holder.ALIVE),
        ("vm", "", Holder.DEAD),
        ("vm", "vim", Holder.DEAD),
        ("laptop", "pulumi", Holder.ELSEWHERE),
    ],
)
def test_only_a_living_engine_on_this_machine_holds_the_lock(hostname: str, program: str, holder: Holder) -> None:
    assert holder_of(LOCK, hostname=hostname, program_of=lambda pid: program) is holder


def test_a_process_that_ended_has_no_program() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert program_of(ended.pid) == ""
    assert program_of(os.getpid())
