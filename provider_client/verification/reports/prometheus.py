"""Prometheus text: the last run as gauges, thresholds included, so that an alert can compare the two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from provider_client.verification.measurement import Outcome
from provider_client.verification.report import Report


def prometheus(report: Report) -> str:
    labels = {"provider": report.target.provider, "stage": report.plan.stage}
    lines = _metric(
        "verification_outcome",
        "1 for the verdict's outcome, 0 for the others",
        [({**labels, "outcome": outcome.value}, float(outcome is report.verdict.outcome)) for outcome in Outcome],
    )
    lines += _metric(
        "verification_assets",
        "Assets by outcome",
        [({**labels, "outcome": outcome.value}, float(count)) for outcome, count in report.counts.items()],
    )
    lines += _metric(
        "verification_asset_seconds",
        "Time from the request to the finished asset",
        [
            (
                {**labels, "asset": a.planned.name, "operation": a.planned.operation, "cold": str(a.cold).lower()},
                a.seconds,
            )
            for a in report.assets
            if a.seconds is not None
        ],
    )
    lines += _metric(
        "verification_budget_seconds",
        "Budget per operation, a p95",
        [({**labels, "operation": op}, report.plan.budget(op)) for op in report.plan.operations],
    )
    if report.spent_usd is not None:
        lines += _metric("verification_spent_usd", "What the run cost", [(labels, report.spent_usd)])
    lines += _metric("verification_wall_seconds", "How long the run took", [(labels, report.wall_seconds)])
    return "\n".join(lines) + "\n"


def _metric(name: str, meaning: str, values: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    full = f"switchback_{name}"
    lines = [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
    for labels, value in values:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{full}{{{pairs}}} {value:g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
