"""Who really made the last asset: read from the newest report of a verification of the live gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provider_client.rollout.status import Truth

LIVE_STAGES = ("live", "smoke")


@dataclass(frozen=True)
class LastAsset:
    provider: str
    version_id: str | None
    at: str
    report: Path


def last_asset(project_dir: Path) -> LastAsset | None:
    """The last asset of the newest complete report; folder names begin with the UTC time."""
    for report in sorted(project_dir.glob(".switchback/reports/*/report.json"), reverse=True):
        found = next(_assets(report), None)
        if found is not None:
            return found
    return None


def observed_truth(project_dir: Path, deployed_on: str) -> Truth:
    """An asset older than the active deployment proves nothing about the present."""
    asset = last_asset(project_dir)
    if asset is None:
        return Truth(
            "observed", None, "no asset was made by a verification of the live gateway", ".switchback/reports"
        )
    source = str(asset.report.parent.relative_to(project_dir))
    if not _is_later(asset.at, deployed_on):
        detail = f"nothing since the active deployment (before it: {asset.provider})"
        return Truth("observed", None, detail, source)
    return Truth("observed", asset.provider, f"at {asset.at}", source, asset.version_id)


def _assets(report: Path) -> Iterator[LastAsset]:
    """Assets that were really made, last first. A report that cannot be read counts as none."""
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
        if document["stage"] not in LIVE_STAGES:
            return
        for asset in reversed(document["assets"]):
            if asset["provider"] and asset["sha256"]:
                version = document["target"]["version_id"]
                yield LastAsset(asset["provider"], version, document["started_at"], report)
    except (OSError, ValueError, KeyError, TypeError):
        return


def _is_later(at: str, than: str) -> bool:
    """`at` is of whole seconds: what was made within the second of the deployment was made after it."""
    try:
        return datetime.fromisoformat(at) >= datetime.fromisoformat(than).replace(microsecond=0)
    except (ValueError, TypeError):  # TypeError: one of them without a zone
        return False


@dataclass(frozen=True)
class MeasuredSeconds:
    """GPU seconds of warm text-to-image assets, as the provider reported them in one verification."""

    shortest: float
    longest: float
    source: str


def measured_run_seconds(project_dir: Path, provider: str) -> MeasuredSeconds | None:
    """From the newest report that has such assets; None where there is none."""
    for report in sorted(project_dir.glob(".switchback/reports/*/report.json"), reverse=True):
        seconds = _run_seconds(report, provider)
        if seconds:
            return MeasuredSeconds(min(seconds), max(seconds), str(report.parent.relative_to(project_dir)))
    return None


def _run_seconds(report: Path, provider: str) -> list[float]:
    try:
        return [
            round(float(asset["timings"]["run_ms"]) / 1000, 1)
            for asset in json.loads(report.read_text(encoding="utf-8"))["assets"]
            if asset["provider"] == provider and asset["operation"] == "txt2img" and asset["timings"]["run_ms"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
