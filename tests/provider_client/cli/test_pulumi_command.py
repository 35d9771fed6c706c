"""Pulumi as a process that is waited for, also when the user stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import signal, sys
from pathlib import Path
from provider_client.cli.pulumi_command import PulumiCommand
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    PulumiCommand(Path(sys.argv[1]), {"PATH": f"{sys.argv[1]}:/usr/bin:/bin"}).run(["up"])
except KeyboardInterrupt:
    print("stopped")
"""
SLOW_TO_STOP = (
    "#!/bin/sh\ntrap 'sleep 1; echo > unlocked; exit 1' INT\necho > started\nwhile :; do sleep 0.1; done\n"
)


def test_ctrl_c_leaves_pulumi_the_time_to_unlock_the_stack(tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(SLOW_TO_STOP)
    pulumi.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        end = time.monotonic() + 20
        while not (tmp_path / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground
        printed, _ = process.communicate(timeout=20)
    assert printed == "stopped\n"
    assert (tmp_path / "unlocked").exists()
