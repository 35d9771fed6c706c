"""What RunPod's idle workers still cost after the traffic left them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from provider_client.config.keys import RunPod
from provider_client.costs import Endpoint, Usage, dollars, runpod_cost
from provider_client.gpu_catalog import packaged_catalog


def idle_cost(leaving: str, stack_config: Mapping[str, Any]) -> str:
    """One sentence, or "" when nothing is kept warm or nobody knows. `stack_config`: the stack's plain values."""
    if leaving != "runpod" or "runpod" not in stack_config:
        return ""
    try:
        runpod = RunPod.model_validate(stack_config["runpod"])
    except ValidationError:
        return ""
    if runpod.mode == "existing" or runpod.workers_min <= runpod.standby_workers_min:
        return ""
    price = packaged_catalog().price(runpod.gpu_types, runpod.gpu_count)
    a_day = runpod_cost(Endpoint.declared(runpod), price, Usage()).live_workers_per_day
    each = f"{dollars(a_day)} a day ({price.source})" if price and a_day else "a price unknown here"
    workers = "1 worker" if runpod.workers_min == 1 else f"{runpod.workers_min} workers"
    return (
        f"RunPod still keeps {workers} warm for {each}; "
        f"`switchback reconcile` lowers that to {runpod.standby_workers_min}."
    )
