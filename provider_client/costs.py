"""What a provider costs: its workers while nothing happens, a cold start, an image, a day. Pure.

Billing rules: docs.runpod.io serverless/pricing, 2026-06 (per second from a worker's start to its full stop: start,
work, idle time-out; the download of the image is not billed). What nobody says is None here, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provider_client.config.keys import RunPod
from provider_client.gpu_catalog import SECONDS_PER_DAY, GpuCatalog, Price

DEFAULT_WORKER_QUOTA = 5  # over all endpoints; more with a higher balance (RunPod's docs, 2026-06)
DEFAULT_SPEND_LIMIT_USD_PER_HOUR = 80.0  # per account, RunPod's docs, 2026-06


@dataclass(frozen=True)
class Range:
    """From the best to the worst case; both the same where the figure is exact."""

    low: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)


COLD_START_SECONDS = Range(30, 120)  # the rollout plan's; no official figure exists
PLAN_SECONDS_PER_IMAGE = Range(20, 40)  # the rollout plan's p95 of txt2img with an L40
PLAN_L40_USD_PER_DAY = Range(16, 28)  # what the rollout plan took for one L40 always on: the price of a 24 GB GPU


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The part of a RunPod endpoint that costs money. `idle_timeout_seconds` None: RunPod's scaling has none."""

    workers_min: int
    standby_workers_min: int
    workers_max: int
    idle_timeout_seconds: int | None
    gpu_types: tuple[str, ...]
    gpu_count: int

    @classmethod
    def declared(cls, runpod: RunPod) -> Endpoint:
        counts_requests = runpod.scaling.type == "REQUEST_COUNT"
        return cls(
            workers_min=runpod.workers_min,
            standby_workers_min=runpod.standby_workers_min,
            workers_max=runpod.workers_max,
            idle_timeout_seconds=None if counts_requests else runpod.idle_timeout_seconds,
            gpu_types=runpod.gpu_types,
            gpu_count=runpod.gpu_count,
        )

    @classmethod
    def observed(cls, settings: Mapping[str, Any]) -> Endpoint:
        """From a live endpoint's settings: one that the stack only uses keeps its workers all the time."""
        return cls(
            workers_min=settings["workersMin"],
            standby_workers_min=settings["workersMin"],
            workers_max=settings["workersMax"],
            idle_timeout_seconds=settings.get("idleTimeoutSeconds"),
            gpu_types=tuple(settings["gpuTypes"]),
            gpu_count=settings["gpuCount"],
        )


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much is asked for. `seconds_source` says who knows the seconds; None is not known."""

    images_per_day: float | None = None
    bursts_per_day: float | None = None
    seconds_per_image: Range = PLAN_SECONDS_PER_IMAGE
    seconds_source: str = "the rollout plan's p95 of txt2img on an L40"


@dataclass(frozen=True, kw_only=True)
class ProviderCost:
    """US$. `per_image` is the work alone, `per_day` all together for a usage; None with its reason in `unknown`."""

    provider: str
    source: str
    live_workers_per_day: float | None = None
    standby_workers_per_day: float | None = None
    idle_per_burst: float | None = None
    idle_per_day: float | None = None
    cold_start: Range | None = None
    per_image: Range | None = None
    per_day: Range | None = None
    unknown: tuple[str, ...] = ()


def runpod_cost(endpoint: Endpoint, price: Price | None, usage: Usage) -> ProviderCost:
    """RunPod bills seconds of workers. At least one image a burst, and one worker a burst, are assumed."""
    if price is None:
        why = f"RunPod's catalog has no price for {', '.join(endpoint.gpu_types) or 'this endpoint'}"
        return ProviderCost(provider="runpod", source="", unknown=(why,))
    rate, idle_seconds = price.per_second_usd, endpoint.idle_timeout_seconds
    idle = None if idle_seconds is None else rate * idle_seconds
    bursts = usage.bursts_per_day
    unknown = []
    if idle is None:
        unknown.append("idle time after a burst: REQUEST_COUNT scaling has no idle time-out of ours")
    elif bursts is None:
        unknown.append("idle time per day: say --bursts-per-day")
    if usage.images_per_day is None:
        unknown.append("cost of a day with its images: say --images-per-day")
    return ProviderCost(
        provider="runpod",
        source=f"{price.source}: ${rate:.5f} a second",
        live_workers_per_day=price.per_day_usd * endpoint.workers_min,
        standby_workers_per_day=price.per_day_usd * endpoint.standby_workers_min,
        idle_per_burst=idle,
        idle_per_day=None if idle is None or bursts is None else idle * bursts,
        cold_start=COLD_START_SECONDS.times(rate),
        per_image=usage.seconds_per_image.times(rate),
        per_day=_runpod_day(endpoint, price, usage),
        unknown=tuple(unknown),
    )


def _runpod_day(endpoint: Endpoint, price: Price, usage: Usage) -> Range | None:
    """Best case: the always-on workers do all they can. Worst: they do nothing, others start for each burst."""
    images = usage.images_per_day
    if images is None:
        return None
    rate = price.per_second_usd
    always_on = price.per_day_usd * endpoint.workers_min
    work = usage.seconds_per_image.times(images)
    capacity = SECONDS_PER_DAY * endpoint.workers_min
    if usage.bursts_per_day is not None:
        bursts = Range(usage.bursts_per_day, usage.bursts_per_day)
    else:  # all images in one burst, or each alone; always-on workers take those that come alone
        bursts = Range(min(1, images), 0 if endpoint.workers_min else images)
    overhead = Range(COLD_START_SECONDS.low, COLD_START_SECONDS.high)
    idle = endpoint.idle_timeout_seconds or 0
    low = max(0.0, work.low - capacity) * rate
    if not endpoint.workers_min:
        low += bursts.low * (overhead.low + idle) * rate
    high = (work.high + bursts.high * (overhead.high + idle)) * rate
    return Range(always_on + low, always_on + high)


def scenario_cost(usd_per_image: float | None, usage: Usage) -> ProviderCost:
    """The configured price of an image is taken for all that Scenario costs."""
    if usd_per_image is None:
        why = "price of an image: pulumi config set --path scenario.costPerImageUsd <usd>"
        return ProviderCost(provider="scenario", source="scenario.costPerImageUsd, not set", unknown=(why,))
    exact = Range(usd_per_image, usd_per_image)
    return ProviderCost(
        provider="scenario",
        source="scenario.costPerImageUsd, taken for all that Scenario costs",
        live_workers_per_day=0.0,
        standby_workers_per_day=0.0,
        idle_per_burst=0.0,
        idle_per_day=0.0,
        cold_start=Range(0, 0),
        per_image=exact,
        per_day=None if usage.images_per_day is None else exact.times(usage.images_per_day),
        unknown=() if usage.images_per_day else ("cost of a day with its images: say --images-per-day",),
    )


def unknown_cost(provider: str, why: str) -> ProviderCost:
    return ProviderCost(provider=provider, source="", unknown=(why,))


@dataclass(frozen=True)
class Saving:
    """Share of the baseline's cost that is saved, worst to best; negative is dearer. `basis`: what is compared."""

    share: Range
    basis: str


def saving(cost: ProviderCost, baseline: ProviderCost) -> Saving | None:
    """Of a day where both are known, else of an image's work alone."""
    for basis in ("per_day", "per_image"):
        ours, theirs = getattr(cost, basis), getattr(baseline, basis)
        if ours is not None and theirs is not None and theirs.low > 0:
            return Saving(Range(1 - ours.high / theirs.low, 1 - ours.low / theirs.high), basis)
    return None


def break_even_images(cost: ProviderCost, usd_per_image: float) -> Range | None:
    """Images a day from which always-on workers are cheaper; `high` is infinite where they may never be."""
    if not cost.live_workers_per_day or cost.per_image is None or usd_per_image <= 0:
        return None
    left = usd_per_image - cost.per_image.high
    worst = cost.live_workers_per_day / left if left > 0 else float("inf")
    return Range(cost.live_workers_per_day / usd_per_image, worst)


def limit_warnings(workers_max: int, others_max: int | None, price: Price | None) -> list[str]:
    """What the account may refuse, from documented defaults; its own limits may be higher, RunPod tells neither.

    `others_max` is the sum of workersMax over the account's other endpoints, None where it is not known.
    """
    found = []
    total = (others_max or 0) + workers_max
    if total > DEFAULT_WORKER_QUOTA:
        whose = "this endpoint alone" if others_max is None else "all endpoints together"
        found.append(
            f"{whose} may run {total} workers; RunPod's quota is {DEFAULT_WORKER_QUOTA} "
            "unless your balance raised it, and it refuses what is above"
        )
    hourly = price.per_second_usd * 3600 * workers_max if price else 0.0
    if hourly > DEFAULT_SPEND_LIMIT_USD_PER_HOUR:
        found.append(
            f"all workers of this endpoint together cost ${hourly:.2f} an hour; "
            f"RunPod's limit is ${DEFAULT_SPEND_LIMIT_USD_PER_HOUR:.0f} an hour unless it was raised"
        )
    return found


def plan_correction(gpu_types: Sequence[str], price: Price | None, catalog: GpuCatalog) -> str | None:
    """The true figure where the plan's is wrong: an L40 does not cost what a 24 GB GPU does."""
    plan = PLAN_L40_USD_PER_DAY
    if "NVIDIA L40" not in gpu_types or price is None or plan.low <= price.per_day_usd <= plan.high:
        return None
    days = {gpu.pool: gpu.price_per_second * SECONDS_PER_DAY for gpu in catalog.gpus if gpu.price_per_second}
    fitting = [f"{pool} ${usd:.2f}" for pool, usd in days.items() if plan.low <= usd <= plan.high]
    instead = f" ({plan.low:.0f}-{plan.high:.0f} $ buys {', '.join(fitting)})" if fitting else ""
    return (
        f"the plan's {plan.low:.0f}-{plan.high:.0f} $ a day for one L40 always on is wrong: "
        f"it is ${price.per_day_usd:.2f}, {price.source}{instead}"
    )


def preview_sentence(endpoint: Endpoint, price: Price | None, *, needed: bool) -> str:
    """One line for `pulumi preview`. `needed`: RunPod is live or candidate, so that workersMin applies."""
    if price is None:
        return "cost not known: RunPod's catalog has no price for this GPU"
    workers = endpoint.workers_min if needed else endpoint.standby_workers_min
    standing = f"{workers} worker{'s' if workers > 1 else ''} always on: {dollars(price.per_day_usd * workers)}"
    parts = [standing if workers else "no worker always on: $0.00"]
    if endpoint.idle_timeout_seconds is not None:
        parts.append(f"idle after a burst: {dollars(price.per_second_usd * endpoint.idle_timeout_seconds)}")
    parts.append(f"a cold start: {money(COLD_START_SECONDS.times(price.per_second_usd))}")
    parts[0] += " a day"
    return f"{'; '.join(parts)}; a working worker: ${price.per_second_usd:.5f} a second ({price.source})"


def dollars(usd: float) -> str:
    """$45.79; below a dollar with the digits that matter, $0.0159."""
    if usd >= 1:
        return f"${usd:,.2f}"
    cents, rest = f"{usd:.4f}"[:-2], f"{usd:.4f}"[-2:].rstrip("0")
    return f"${cents}{rest}"


def money(usd: Range) -> str:
    low, high = dollars(usd.low), dollars(usd.high)
    return low if low == high else f"{low} to {high}"
