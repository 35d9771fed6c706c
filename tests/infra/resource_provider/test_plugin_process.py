"""The plugin's process: it prints its port, and it does not outlive the engine that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

ENGINE = """
import subprocess, sys, time
plugin = subprocess.Popen([sys.executable, "-m", "infra.resource_provider.server"], stdout=subprocess.PIPE, text=True)
print(plugin.pid, plugin.stdout.readline().strip(), flush=True)
time.sleep(60)
"""
PATIENCE_SECONDS = 20


def is_running(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_the_plugin_ends_when_its_engine_was_killed() -> None:
    """Kill -9 gives the engine no time to end its plugins; they notice that nobody is left."""
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    with engine.stdout as printed:
        plugin, port = (int(word) for word in printed.readline().split())
    assert port > 0
    assert is_running(plugin)
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    end = time.monotonic() + PATIENCE_SECONDS
    while is_running(plugin) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(plugin)
