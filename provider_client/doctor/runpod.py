"""RunPod's account: the management key, the endpoint's name, GPU types and their stock, workers, money an hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider_client.config.keys import RunPod
from provider_client.costs import limit_warnings
from provider_client.doctor.findings import Finding, not_checked, ok, problem, problem_from, warning
from provider_client.doctor.subject import Subject
from provider_client.errors import AuthError, ExitCode, SwitchbackError
from provider_client.gpu_catalog import UnknownGpuType
from provider_client.runpod_settings import MARKER

SET_KEY = "pulumi config set --secret runpodManagementApiKey <key>"
GPU_FIX = "pulumi config set --path 'runpod.gpuTypes[0]' '<GPU type>'"


def check_account(subject: Subject) -> Iterator[Finding]:
    """The management key reads; then what its account leaves for this stack's endpoint."""
    runpod = subject.config.runpod if subject.config else None
    missing = _missing("runpod", subject, runpod)
    if missing or runpod is None or subject.config is None:
        yield missing or not_checked("runpod", "no runpod section: RunPod is not deployed")
        return
    try:
        endpoints = subject.runpod().endpoints()
    except SwitchbackError as error:
        yield problem_from("runpod", error, SET_KEY if isinstance(error, AuthError) else "")
        return
    yield ok("runpod", f"the management key may read endpoints ({len(endpoints)} there)")
    name = subject.config.resolved_worker_name
    own = [one for one in endpoints if _is_meant(one, runpod, name)]
    yield from _endpoint(subject, runpod, name, own)
    if runpod.mode == "managed":
        others = sum(int((one.get("workers") or {}).get("max") or 0) for one in endpoints if one not in own)
        price = subject.runpod().gpu_catalog().price(runpod.gpu_types, runpod.gpu_count)
        for said in limit_warnings(runpod.workers_max, others, price):
            yield warning(
                "runpod", said, "pulumi config set --path runpod.workersMax <fewer>, or ask RunPod for more"
            )


def _is_meant(endpoint: Mapping[str, Any], runpod: RunPod, name: str) -> bool:
    if runpod.mode == "existing":
        return bool(endpoint.get("id") == runpod.endpoint_id)
    return bool(endpoint.get("name") == name)


def _endpoint(subject: Subject, runpod: RunPod, name: str, own: list[dict[str, Any]]) -> Iterator[Finding]:
    if runpod.mode == "existing":
        if own:
            yield ok("runpod", f"endpoint {runpod.endpoint_id} exists")
        else:
            what = f"there is no endpoint {runpod.endpoint_id} in this account"
            yield problem("runpod", what, "pulumi config set --path runpod.endpointId <id>")
        return
    if not own:
        yield ok("runpod", f"the endpoint's name {name} is free")
        return
    owned_id = subject.owned.endpoint_id if subject.owned else None
    if any(one.get("id") == owned_id for one in own):
        yield ok("runpod", f"the endpoint {name} is this stack's own")
    elif any(MARKER in (one.get("env") or {}) for one in own):
        yield warning(
            "runpod", f"an endpoint {name} was left by an `up`: this stack's next one adopts it, if it is its own"
        )
    else:
        what = f"an endpoint {name} exists that Switchback did not make: `up` would refuse it"
        yield problem(
            "runpod", what, "pulumi config set workerName <another name>, or use it with runpod.mode existing"
        )


def check_gpus(subject: Subject) -> Iterator[Finding]:
    """The GPU types exist, are in stock, and what one worker costs."""
    runpod = subject.config.runpod if subject.config else None
    missing = _missing("gpu", subject, runpod)
    if missing or runpod is None:
        yield missing or not_checked("gpu", "no runpod section: RunPod is not deployed")
        return
    if runpod.mode == "existing":
        yield not_checked("gpu", "the endpoint is not this stack's: its GPU is not either")
        return
    try:
        catalog = subject.runpod().gpu_catalog()
        stock = subject.runpod().gpu_availability(runpod.gpu_count)
    except AuthError:
        yield not_checked("gpu", "needs a RunPod key that is accepted")
        return
    try:
        catalog.selection(runpod.gpu_types)
    except UnknownGpuType as error:
        yield problem("gpu", error.message, GPU_FIX, ExitCode.CONFIG)
        return
    yield from (_stock(name, stock.get(name, "")) for name in runpod.gpu_types)
    price = catalog.price(runpod.gpu_types, runpod.gpu_count)
    if price is None:
        yield not_checked("gpu", "RunPod's catalog has no price for this GPU")
        return
    yield ok("gpu", f"one worker always on costs ${price.per_day_usd:.2f} a day ({price.source})")


def _stock(name: str, stock: str) -> Finding:
    if stock == "NONE":
        return warning("gpu", f"RunPod has no {name} in stock now: workers may not start", GPU_FIX)
    return ok("gpu", f"{name} exists, stock {stock.lower() or 'not told'}")


def _missing(check: str, subject: Subject, runpod: RunPod | None) -> Finding | None:
    if subject.config is None:
        return not_checked(check, "the configuration cannot be used, see above")
    if runpod is not None and not subject.runpod_key():
        return not_checked(check, "there is no RunPod key", "pulumi config set --secret runpodApiKey <key>")
    return None
