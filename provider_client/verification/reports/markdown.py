"""Markdown for a pull request's comment and for GitHub's step summary."""

from __future__ import annotations

from provider_client.verification.measurement import Outcome
from provider_client.verification.report import Report

SIGNS = {Outcome.SUCCESSFUL: "✅", Outcome.INCONCLUSIVE: "❔", Outcome.ERROR: "⚠️", Outcome.FAILED: "❌"}


def markdown(report: Report) -> str:
    """The verdict first, outside of any fold; then one row per asset; failures with their curl line folded."""
    verdict = report.verdict
    lines = [
        f"### {SIGNS[verdict.outcome]} {verdict.outcome}: {_cell(report.target.provider)}, {report.plan.stage}",
        "",
        _cell(verdict.sentence),
    ]
    if verdict.next_step:
        lines.append(f"**Next:** {_cell(verdict.next_step)}")
    if verdict.mitigation:
        lines.append(f"**Mitigation:** {_cell(verdict.mitigation)}")
    lines += [
        "",
        f"{report.passed} of {report.total} assets green, {_spent(report)}, {report.wall_seconds:.0f} s.",
        "",
    ]
    if report.assets:
        lines += ["| | Asset | Operation | Time | Budget | What is wrong |", "|---|---|---|---|---|---|"]
    for asset in report.assets:
        time = "-" if asset.seconds is None else f"{asset.seconds:.1f} s"
        problem = asset.problems[0].sentence if asset.problems else ""
        cold = " (cold)" if asset.cold else ""
        lines.append(
            f"| {SIGNS[asset.outcome]} | {_cell(asset.planned.name)} | {asset.planned.operation} | {time}{cold}"
            f" | {asset.budget_seconds:.0f} s | {_cell(problem)} |"
        )
    lines += ["", *(f"- {_cell(text)}" for text in (*verdict.claims, *verdict.remarks))]
    failing = [asset for asset in report.assets if asset.problems]
    if failing:
        lines += ["", "<details><summary>Reproduce</summary>", ""]
        for asset in failing:
            lines += [f"{_cell(asset.planned.name)}:", "", "```sh", asset.reproduce, "```", ""]
        lines.append("</details>")
    return "\n".join(lines) + "\n"


def _spent(report: Report) -> str:
    return "cost not known" if report.spent_usd is None else f"${report.spent_usd:.3f} spent"


def _cell(text: str) -> str:
    """Text of others made harmless: it can neither end a table cell nor bring markup of its own."""
    for char, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("[", "&#91;"),
        ("`", "&#96;"),
        ("\n", " "),
    ):
        text = text.replace(char, entity)
    return text
