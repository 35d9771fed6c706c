"""One sentence that says whether the wanted provider pays. Pure."""

from __future__ import annotations

import math

from provider_client.costs import ProviderCost, Range, Saving, Usage, dollars, money


def cost_sentence(
    wanted: ProviderCost, baseline: ProviderCost, usage: Usage, found: Saving | None, break_even: Range | None
) -> str:
    """`baseline` is Scenario; `found` and `break_even` compare with it, None where nothing can be said."""
    name = _shown(wanted.provider)
    if wanted.per_image is None:
        return f"What {name} costs is not known here: {'; '.join(wanted.unknown)}."
    if wanted.provider == baseline.provider:
        day = f", {money(wanted.per_day)} a day for {usage.images_per_day:,.0f} images" if wanted.per_day else ""
        return f"{name} costs {money(wanted.per_image)} an image{day}."
    if wanted.per_day is not None:
        return _of_a_day(name, wanted.per_day, baseline, usage, found)
    work = f"{money(wanted.per_image)} of GPU time an image"
    if wanted.live_workers_per_day:
        standing = (
            f"{name} costs {dollars(wanted.live_workers_per_day)} a day before the first image, and {work} at most"
        )
        return f"{standing}{_from_when(baseline, break_even)}."
    per_burst = _per_burst(wanted)
    compared = f", {percent(found.share)} than Scenario's {_price(baseline)}" if found else NO_BASELINE
    return f"{name} costs {work}{compared}{per_burst}."


NO_BASELINE = "; what is saved is not known without scenario.costPerImageUsd"


def _of_a_day(name: str, day: Range, baseline: ProviderCost, usage: Usage, found: Saving | None) -> str:
    said = f"For {usage.images_per_day:,.0f} images a day {name} costs {money(day)}"
    if found is None or baseline.per_day is None:
        return f"{said}{NO_BASELINE}."
    return f"{said} and Scenario {money(baseline.per_day)}: {percent(found.share)}."


def _from_when(baseline: ProviderCost, break_even: Range | None) -> str:
    if break_even is None or baseline.per_image is None:
        return NO_BASELINE
    worst = (
        f"{break_even.high:,.0f} in the worst case"
        if math.isfinite(break_even.high)
        else "never in the worst case"
    )
    return f"; against Scenario's {_price(baseline)} that pays from {break_even.low:,.0f} images a day ({worst})"


def _per_burst(cost: ProviderCost) -> str:
    if cost.cold_start is None:
        return ""
    idle = cost.idle_per_burst or 0.0
    burst = Range(cost.cold_start.low + idle, cost.cold_start.high + idle)
    return f", plus {money(burst)} for each burst that starts cold"


def _price(baseline: ProviderCost) -> str:
    return f"{money(baseline.per_image)} an image" if baseline.per_image else "unknown price"


def percent(share: Range) -> str:
    """58 to 79 % less; from 34 % more to 8 % less."""
    worst, best = round(share.low * 100), round(share.high * 100)
    if worst >= 0 and best >= 0:
        return f"{worst} to {best} % less" if worst != best else f"{best} % less"
    if worst <= 0 and best <= 0:
        return f"{-best:,} to {-worst:,} % more" if worst != best else f"{-best:,} % more"
    return f"from {-worst:,} % more to {best} % less"


def _shown(provider: str) -> str:
    return {"runpod": "RunPod", "comfyui": "ComfyUI", "scenario": "Scenario"}.get(provider, provider)
