"""One measured number, with the bar that it is held against by a reader."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    what: str
    measured: str
    bar: str = ""


def seconds(values: Sequence[float]) -> str:
    """The median, and the range where there are several."""
    if len(values) == 1:
        return f"{values[0]:.2f} s"
    return f"{statistics.median(values):.2f} s [{min(values):.2f}-{max(values):.2f}]"
