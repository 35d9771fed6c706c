"""Verification inside a team's own tests, as a pytest plugin.

    def test_the_new_provider_makes_our_icons(switchback_verify):
        report = switchback_verify(assets=4, operations=["txt2img", "pipeline"])
        assert report.passed == report.total

`pytest --switchback-url https://… --switchback-provider runpod`, or SWITCHBACK_URL and IMAGE_GENERATION_PROVIDER;
the token comes from SWITCHBACK_GATEWAY_TOKEN alone, so that it is in no process list. Without a URL the
test is skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from provider_client.clock import SystemClock, provider_clock
from provider_client.http import open_client
from provider_client.models import Operation
from provider_client.verification import Outcome, Report, Target, default_plan, load_plan, verify, write_reports

Verify = Callable[..., Report]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("switchback", "verification of an image-generation gateway")
    group.addoption("--switchback-url", help="address of the gateway (default: SWITCHBACK_URL)")
    group.addoption("--switchback-provider", help="who must answer (default: IMAGE_GENERATION_PROVIDER)")
    group.addoption("--switchback-version", help="the version that must answer")
    group.addoption("--switchback-report", help="directory for the reports")


@pytest.fixture(scope="session")
def switchback_http() -> Iterator[httpx.Client]:
    """The client that the verification uses; override it to bring another transport."""
    with open_client() as http:
        yield http


@pytest.fixture
def switchback_verify(request: pytest.FixtureRequest, switchback_http: httpx.Client) -> Verify:
    """Verifies the gateway and fails the test, with every failing check, unless the verdict is SUCCESSFUL."""
    target, directory = _target(request.config), request.config.getoption("--switchback-report")

    def run(
        *,
        assets: int = 4,
        operations: Sequence[str] = (Operation.TXT2IMG,),
        plan: Path | None = None,
        max_spend_usd: float | None = None,
        expect: Outcome | None = Outcome.SUCCESSFUL,
    ) -> Report:
        usual = default_plan(
            stage="live",
            provider=target.provider,
            assets=assets,
            operations=[Operation(operation) for operation in operations],
            max_spend_usd=max_spend_usd,
        )
        wanted = load_plan(plan, defaults=usual) if plan else usual
        report = verify(
            target,
            wanted,
            http=switchback_http,
            clock=provider_clock(),
            wall=SystemClock(),
            progress=lambda _: None,
        )
        if directory:
            write_reports(report, Path(directory) / re.sub(r"[^\w.-]", "-", request.node.name))
        if report.cancelled:
            raise KeyboardInterrupt  # the run has cancelled its jobs; now the session ends, as Ctrl-C asked
        if expect is not None and report.verdict.outcome is not expect:
            pytest.fail(explain(report), pytrace=False)
        return report

    return run


def explain(report: Report) -> str:
    """The verdict and every failing check with what helps and how to repeat it."""
    verdict = report.verdict
    lines = [f"{verdict.outcome}: {verdict.sentence}", *filter(None, [verdict.mitigation, verdict.next_step])]
    for asset in report.assets:
        lines += [f"  {asset.planned.name}: {problem.sentence}" for problem in asset.problems]
        lines += [f"    {asset.reproduce}"] if asset.problems else []
    return "\n".join(lines)


def _target(config: pytest.Config) -> Target:
    url = config.getoption("--switchback-url") or os.environ.get("SWITCHBACK_URL")
    provider = config.getoption("--switchback-provider") or os.environ.get("IMAGE_GENERATION_PROVIDER")
    if not url:
        pytest.skip("no gateway to verify: give --switchback-url or SWITCHBACK_URL")
    if not provider:
        pytest.fail("say who must answer: --switchback-provider or IMAGE_GENERATION_PROVIDER", pytrace=False)
    token = os.environ.get("SWITCHBACK_GATEWAY_TOKEN", "")
    return Target(
        base_url=url, provider=provider, version_id=config.getoption("--switchback-version"), token=token
    )
