"""One run, all forms. Each module turns the same Report into one form; nothing is measured here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from provider_client.files import write_atomically
from provider_client.verification.report import Report, file_name, input_file
from provider_client.verification.reports.contact_sheet import contact_sheet
from provider_client.verification.reports.junit import junit
from provider_client.verification.reports.markdown import markdown
from provider_client.verification.reports.prometheus import prometheus


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where the forms of one report are."""

    directory: Path
    json: Path
    html: Path
    junit: Path
    markdown: Path
    prometheus: Path
    ndjson: Path


def write_reports(report: Report, directory: Path) -> ReportFiles:
    """Writes every form and the pictures; report.json comes last, so that its presence means a complete report."""
    files = ReportFiles(
        directory=directory,
        json=directory / "report.json",
        html=directory / "report.html",
        junit=directory / "junit.xml",
        markdown=directory / "report.md",
        prometheus=directory / "metrics.prom",
        ndjson=directory / "events.ndjson",
    )
    files.json.unlink(missing_ok=True)  # of an earlier report in the same place
    for asset in report.assets:
        if asset.content is not None:
            write_atomically(directory / "pictures" / file_name(asset), asset.content)
        if asset.source is not None:
            write_atomically(directory / input_file(asset.number, asset.planned), asset.source)
    write_atomically(files.html, contact_sheet(report))
    write_atomically(files.junit, junit(report))
    write_atomically(files.markdown, markdown(report))
    write_atomically(files.prometheus, prometheus(report))
    write_atomically(files.ndjson, "".join(json.dumps(event) + "\n" for event in report.events_to_json()))
    write_atomically(files.json, json.dumps(report.to_json(), indent=2) + "\n")
    return files
