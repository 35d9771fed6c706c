"""Whole runs against a gateway that serves real pictures: each fault with its outcome, check and kind."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from provider_client.clock import SystemClock
from provider_client.models import Operation
from provider_client.verification import Outcome, Price, Target, describe, write_reports
from provider_client.verification.spending import Ledger

Spoil = Callable[[Any], None]
ALL = tuple(Operation)
TOKEN = "dummy-gateway-token-planted-to-be-searched-for"


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def error(kind: str, message: str = "the provider said so") -> Spoil:
    def spoil(served: Any) -> None:
        served.status = "failed"
        served.error = {"kind": kind, "message": message, "mitigation": f"mend {kind}"}

    return spoil


def change(**fields: Any) -> Spoil:
    def spoil(served: Any) -> None:
        for name, value in fields.items():
            setattr(served, name, value)

    return spoil


def picture(image: Image.Image) -> Spoil:
    return change(content=png(image))


def at(numbers: set[int], spoil: Spoil) -> Spoil:
    return lambda served: spoil(served) if served.number in numbers else None


def truncated(served: Any) -> None:
    served.content = served.content[: len(served.content) // 2]


def tail_lost(served: Any) -> None:
    served.content = served.content[:-20]


def stored_differs(served: Any) -> None:
    served.stored = png(Image.new("RGB", (64, 64), "red"))


def jpeg(served: Any) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(served.content)).convert("RGB").save(buffer, "JPEG")
    served.content = buffer.getvalue()
    served.content_type = served.stored_content_type = "image/jpeg"


def opaque(served: Any) -> None:
    served.content = png(Image.open(io.BytesIO(served.content)).convert("RGB").convert("RGBA"))


def random_pixels(served: Any) -> None:
    import random

    served.content = png(Image.frombytes("RGB", (64, 64), random.Random(served.number).randbytes(3 * 64 * 64)))


def unrelated(served: Any) -> None:
    gradient = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    served.content = png(gradient.rotate(90 if served.number % 2 else 270))


def test_a_good_provider_is_successful_over_all_operations(bench: Any) -> None:
    report = bench.verify(bench.plan(12, ALL))
    assert report.verdict.outcome is Outcome.SUCCESSFUL, report.verdict
    assert report.passed == report.total == 12
    assert "over 12 samples" in report.verdict.sentence
    assert any("p95: not claimed" in claim for claim in report.verdict.claims)


AN_HOUR_OLD = {"date": "Mon, 23 Nov 2026 10:00:00 GMT", "last-modified": "Mon, 23 Nov 2026 09:00:00 GMT"}

FAULTS: list[tuple[str, Spoil, Outcome, str]] = [
    ("model_not_found", error("MODEL_NOT_FOUND"), Outcome.FAILED, "generates"),
    ("out_of_memory", error("OUT_OF_MEMORY"), Outcome.FAILED, "generates"),
    ("completed_without_image", change(content=b""), Outcome.FAILED, "generates"),
    ("blank", picture(Image.new("RGB", (64, 64), "white")), Outcome.FAILED, "not blank"),
    ("noise", random_pixels, Outcome.FAILED, "not noise"),
    ("wrong_size", picture(Image.linear_gradient("L").resize((32, 64)).convert("RGB")), Outcome.FAILED, "size"),
    ("truncated", truncated, Outcome.FAILED, "decodes"),
    ("tail_lost", tail_lost, Outcome.FAILED, "decodes"),
    ("wrong_content_type", change(stored_content_type="application/octet-stream"), Outcome.FAILED, "content type"),
    (
        "stated_type_is_not_the_format",
        change(content_type="image/webp", stored_content_type="image/webp"),
        Outcome.FAILED,
        "format",
    ),
    ("stored_object_differs", stored_differs, Outcome.FAILED, "bytes"),
    ("url_gone_later", change(gone_after=1), Outcome.FAILED, "url stays"),
    ("url_never_resolves", change(gone_after=0), Outcome.FAILED, "url"),
    ("another_provider", change(provider="scenario"), Outcome.FAILED, "made by"),
    ("100_s_too_slow", change(seconds=140.0), Outcome.FAILED, "time"),
    ("never_ready", change(seconds=1e9), Outcome.FAILED, "generates"),
    ("stored_long_before_it_was_asked_for", change(stored_headers=AN_HOUR_OLD), Outcome.FAILED, "fresh"),
    ("jpeg_where_comfyui_writes_png", jpeg, Outcome.FAILED, "format"),
    ("stated_size_wrong", change(stated_size=(1, 1)), Outcome.FAILED, "stated size"),
]


@pytest.mark.parametrize(("spoil", "outcome", "check"), [pytest.param(*f[1:], id=f[0]) for f in FAULTS])
def test_a_fault_in_every_asset_is_failed_and_named(
    bench: Any, spoil: Spoil, outcome: Outcome, check: str
) -> None:
    bench.gateway.spoil = spoil
    report = bench.verify()
    assert report.verdict.outcome is outcome, report.verdict
    problems = {problem.check for asset in report.assets for problem in asset.problems}
    assert check in problems, problems
    assert all(
        TOKEN not in asset.reproduce and "$SWITCHBACK_GATEWAY_TOKEN" in asset.reproduce for asset in report.assets
    )


@pytest.mark.parametrize("operation", [Operation.REMOVE_BACKGROUND, Operation.PIPELINE])
def test_an_opaque_alpha_channel_is_no_transparency(bench: Any, operation: Operation) -> None:
    bench.gateway.spoil = opaque
    report = bench.verify(bench.plan(2, (operation,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "opaque" in report.verdict.sentence


def test_img2img_that_ignores_its_input_is_failed(bench: Any) -> None:
    bench.gateway.spoil = unrelated
    report = bench.verify(bench.plan(2, (Operation.IMG2IMG,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "related to input" in report.verdict.sentence


def test_img2img_that_returns_its_input_is_failed(bench: Any) -> None:
    import base64

    def unchanged(served: Any) -> None:
        served.content = base64.b64decode(served.request["image"]["base64"])

    bench.gateway.spoil = unchanged
    report = bench.verify(bench.plan(2, (Operation.IMG2IMG,)))
    assert report.verdict.outcome is Outcome.FAILED
    assert "changed from input" in report.verdict.sentence


def test_the_same_bytes_for_other_seeds_are_an_old_picture_from_a_cache(bench: Any) -> None:
    bench.gateway.spoil = picture(Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
    report = bench.verify()
    assert report.verdict.outcome is Outcome.FAILED
    assert "cache" in report.verdict.sentence
    assert report.total == 3, "the first of the twins counts as well, so that three are enough"


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
