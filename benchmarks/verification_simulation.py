"""How often is the verdict wrong? Plays verifications of providers whose true error rate is known.

    python -m benchmarks.verification_simulation [runs per cell]

The judge and the early stop are the product's own; only the provider is a coin. Every failure counts as sporadic
(the hardest case: a missing model or a wrong size fails every time and is caught by the first three assets).
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from provider_client.models import Operation
from provider_client.verification.judging import Sample, judge, reason_to_stop
from provider_client.verification.measurement import Measurement, Outcome

RATES = (0.0, 0.01, 0.05, 0.10, 0.20, 0.50)
SIZES = (4, 12, 30)
HEALTHY = Measurement(check="health", outcome=Outcome.SUCCESSFUL, measured="ok")
BROKEN = Measurement(check="generates", outcome=Outcome.FAILED, measured="UNAVAILABLE", kind="UNAVAILABLE")


@dataclass(frozen=True)
class Cell:
    """Shares of verdicts for one plan size and one true error rate, and the assets paid for on average."""

    planned: int
    rate: float
    shares: dict[Outcome, float]
    mean_assets: float


def play(planned: int, rate: float, dice: random.Random) -> tuple[Outcome, int]:
    """One verification: its outcome, and how many assets were paid for."""
    samples: list[Sample] = []
    stopped = ""
    while len(samples) < planned and not stopped:
        failure = BROKEN if dice.random() < rate else None
        samples.append(Sample(name="asset", operation=Operation.TXT2IMG, failure=failure, seconds=8.0))
        stopped = reason_to_stop(samples)
    return judge([HEALTHY], samples, planned=planned, stopped=stopped).outcome, len(samples)


def simulate(runs: int, seed: int = 20261123) -> Iterator[Cell]:
    dice = random.Random(seed)
    for planned in SIZES:
        for rate in RATES:
            played = [play(planned, rate, dice) for _ in range(runs)]
            counts = Counter(outcome for outcome, _ in played)
            shares = {outcome: counts[outcome] / runs for outcome in Outcome}
            yield Cell(planned, rate, shares, sum(assets for _, assets in played) / runs)


def table(cells: Iterator[Cell]) -> str:
    """The cells as Markdown."""
    lines = [
        "| assets planned | true error rate | SUCCESSFUL | INCONCLUSIVE | FAILED | assets paid, mean |",
        "|---|---|---|---|---|---|",
    ]
    for cell in cells:
        shares = (cell.shares[o] for o in (Outcome.SUCCESSFUL, Outcome.INCONCLUSIVE, Outcome.FAILED))
        columns = " | ".join(f"{share:.1%}" for share in shares)
        lines.append(f"| {cell.planned} | {cell.rate:.0%} | {columns} | {cell.mean_assets:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(simulate(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)))
