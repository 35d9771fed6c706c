"""Whole runs against a gateway that serves real pictures: what is paid for, when it stops, what it says."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_client.clock import SystemClock
from provider_client.models import Operation
from provider_client.verification import Outcome, Price, Target, describe, write_reports
from provider_client.verification.events import Waiting
from provider_client.verification.spending import Ledger
from tests.provider_client.verification.gateway_spoils import at, change, error

ALL = tuple(Operation)
TOKEN = "dummy-gateway-token-planted-to-be-searched-for"


def test_a_good_provider_is_successful_over_all_operations(bench: Any) -> None:
    report = bench.verify(bench.plan(12, ALL))
    assert report.verdict.outcome is Outcome.SUCCESSFUL, report.verdict
    assert report.passed == report.total == 12
    assert report.verdict.sentence == "12 of 12 assets passed every check"
    assert any("p95: not claimed" in claim for claim in report.verdict.claims)


@pytest.mark.parametrize("kind", ["UNAVAILABLE", "MODEL_NOT_FOUND", "EMPTY_RESULT"])
def test_one_failure_in_ten_is_inconclusive_and_says_what_would_settle_it(bench: Any, kind: str) -> None:
    bench.gateway.spoil = at({5}, error(kind))
    report = bench.verify(bench.plan(10, ALL))
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert report.verdict.more_samples == 36
    assert "needs 36 more samples" in report.verdict.next_step
    assert "$" in report.verdict.next_step


def test_three_failures_in_a_row_fail_and_stop_paying(bench: Any) -> None:
    bench.gateway.spoil = at({4, 5, 6, 7, 8}, error("UNAVAILABLE"))
    report = bench.verify(bench.plan(12, ALL))
    assert report.verdict.outcome is Outcome.FAILED
    assert "failures in a row" in report.verdict.sentence
    assert report.total == 6
    assert report.verdict.mitigation == "mend UNAVAILABLE"


def test_a_missing_model_stops_after_three_assets(bench: Any) -> None:
    bench.gateway.spoil = error("MODEL_NOT_FOUND", "sd_xl.safetensors not in []")
    report = bench.verify(bench.plan(12, ALL))
    assert (report.total, report.stopped) == (3, "3 failures in a row")
    assert "sd_xl.safetensors" in report.verdict.sentence


def test_a_cold_first_request_is_judged_apart(bench: Any) -> None:
    bench.gateway.spoil = at({1}, change(seconds=110.0))
    report = bench.verify(bench.plan(4))
    assert report.verdict.outcome is Outcome.SUCCESSFUL
    assert report.assets[0].cold


def test_a_first_request_that_is_too_slow_even_for_a_cold_one_is_not_green(bench: Any) -> None:
    bench.gateway.spoil = at({1}, change(seconds=165.0))
    report = bench.verify(bench.plan(4))
    assert report.verdict.outcome is Outcome.INCONCLUSIVE


def test_one_asset_a_little_over_its_p95_budget_among_twelve_is_explained(bench: Any) -> None:
    bench.gateway.spoil = at({7}, change(seconds=50.0))
    report = bench.verify(bench.plan(12))
    assert report.verdict.outcome is Outcome.SUCCESSFUL
    assert any("over their p95 budget" in remark for remark in report.verdict.remarks)


def test_the_verifiers_own_wrong_token_is_an_error_and_not_a_failure(bench: Any) -> None:
    bench.gateway.refuse_token = True
    report = bench.verify()
    assert report.verdict.outcome is Outcome.ERROR
    assert report.total == 1
    assert "SWITCHBACK_GATEWAY_TOKEN" in report.verdict.mitigation


def test_a_wrong_key_at_the_provider_is_the_providers_failure(bench: Any) -> None:
    bench.gateway.spoil = error("AUTH", "RunPod refused the key")
    assert bench.verify().verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("health", "check"),
    [
        ({"version": {"id": "99999999-0000-0000-0000-000000000000"}}, "health.version"),
        ({"provider": "scenario"}, "health.provider"),
        (
            {
                "status": "misconfigured",
                "checks": {"credentials": {"ok": False, "detail": "missing: RUNPOD_API_KEY"}},
            },
            "health.status",
        ),
    ],
)
def test_health_that_stays_wrong_fails_before_anything_is_paid_for(
    bench: Any, health: dict[str, Any], check: str
) -> None:
    bench.gateway.health = health
    report = bench.verify()
    assert report.verdict.outcome is Outcome.FAILED
    assert report.verdict.sentence.startswith(check)
    assert not bench.gateway.jobs
    assert bench.wall.now() == pytest.approx(15.0)


def test_a_host_that_is_not_there_yet_is_waited_for(bench: Any) -> None:
    bench.gateway.health_failures = 10
    report = bench.verify()
    assert report.verdict.outcome is Outcome.SUCCESSFUL
    assert bench.wall.now() == pytest.approx(20.0)
    waits = [event for event in report.events if isinstance(event, Waiting)]
    assert len(waits) == 2  # at 0 and at 10 seconds: the same reason every two seconds is noise


def test_a_host_that_never_answers_is_an_error_because_nothing_was_learnt(bench: Any) -> None:
    bench.gateway.health_failures = 1000
    report = bench.verify()
    assert report.verdict.outcome is Outcome.ERROR
    assert bench.wall.now() == pytest.approx(180.0)


def test_another_version_among_the_answers_is_failed(bench: Any) -> None:
    bench.gateway.on_submit = lambda number: setattr(bench.gateway, "version", "another")
    report = bench.verify()
    assert report.verdict.outcome is Outcome.FAILED
    assert "from version another" in report.verdict.sentence


def test_answers_that_name_no_version_do_not_prove_who_answered(bench: Any) -> None:
    bench.gateway.on_submit = lambda number: setattr(bench.gateway, "version", "")
    report = bench.verify()
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert "without Switchback-Version" in report.verdict.sentence
    assert "env.VERSION.id" in report.verdict.mitigation


def test_an_operation_the_provider_lacks_is_named_and_not_paid_for(bench: Any) -> None:
    bench.gateway.health = {"operations": ["txt2img"]}
    report = bench.verify(bench.plan(2, (Operation.TXT2IMG, Operation.PIPELINE)))
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert "no pipeline" in report.verdict.sentence
    assert len(bench.gateway.jobs) == 1


def test_an_empty_plan_asks_health_alone_and_costs_nothing(bench: Any) -> None:
    report = bench.verify(bench.plan(0))
    assert report.verdict.outcome is Outcome.SUCCESSFUL
    assert [request.method for request in bench.gateway.requests] == ["GET"]


def test_a_plan_above_its_cap_is_refused_before_the_first_cent(bench: Any) -> None:
    report = bench.verify(bench.plan(max_spend_usd=0.01))
    assert report.verdict.outcome is Outcome.ERROR
    assert not bench.gateway.jobs
    assert "maxSpendUsd" in report.verdict.mitigation


def test_a_cap_without_a_known_price_is_said_not_to_count(bench: Any) -> None:
    report = bench.verify(bench.plan(1, max_spend_usd=0.01, price=Price()))
    assert report.verdict.outcome is Outcome.SUCCESSFUL
    assert report.spent_usd is None
    assert "not counted: the price is not known" in {measurement.measured for measurement in report.run}


def test_the_daily_cap_counts_what_earlier_runs_spent(bench: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spending.json")
    first = bench.verify(ledger=ledger)
    assert ledger.spent_today() == pytest.approx(first.spent_usd)
    second = bench.verify(bench.plan(max_spend_usd_per_day=first.plan.estimate_usd), ledger=ledger)
    assert second.verdict.outcome is Outcome.ERROR
    assert len(bench.gateway.jobs) == first.total


@pytest.mark.parametrize("cap", ["max_spend_usd", "max_spend_usd_per_day"])
def test_an_asset_that_could_pass_a_cap_is_not_started(bench: Any, tmp_path: Path, cap: str) -> None:
    """A plan that fits, of assets that take 75 s where their budget is 40: the third could end above the cap."""
    bench.gateway.spoil = change(seconds=75.0, run_ms=75_000.0)
    usd = 4 * 40 * 0.00053
    plan = bench.plan(4, first_request_allowance_seconds=0, **{cap: usd})
    ledger = Ledger(tmp_path / "spending.json")
    report = bench.verify(plan, ledger=ledger)
    assert "could pass the cap" in report.stopped
    assert 0 < report.spent_usd <= usd
    assert ledger.spent_today() == pytest.approx(report.spent_usd)


def test_a_run_that_is_killed_has_its_assets_in_the_ledger(bench: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spending.json")
    bench.gateway.on_submit = lambda number: spent.append(ledger.spent_today())
    spent: list[float] = []
    bench.verify(bench.plan(2), ledger=ledger)
    assert spent == pytest.approx([0, 5 * 0.00053])


def test_spending_is_counted_from_the_providers_own_figures(bench: Any) -> None:
    assert bench.verify().spent_usd == pytest.approx(4 * 5.0 * 0.00053)


def test_cancelling_stops_and_cancels_the_running_job(bench: Any) -> None:
    cancelled = threading.Event()
    bench.gateway.on_submit = lambda number: cancelled.set() if number == 2 else None
    report = bench.verify(cancelled=cancelled)
    assert report.cancelled
    assert report.verdict.outcome is Outcome.ERROR
    assert bench.gateway.cancelled == ["job-2"]
    assert len(bench.gateway.jobs) == 2


def test_ctrl_c_ends_in_a_report_and_cancels_the_running_job(bench: Any) -> None:
    def interrupt(event: Any) -> None:
        bench.events.append(event)
        if type(event).__name__ == "AssetStarted" and event.number == 2:
            raise KeyboardInterrupt

    from provider_client.verification import verify

    target = Target(base_url="http://gateway.test", provider="runpod", version_id=None, token=TOKEN)
    with httpx.Client(transport=httpx.MockTransport(bench.gateway)) as http:
        report = verify(target, bench.plan(), http=http, clock=bench.clock, wall=bench.wall, progress=interrupt)
    assert report.cancelled
    assert report.total == 1


def test_a_version_without_a_host_is_pinned_by_the_override_header(bench: Any) -> None:
    version = "11111111-2222-3333-4444-555555555555"
    target = Target(
        base_url="http://gateway.test",
        provider="runpod",
        version_id=version,
        worker_name="api",
        token=TOKEN,
        override=True,
    )
    report = bench.verify(target=target)
    pinned = [r.headers.get("Cloudflare-Workers-Version-Overrides") for r in bench.gateway.requests]
    assert f'api="{version}"' in pinned
    assert "Cloudflare-Workers-Version-Overrides" in report.assets[0].reproduce


def test_the_token_is_never_sent_to_an_assets_address(bench: Any) -> None:
    bench.verify()
    downloads = [r for r in bench.gateway.requests if r.url.path.startswith("/assets/")]
    assert downloads
    assert not any("authorization" in request.headers for request in downloads)


def test_sixty_four_generations_are_in_flight_at_once(bench: Any) -> None:
    barrier = threading.Barrier(64, timeout=20)
    bench.gateway.on_submit = lambda number: barrier.wait() and None if number > 1 else None
    bench.gateway.clock = bench.clock = SystemClock(speed=20)
    bench.gateway.spoil = change(seconds=0.0)
    report = bench.verify(bench.plan(65, in_flight=64))
    assert report.total == 65
    assert len(bench.gateway.jobs) == 65


def test_every_event_is_one_short_line(bench: Any) -> None:
    bench.verify()
    lines = [describe(event) for event in bench.events]
    assert "txt2img 3/4 ok 8.1 s" in "\n".join(lines)
    assert all(len(line) < 200 and "\n" not in line for line in lines)


def test_reports_are_written_in_all_forms_and_hold_no_secret(bench: Any, tmp_path: Path) -> None:
    bench.gateway.spoil = at({2}, error("MODEL_NOT_FOUND", "<script>alert(1)</script> \x00 & more"))
    files = write_reports(bench.verify(bench.plan(4, ALL)), tmp_path / "report")
    written = [path for path in files.directory.rglob("*") if path.is_file()]
    assert len(written) >= 10
    assert not any(TOKEN.encode() in path.read_bytes() for path in written)
    assert "<script>alert" not in files.html.read_text()
    assert json.loads(files.json.read_text())["schema_version"] == 1
    assert not list(files.directory.rglob(".*"))


def test_each_curl_line_reads_its_own_input_whatever_the_assets_are_called(bench: Any, tmp_path: Path) -> None:
    plan = bench.plan(2, (Operation.IMG2IMG,))
    names = ("щит", "меч")
    named = tuple(asset.model_copy(update={"name": n}) for asset, n in zip(plan.assets, names, strict=True))
    report = bench.verify(plan.model_copy(update={"assets": named}))
    files = write_reports(report, tmp_path)
    for asset in report.assets:
        inputs = [path for path in files.directory.glob("inputs/*") if f"inputs/{path.name} " in asset.reproduce]
        assert [path.read_bytes() for path in inputs] == [asset.source]


def test_a_worker_that_says_it_offers_nothing_is_judged_by_its_health(bench: Any) -> None:
    """A Worker of the user's own: nothing is paid; were it silent about its operations, it would be put to the test."""
    bench.gateway.health = {"operations": []}
    report = bench.verify(bench.plan(4))
    assert report.verdict.outcome is Outcome.SUCCESSFUL, report.verdict
    assert "nothing was generated" in report.verdict.sentence
    assert {request.url.path for request in bench.gateway.requests} == {"/health"}


def test_every_paid_request_says_that_it_is_a_verification(bench: Any) -> None:
    """So that the gateway stores the picture where it is deleted after some days."""
    bench.verify(bench.plan(2))
    paid = [request for request in bench.gateway.requests if request.method == "POST"]
    assert len(paid) == 2
    assert {request.headers["Switchback-Purpose"] for request in paid} == {"verification"}
