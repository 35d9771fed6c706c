"""Never cry wolf: how many verifications of a healthy provider on the emulator are SUCCESSFUL?

    python -m benchmarks.healthy_runs [runs per provider] [speed] [provider ...]

The real Worker on workerd, all four operations, four assets per run. Prints the count, and the time of a run against
the sum of its generation times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence

from emulator.supervisor import running
from provider_client.clock import SystemClock
from provider_client.http import open_client
from provider_client.models import Operation
from provider_client.verification import Outcome, Report, Target, default_plan, verify

# the Worker's tests know how to deploy it
from tests.worker.worker_harness import TOKEN, Cloud, Gateway

PROVIDERS = ("scenario", "comfyui", "runpod")


def healthy_run(gateway: Gateway, provider: str, speed: float) -> tuple[Report, float]:
    """One verification, and its wall time over the wall time that its generations alone take."""
    plan = default_plan(stage="live", provider=provider, assets=4, operations=tuple(Operation))
    small = tuple(asset.model_copy(update={"width": 512, "height": 512}) for asset in plan.assets)
    target = Target(base_url=gateway.url, provider=provider, version_id=gateway.version_id, token=TOKEN)
    report = verify(
        target,
        plan.model_copy(update={"assets": small}),
        http=gateway.http,
        clock=SystemClock(speed),
        wall=SystemClock(),
        progress=lambda _: None,
    )
    generating = sum(asset.seconds or 0.0 for asset in report.assets) / speed / plan.in_flight
    return report, report.wall_seconds / generating


def main(runs: int, speed: float, providers: Sequence[str] = PROVIDERS) -> None:
    with running(speed=speed) as emulator, open_client() as http:
        cloud = Cloud(emulator, http)
        for provider in providers:
            gateway, began = cloud.deploy(provider), time.monotonic()
            played = [healthy_run(gateway, provider, speed) for _ in range(runs)]
            outcomes = Counter(report.verdict.outcome for report, _ in played)
            ratio = statistics.median(ratio for _, ratio in played)
            good = outcomes[Outcome.SUCCESSFUL]
            print(
                f"{provider}: {good} of {runs} SUCCESSFUL, {time.monotonic() - began:.0f} s, overhead x{ratio:.2f}"
            )
            for report, _ in played:
                if report.verdict.outcome is not Outcome.SUCCESSFUL:
                    print(f"  {report.verdict.outcome}: {report.verdict.sentence}")


if __name__ == "__main__":
    runs, speed, *chosen = [*sys.argv[1:], *("20", "50")[len(sys.argv) - 1 :]]
    main(int(runs), float(speed), chosen or PROVIDERS)
