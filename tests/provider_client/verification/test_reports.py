"""Every form of a report says the same, keeps to its format, and cannot be broken by what a provider answers."""

from __future__ import annotations

import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.console import Console

from provider_client.models import Operation
from provider_client.verification import Outcome, Report, reports
from provider_client.verification.parity import compare, with_parity
from provider_client.verification.reports import write_reports
from provider_client.verification.reports.contact_sheet import contact_sheet
from provider_client.verification.reports.junit import junit
from provider_client.verification.reports.markdown import markdown
from provider_client.verification.reports.prometheus import prometheus
from provider_client.verification.reports.terminal import print_report, shown
from tests.provider_client.verification.gateway_spoils import error

NASTY = '<img src=x onerror=alert(1)> | `rm` \x1b[31m\x00 "quoted" & {{ 7*7 }}'
ALL = tuple(Operation)


def schema() -> Any:
    package = resources.files("provider_client.verification.reports")
    return json.loads((package / "report.schema.json").read_text(encoding="utf-8"))


def nasty(served: Any) -> None:
    if served.number == 2:
        served.status = "failed"
        served.error = {"kind": "MODEL_NOT_FOUND", "message": NASTY, "mitigation": NASTY}


def fail_health(bench: Any) -> None:
    bench.gateway.health = {"provider": "scenario"}


def refuse(bench: Any) -> None:
    bench.gateway.refuse_token = True


def spoil(bench: Any) -> None:
    bench.gateway.spoil = nasty


@pytest.fixture(params=[lambda bench: None, spoil, fail_health, refuse], ids=["good", "nasty", "health", "token"])
def report(request: pytest.FixtureRequest, bench: Any) -> Report:
    request.param(bench)
    found: Report = bench.verify(bench.plan(4, ALL))
    return found


def test_json_keeps_to_the_published_schema(report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(json.dumps(report.to_json())), schema())


def test_junit_is_xml_with_the_same_outcomes(report: Report) -> None:
    root = ET.fromstring(junit(report))
    cases = root.findall(".//testcase")
    checks = [*report.run, *(m for asset in report.assets for m in asset.measurements)]
    assert len(cases) == len(checks)
    assert len(root.findall(".//failure")) == sum(m.outcome is Outcome.FAILED for m in checks)
    assert len(root.findall(".//error")) == sum(m.outcome is Outcome.ERROR for m in checks)


def test_markdown_has_the_verdict_outside_of_any_fold(report: Report) -> None:
    text = markdown(report)
    assert report.verdict.outcome in text.splitlines()[0]
    assert "<img" not in text.split("<details>")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {row.replace("\\|", "").count("|") for row in rows} <= {7}


def test_markdown_makes_no_links_of_what_a_provider_says(bench: Any) -> None:
    bench.gateway.spoil = error("UNAVAILABLE", "see [our page](https://evil.test) ![](https://evil.test/x.png)")
    text = markdown(bench.verify())
    assert "our page" in text
    assert not re.search(r"\[[^]]*\]\(", text)


def test_a_report_that_is_being_written_again_is_not_taken_for_a_complete_one(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_reports(report, tmp_path)

    def full(_: Report) -> str:
        assert not files.json.exists()
        return ""

    monkeypatch.setattr(reports, "prometheus", full)
    assert write_reports(report, tmp_path).json.exists()


def test_prometheus_lines_are_well_formed(report: Report) -> None:
    lines = prometheus(report).splitlines()
    values = [line for line in lines if not line.startswith("#")]
    assert f'outcome="{report.verdict.outcome}"}} 1' in "\n".join(values)
    for line in values:
        assert line.startswith("switchback_verification_")
        float(line.rsplit(" ", 1)[1])


def test_html_is_self_contained_and_escaped(report: Report) -> None:
    page = contact_sheet(report)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert 'src="http' not in page
    assert report.verdict.sentence.split(";")[0].replace(">", "&gt;").replace("<", "&lt;") in page
    assert page.count("<article") == report.total


def test_a_vendors_page_of_an_error_is_told_in_a_line_and_shown_when_asked_for(bench: Any) -> None:
    dump = (
        "Node 4: [{'type': 'value_not_in_list', 'details': \"ckpt_name: 'sd_xl' not in []\", 'extra': '"
        + "x" * 200
    )
    bench.gateway.spoil = error("MODEL_NOT_FOUND", dump + "'}]")
    html = contact_sheet(bench.verify())
    told = html.split('class="problem FAILED">', 1)[1].split("<", 1)[0]
    assert told == "MODEL_NOT_FOUND: Node 4: ckpt_name: &#39;sd_xl&#39; not in []"
    assert "The whole message" in html


def test_events_are_one_json_object_per_line(report: Report, tmp_path: Path) -> None:
    files = write_reports(report, tmp_path)
    events = [json.loads(line) for line in files.ndjson.read_text().splitlines()]
    assert (events[0]["event"], events[-1]["event"]) == ("Started", "Judged")
    assert events[-1]["verdict"]["outcome"] == report.verdict.outcome


def test_piped_output_is_stable_plain_lines(bench: Any) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False, soft_wrap=True)
    with shown(console) as show:
        found = bench.verify(bench.plan(2))
        for event in bench.events:
            show(event)
    print_report(console, found, "report.html")
    lines = out.getvalue().splitlines()
    assert "txt2img 2/2 ok 8.1 s" in lines
    assert any(line.startswith("SUCCESSFUL 2 of 2 assets passed every check") for line in lines)
    assert "\x1b" not in out.getvalue()


def test_a_live_terminal_shows_the_same(bench: Any) -> None:
    out = io.StringIO()
    console = Console(file=out, width=160, force_terminal=True, highlight=False)
    bench.gateway.spoil = nasty
    report = bench.verify(bench.plan(3))
    with shown(console) as show:
        for event in bench.events:
            show(event)
    print_report(console, report, "report.html")
    assert "INCONCLUSIVE" in out.getvalue()
    assert "\x00" not in out.getvalue()


def test_parity_pairs_the_same_prompts_and_seeds(bench: Any) -> None:
    candidate = bench.verify(bench.plan(4, ALL))
    bench.gateway.spoil = lambda served: setattr(served, "seconds", 16.0)
    live = bench.verify(bench.plan(4, ALL))
    pairs = compare(candidate, live)
    assert [pair.distance for pair in pairs] == [0, 0, 0, 0]
    assert all(pair.seconds_ratio is not None and 0.4 < pair.seconds_ratio < 0.6 for pair in pairs)
    assert not any(pair.differences for pair in pairs)
    beside = with_parity(candidate, live)
    jsonschema.validate(json.loads(json.dumps(beside.to_json())), schema())
    assert contact_sheet(beside).count("(live)</figcaption>") == 4


def test_parity_names_what_differs(bench: Any) -> None:
    from PIL import Image

    candidate = bench.verify(bench.plan(1))
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGBA").resize((32, 64)).save(buffer, "WEBP")

    def other(served: Any) -> None:
        served.content = buffer.getvalue()
        served.content_type = served.stored_content_type = "image/webp"

    bench.gateway.spoil = other
    (pair,) = compare(candidate, bench.verify(bench.plan(1)))
    assert pair.differences[:3] == (
        "candidate SUCCESSFUL, live FAILED",
        "size: candidate 64 x 64, live 32 x 64",
        "format: candidate PNG, live WEBP",
    )
