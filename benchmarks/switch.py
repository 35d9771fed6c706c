"""A switch, an `up` without a change, a preview and a rollback: real engine, emulated cloud, instant generations."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, seconds
from demo.emulated import EmulatedCloud
from demo.project import Ended, Project
from emulator.supervisor import running

INSTANT = 5_000.0  # simulated seconds per wall second: emulated GPUs cost nothing, the rest is what we measure
PATIENT_SECONDS = "10000"  # budgets in simulated time, so that the wall's jitter is no verdict
ROUNDS = 3


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as scratch, running(speed=INSTANT, state_dir=Path(scratch)) as emulator:
        project = Project(Path(scratch) / "project", "local", emulator.environment())
        with EmulatedCloud(emulator.base_url) as cloud:
            yield from _measured(project, cloud)


def _measured(project: Project, cloud: EmulatedCloud) -> Iterator[Figure]:
    project.create()
    project.set("verification.candidateAssets", "1")
    project.set("verification.liveAssets", "0")
    project.set("verification.budgets.txt2img", PATIENT_SECONDS)
    yield Figure("first pulumi up, everything created", seconds([_up(project).seconds]))
    switches, quiet, previews, rollbacks, calls = [], [], [], [], []
    for _ in range(ROUNDS):
        project.set("imageGenerationProvider", "runpod")
        switches.append(_up(project).seconds)
        quiet.append(_up(project).seconds)
        sent = len(cloud.mutations("cloudflare"))
        rollback = _done(project.run(["switchback", "rollback", "--now", "--json", "--quiet"]))
        rollbacks.append(rollback.seconds)
        calls.append(len(cloud.mutations("cloudflare")) - sent)
        previews.append(_done(project.pulumi("preview")).seconds)
        _done(project.run(["switchback", "reconcile", "--yes"]))
        # the next round undoes the rollback, which has to be said
        project.set("acknowledgeRollback", json.loads(rollback.output)["deployment_id"])
    yield Figure("switch-only pulumi up", seconds(switches), "≤ 15 s")
    yield Figure("pulumi up without a change", seconds(quiet))
    yield Figure("pulumi preview", seconds(previews))
    yield Figure("switchback rollback --now, to confirmed", seconds(rollbacks), "≤ 5 s")
    yield Figure("mutating calls of one rollback", ", ".join(map(str, calls)), "1")
    yield Figure("pulumi destroy", seconds([_done(project.pulumi("destroy", "--skip-preview")).seconds]))


def _up(project: Project) -> Ended:
    return _done(project.pulumi("up", "--skip-preview"))


def _done(ended: Ended) -> Ended:
    if ended.code != 0:
        raise SystemExit(f"{ended.command} ended with {ended.code}:\n{ended.output}")
    return ended
