"""`switchback cost`: what the live and the wanted provider cost, standing still and working."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import ValidationError

from provider_client.cli.context import Context
from provider_client.cli.cost_sentence import cost_sentence
from provider_client.cli.stack_values import StackValues, read_stack_values
from provider_client.clock import SystemClock
from provider_client.config.keys import RunPod, Scenario, Section
from provider_client.costs import (
    COLD_START_SECONDS,
    Endpoint,
    ProviderCost,
    Range,
    Saving,
    Usage,
    break_even_images,
    dollars,
    limit_warnings,
    money,
    plan_correction,
    runpod_cost,
    saving,
    scenario_cost,
    unknown_cost,
)
from provider_client.errors import ConfigError, ExitCode, SwitchbackError
from provider_client.gpu_catalog import GpuCatalog, Price, packaged_catalog
from provider_client.providers import PROVIDERS, find_provider
from provider_client.rollout.history import WorkerHistory
from provider_client.rollout.observed import measured_run_seconds
from provider_client.runpod_management import RunPodManagementApi, default_base_url
from provider_client.runpod_wire import from_wire

LOOK_UP_SECONDS = 5.0

Declared = TypeVar("Declared", bound=Section)


@dataclass(frozen=True)
class RunPodFacts:
    """What is known of the endpoint: `others_max` are the workers of the account's other endpoints."""

    endpoint: Endpoint | None
    price: Price | None
    catalog: GpuCatalog
    others_max: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CostReport:
    stack: str
    current: str
    wanted: str
    costs: tuple[ProviderCost, ...]
    usage: Usage
    saving: Saving | None
    break_even: Range | None
    sentence: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    report = _report(arguments, context)
    if context.json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        _print(context, report)
    return ExitCode.OK


def _report(arguments: argparse.Namespace, context: Context) -> CostReport:
    stack = context.stack
    values = read_stack_values(context, stack)
    usage = _usage(arguments, context)
    current, wanted, note = _who(arguments, context, values)
    facts = _runpod_facts(context, values)
    baseline = scenario_cost(_section(values, "scenario", Scenario).cost_per_image_usd, usage)
    costs = tuple(_cost_of(name, facts, baseline, usage) for name in dict.fromkeys((current, wanted)))
    found = saving(costs[-1], baseline) if wanted != "scenario" else None
    break_even = break_even_images(costs[-1], baseline.per_image.low) if baseline.per_image else None
    warnings = _warnings(facts) if "runpod" in (current, wanted) else ()
    return CostReport(
        stack=stack,
        current=current,
        wanted=wanted,
        costs=costs,
        usage=usage,
        saving=found,
        break_even=break_even,
        sentence=cost_sentence(costs[-1], baseline, usage, found, break_even),
        notes=(*note, *((*facts.notes, *_correction(facts)) if "runpod" in (current, wanted) else ())),
        warnings=warnings,
    )


def _usage(arguments: argparse.Namespace, context: Context) -> Usage:
    images, bursts, said = arguments.images_per_day, arguments.bursts_per_day, arguments.seconds_per_image
    if said is not None:
        exact = Range(said, said)
        return Usage(
            images_per_day=images, bursts_per_day=bursts, seconds_per_image=exact, seconds_source="as you said"
        )
    measured = measured_run_seconds(context.project_dir, "runpod")
    if measured is None:
        return Usage(images_per_day=images, bursts_per_day=bursts)
    return Usage(
        images_per_day=images,
        bursts_per_day=bursts,
        seconds_per_image=Range(measured.shortest, measured.longest),
        seconds_source=f"measured by {measured.source}",
    )


def _who(arguments: argparse.Namespace, context: Context, values: StackValues) -> tuple[str, str, tuple[str, ...]]:
    """The live provider (as Cloudflare says, else as declared), the wanted one, and what is unsure about them."""
    declared = find_provider(str(values.values.get("imageGenerationProvider", "scenario"))).name
    live, note = _live(context)
    current = live or declared
    if arguments.to:
        return current, find_provider(arguments.to).name, note
    if declared != current:
        return current, declared, note
    beside = values.values.get("candidateProvider") or ("runpod" if current != "runpod" else "scenario")
    return current, beside, note


def _live(context: Context) -> tuple[str | None, tuple[str, ...]]:
    try:
        settings = context.settings(use_pulumi=False)
        api = context.cloudflare(settings, deadline_seconds=LOOK_UP_SECONDS)
        history = WorkerHistory(api, settings.worker_name)
        active = api.active_deployment(settings.worker_name)
        found = history.provider_of(active.main_version_id) if active else None
    except SwitchbackError as error:
        return None, (f"who is live was not looked up ({error.message}): taken as declared",)
    if found not in PROVIDERS:
        return None, ("nothing of ours is deployed yet: the current provider is the declared one",)
    return found, ()


def _cost_of(provider: str, facts: RunPodFacts, baseline: ProviderCost, usage: Usage) -> ProviderCost:
    if provider == "scenario":
        return baseline
    if provider != "runpod":
        return unknown_cost(provider, "a server of your own is billed where Switchback cannot see it")
    if facts.endpoint is None:
        return unknown_cost("runpod", "the stack has no runpod section that could be priced: switchback doctor")
    return runpod_cost(facts.endpoint, facts.price, usage)


def _runpod_facts(context: Context, values: StackValues) -> RunPodFacts:
    """From RunPod where a key is there and accepted, else from the package and the stack's file."""
    catalog, endpoints, notes = packaged_catalog(), None, list[str]()
    key = _management_key(context, values)
    if key is None:
        notes.append("RunPod was not asked (no key): price from the package's table")
    else:
        try:
            api = RunPodManagementApi(
                key,
                http=context.http,
                clock=SystemClock(),
                base_url=values.base_url("runpodManagement") or default_base_url(context.environment),
                deadline_seconds=LOOK_UP_SECONDS,
            )
            catalog = api.gpu_catalog()
            endpoints = api.endpoints()
        except SwitchbackError as error:
            notes.append(f"RunPod was not asked ({error.message}): price from the package's table")
    endpoint, others = _endpoint(context, values, endpoints, catalog)
    price = catalog.price(endpoint.gpu_types, endpoint.gpu_count) if endpoint else None
    return RunPodFacts(endpoint, price, catalog, others, tuple(notes))


def _management_key(context: Context, values: StackValues) -> str | None:
    """The key that `pulumi up` would use, else the one in the environment."""
    own = values.values.get("runpodManagementApiKey") or values.values.get("runpodApiKey")
    return own or context.environment.get("RUNPOD_API_KEY") or None


def _endpoint(
    context: Context, values: StackValues, live: Sequence[dict[str, object]] | None, catalog: GpuCatalog
) -> tuple[Endpoint | None, int | None]:
    """The endpoint that is declared, or the one that exists; and the workers that the others may take."""
    if not values.section("runpod"):
        return None, None
    declared = _section(values, "runpod", RunPod)
    name = values.values.get("workerName") or f"image-generation-{context.stack.rsplit('/', 1)[-1]}"
    own = [
        one
        for one in live or ()
        if (one.get("id") == declared.endpoint_id if _existing(declared) else one.get("name") == name)
    ]
    others = None if live is None else sum(_workers_max(one) for one in live if one not in own)
    if not _existing(declared):
        return Endpoint.declared(declared), others
    return (Endpoint.observed(from_wire(own[0], catalog)) if own else None), others


def _section(values: StackValues, key: str, model: type[Declared]) -> Declared:
    """Through the model, because Pulumi stores a decimal that was set by --path as text."""
    try:
        return model.model_validate(values.section(key))
    except ValidationError:
        raise ConfigError(f"The stack's {key} section is not valid.", fix="switchback doctor") from None


def _existing(runpod: RunPod) -> bool:
    return runpod.mode == "existing"


def _workers_max(endpoint: dict[str, object]) -> int:
    workers = endpoint.get("workers")
    return int(workers.get("max") or 0) if isinstance(workers, dict) else 0


def _warnings(facts: RunPodFacts) -> tuple[str, ...]:
    if facts.endpoint is None:
        return ()
    return tuple(limit_warnings(facts.endpoint.workers_max, facts.others_max, facts.price))


def _correction(facts: RunPodFacts) -> tuple[str, ...]:
    types = facts.endpoint.gpu_types if facts.endpoint else ()
    said = plan_correction(types, facts.price, facts.catalog)
    return (said,) if said else ()


def _print(context: Context, report: CostReport) -> None:
    from rich.table import Table

    titles = [
        f"{cost.provider} ({'current' if cost.provider == report.current else 'wanted'})" for cost in report.costs
    ]
    table = Table("US$", *titles, box=None, pad_edge=False)
    for title, cells in _rows(report):
        table.add_row(title, *cells)
    say = context.console.print
    say(table)
    say()
    for cost in report.costs:
        say(f"{cost.provider}: price from {cost.source}" if cost.source else f"{cost.provider}: price not known")
        for reason in cost.unknown:
            say(f"  not known: {reason}")
    seconds = report.usage.seconds_per_image
    span = f"{seconds.low:g}" if seconds.low == seconds.high else f"{seconds.low:g} to {seconds.high:g}"
    say(f"an image takes {span} s of a GPU: {report.usage.seconds_source}")
    for note in report.notes:
        say(f"note: {note}")
    for warning in report.warnings:
        say(f"warning: {warning}", style="yellow")
    say()
    say(report.sentence, style="bold")


def _rows(report: CostReport) -> list[tuple[str, list[str]]]:
    cold = f"{COLD_START_SECONDS.low:.0f}-{COLD_START_SECONDS.high:.0f} s"
    rows = [
        ("workers always on, a day", [_cell(cost.live_workers_per_day) for cost in report.costs]),
        ("  while not live or candidate", [_cell(cost.standby_workers_per_day) for cost in report.costs]),
        ("idle time after a burst", [_cell(cost.idle_per_burst) for cost in report.costs]),
        ("idle time, a day", [_cell(cost.idle_per_day) for cost in report.costs]),
        (f"one cold start ({cold})", [_cell(cost.cold_start) for cost in report.costs]),
        ("one image (work alone)", [_cell(cost.per_image) for cost in report.costs]),
        ("1,000 images (work alone)", [_cell(_thousand(cost)) for cost in report.costs]),
    ]
    images = report.usage.images_per_day
    if images is not None:
        rows.append((f"all of a day, {images:,.0f} images", [_cell(cost.per_day) for cost in report.costs]))
    return rows


def _thousand(cost: ProviderCost) -> Range | None:
    return cost.per_image.times(1000) if cost.per_image else None


def _cell(usd: float | Range | None) -> str:
    if usd is None:
        return "not known"
    return money(usd) if isinstance(usd, Range) else dollars(usd)


def _as_json(report: CostReport) -> dict[str, object]:
    found, even = report.saving, report.break_even
    return {
        "schema": 1,
        "stack": report.stack,
        "current": report.current,
        "wanted": report.wanted,
        "usage": asdict(report.usage),
        "costs_usd": {
            cost.provider: {
                **{name: value for name, value in asdict(cost).items() if name != "provider"},
                "per_thousand_images": asdict(thousand) if (thousand := _thousand(cost)) else None,
            }
            for cost in report.costs
        },
        "saving": asdict(found) if found else None,
        "break_even_images_per_day": {
            "low": even.low,
            "high": even.high if math.isfinite(even.high) else None,
        }
        if even
        else None,
        "warnings": list(report.warnings),
        "notes": list(report.notes),
        "sentence": report.sentence,
    }
