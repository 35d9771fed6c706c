"""JUnit XML: one test case per check, so that any pipeline shows which check of which asset failed."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from provider_client.verification.measurement import Measurement, Outcome
from provider_client.verification.report import Report

TAGS = {Outcome.FAILED: "failure", Outcome.ERROR: "error", Outcome.INCONCLUSIVE: "skipped"}


def junit(report: Report) -> str:
    """One suite for the run as a whole, one per asset. INCONCLUSIVE is a skipped test: neither good nor bad."""
    root = ET.Element("testsuites", name=f"switchback {report.plan.stage} {report.target.provider}")
    _suite(root, "run", report.run, 0.0, report.started_at)
    for asset in report.assets:
        suite = _suite(root, asset.planned.name, asset.measurements, asset.seconds or 0.0, report.started_at)
        if asset.problems:
            ET.SubElement(suite, "system-out").text = _printable(asset.reproduce)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(
    root: ET.Element, name: str, measurements: Iterable[Measurement], seconds: float, timestamp: str
) -> ET.Element:
    measured = list(measurements)
    counts = {tag: str(sum(m.outcome is outcome for m in measured)) for outcome, tag in TAGS.items()}
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_printable(name),
        tests=str(len(measured)),
        failures=counts["failure"],
        errors=counts["error"],
        skipped=counts["skipped"],
        time=f"{seconds:.3f}",
        timestamp=timestamp,
    )
    for measurement in measured:
        case = ET.SubElement(suite, "testcase", classname=f"switchback.{_printable(name)}", name=measurement.check)
        if tag := TAGS.get(measurement.outcome):
            problem = ET.SubElement(
                case, tag, message=_printable(measurement.sentence), type=measurement.kind or "check"
            )
            problem.text = _printable(measurement.mitigation)
    return suite


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold; a provider's error text may carry any."""
    return "".join(char for char in text if char in "\t\n" or (char >= " " and char not in "\ufffe\uffff"))
