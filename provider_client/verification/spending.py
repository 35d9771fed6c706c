"""What a verification costs: estimated before, capped, counted after, remembered per day."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from provider_client.files import write_atomically
from provider_client.gpu_catalog import DEFAULT_TYPES, packaged_catalog
from provider_client.models import Timings


class Price(BaseModel):
    """US dollars per asset, or per second of the provider's time; both None means that the price is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    per_asset_usd: float | None = Field(default=None, ge=0)
    per_second_usd: float | None = Field(default=None, ge=0)

    def of(self, seconds: float) -> float | None:
        """What one asset costs that takes `seconds`."""
        if self.per_asset_usd is not None:
            return self.per_asset_usd
        return None if self.per_second_usd is None else self.per_second_usd * seconds


def price_of(
    provider: str,
    *,
    scenario_usd_per_image: float | None = None,
    gpu_types: Sequence[str] = DEFAULT_TYPES,
    gpu_count: int = 1,
) -> Price:
    """List prices. A ComfyUI of one's own bills by other means; Scenario's price depends on the plan bought."""
    if provider == "runpod":
        worker = packaged_catalog().price(gpu_types, gpu_count)
        return Price(per_second_usd=worker.per_second_usd if worker else None)
    if provider == "comfyui":
        return Price(per_asset_usd=0.0)
    return Price(per_asset_usd=scenario_usd_per_image)


def cost_of(price: Price, timings: Timings, seconds: float) -> float | None:
    """The cost of one asset: from the provider's own run time where it says so, else from ours."""
    return price.of(timings.run_ms / 1000 if timings.run_ms is not None else seconds)


class Ledger:
    """Dollars spent on verification per UTC day, in one small file that every run of a project shares."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def spent_today(self, today: str | None = None) -> float:
        return self._read().get(today or _today(), 0.0)

    def add(self, usd: float, today: str | None = None) -> None:
        """Safe beside other runs, in threads (`pulumi up` verifies two providers at once) and in processes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            days = self._read()
            day = today or _today()
            days[day] = round(days.get(day, 0.0) + usd, 6)
            write_atomically(self._path, json.dumps(dict(sorted(days.items())[-90:]), indent=2) + "\n")

    def _read(self) -> dict[str, float]:
        try:
            days = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(day): float(usd) for day, usd in days.items() if float(usd) >= 0}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
