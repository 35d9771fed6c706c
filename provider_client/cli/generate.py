"""`switchback generate "A knight" txt2img`: one asset, or a plan of them, made by a provider and saved."""

from __future__ import annotations

import argparse
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_client.cli.asset_plan import PlannedAsset, read_plan, request_for, validated
from provider_client.cli.context import Context
from provider_client.clock import Clock, provider_clock
from provider_client.errors import ApiError, AuthError, ConfigError, ExitCode, SwitchbackError
from provider_client.failures import FailureKind, ProviderError, failure_of
from provider_client.gateway import GatewayClient
from provider_client.models import GenerationRequest, GenerationStatus, Operation
from provider_client.providers import Cost, ProviderSpec, find_provider
from provider_client.providers.images import EXTENSIONS

Make = Callable[[GenerationRequest, threading.Event], "Made"]


@dataclass(frozen=True)
class Made:
    """One asset as it was made: what `--json` prints."""

    content: bytes
    content_type: str
    width: int
    height: int
    provider: str
    job: str
    seconds: float
    queue_ms: float | None
    run_ms: float | None
    cost: Cost | None


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    assets = _assets(arguments)
    base = arguments.plan.parent if arguments.plan else Path()
    requests = [request_for(asset, base) for asset in assets]
    make, maker = _maker(arguments, context)
    out: Path = arguments.out or context.project_dir / ".switchback" / "assets"
    out.mkdir(parents=True, exist_ok=True)
    context.progress(f"{maker} makes {len(requests)} asset{'s' if len(requests) > 1 else ''} …")
    with context.waiting(maker):
        results = _make_all(requests, make, max(1, arguments.jobs))
    entries = [
        _entry(asset, request, _settled(result), out)
        for asset, request, result in zip(assets, requests, results, strict=True)
    ]
    _print(context, entries, single=arguments.plan is None)
    failed = [error for error in (result.exception() for result in results) if error is not None]
    return failed[0].exit_code if failed and isinstance(failed[0], SwitchbackError) else ExitCode.OK


def _assets(arguments: argparse.Namespace) -> tuple[PlannedAsset, ...]:
    if arguments.plan is not None:
        if arguments.prompt or arguments.operation:
            raise ConfigError("a plan names its own prompts", fix="leave out the prompt, or --plan")
        return read_plan(arguments.plan)
    prompt, operation = arguments.prompt, arguments.operation
    if operation is None and prompt in set(Operation):  # `generate remove_background --image x.png`
        prompt, operation = None, prompt
    if operation is not None and operation not in set(Operation):
        raise ConfigError(f"there is no operation {operation!r}", fix=f"choose one of {', '.join(Operation)}")
    if not prompt and operation != Operation.REMOVE_BACKGROUND:
        raise ConfigError("nothing says what to draw", fix='switchback generate "A knight" txt2img')
    width, height = arguments.size or (None, None)
    values = {
        "operation": operation or Operation.TXT2IMG,
        "prompt": prompt,
        "negative_prompt": arguments.negative_prompt,
        "image": arguments.image,
        "width": width,
        "height": height,
        "seed": arguments.seed,
        "strength": arguments.strength,
    }
    return (validated(PlannedAsset, values, "the command line"),)


def _maker(arguments: argparse.Namespace, context: Context) -> tuple[Make, str]:
    clock = provider_clock(context.environment)
    if arguments.via_gateway:
        settings = context.settings()
        gateway = GatewayClient(settings.gateway_url, settings.gateway_token, http=context.http, clock=clock)
        token_from = settings.origin("gateway_token")
        return (
            _through_gateway(gateway, clock, arguments.deadline, token_from),
            f"the gateway {settings.gateway_url}",
        )
    name = arguments.provider or context.environment.get("IMAGE_GENERATION_PROVIDER", "")
    if not name:
        raise ConfigError(
            "no provider is named; looked at --provider, IMAGE_GENERATION_PROVIDER in the environment and in .env",
            fix="add --provider runpod (or scenario, comfyui)",
        )
    spec = find_provider(name)
    return _directly(spec, context, clock, arguments.deadline), spec.title


def _directly(spec: ProviderSpec, context: Context, clock: Clock, deadline: float) -> Make:
    try:
        settings = spec.settings.from_environment(_with_stack_outputs(spec, context))
    except ConfigError as error:
        raise ConfigError(f"{spec.title}: {error.message}", fix=error.fix, help_url=spec.help_url) from None
    provider = spec.connect(settings, context.http, clock)

    def make(request: GenerationRequest, cancelled: threading.Event) -> Made:
        started = clock.now()
        try:
            image = provider.generate(request, deadline_seconds=deadline, cancelled=cancelled)
        except ProviderError as error:
            if error.failure.kind is FailureKind.AUTH:  # no stack is involved here: the keys are the shell's own
                keys = [binding.name for binding in spec.settings.bindings() if binding.kind == "secret_text"]
                error.fix = f"check {', '.join(keys)} in the environment and in .env"
            raise
        return Made(
            content=image.content,
            content_type=image.content_type,
            width=image.width,
            height=image.height,
            provider=spec.name,
            job=image.provider_job,
            seconds=clock.now() - started,
            queue_ms=image.timings.queue_ms,
            run_ms=image.timings.run_ms,
            cost=image.cost,
        )

    return make


def _with_stack_outputs(spec: ProviderSpec, context: Context) -> Mapping[str, str]:
    """The environment, and what the deployed stack knows better than a person: its endpoint's id."""
    name = "RUNPOD_COMFYUI_ENDPOINT_ID"
    if spec.name != "runpod" or context.environment.get(name):
        return context.environment
    endpoint = context.stack_output("runpodEndpointId")
    return {**context.environment, name: endpoint} if endpoint else context.environment


def _through_gateway(gateway: GatewayClient, clock: Clock, deadline: float, token_from: str) -> Make:
    def make(request: GenerationRequest, cancelled: threading.Event) -> Made:
        started = clock.now()
        try:
            done = gateway.generate(request, deadline_seconds=deadline, cancelled=cancelled)
        except AuthError as refused:
            raise AuthError(
                f"{refused.message} (the one sent is from {token_from})",
                status=refused.status,
                fix="export SWITCHBACK_GATEWAY_TOKEN=<one of the stack's gatewayTokens>",
            ) from refused
        if done.status is not GenerationStatus.SUCCEEDED or not done.assets:
            error = done.error
            known = error is not None and error.kind in FailureKind.__members__
            kind = FailureKind(error.kind) if error and known else FailureKind.UNKNOWN
            failure = failure_of(
                kind, error.message if error else f"ended as {done.status}", provider=done.provider
            )
            raise ProviderError(failure, provider=done.provider, provider_job=done.id)
        asset = done.assets[0]
        content = gateway.download(asset.url)
        return Made(
            content=content.content,
            content_type=asset.content_type,
            width=asset.width,
            height=asset.height,
            provider=done.provider,
            job=done.id,
            seconds=clock.now() - started,
            queue_ms=done.timings.queue_ms,
            run_ms=done.timings.run_ms,
            cost=None,
        )

    return make


def _make_all(requests: list[GenerationRequest], make: Make, jobs: int) -> list[Future[Made]]:
    """All results, failures among them. Stopping (Ctrl-C) cancels what is still running at the provider."""
    cancelled = threading.Event()
    with ThreadPoolExecutor(max_workers=min(jobs, len(requests))) as threads:
        futures = [threads.submit(make, request, cancelled) for request in requests]
        try:
            for future in futures:
                future.exception()
        except KeyboardInterrupt:
            cancelled.set()
            threads.shutdown(cancel_futures=True)
            raise
    return futures


def _settled(future: Future[Made]) -> Made | SwitchbackError:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, SwitchbackError):
        return error
    raise error


def _entry(
    asset: PlannedAsset, request: GenerationRequest, result: Made | SwitchbackError, out: Path
) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": asset.name, "operation": asset.operation.value, "seed": request.seed}
    if isinstance(result, SwitchbackError):
        kind = result.failure.kind.value if isinstance(result, ProviderError) else type(result).__name__
        status = {"status": result.status} if isinstance(result, ApiError) else {}
        return entry | {"error": {"kind": kind, "message": result.message, "fix": result.fix, **status}}
    path = _free_path(out, asset, result)
    path.write_bytes(result.content)
    return entry | {
        "file": str(path),
        "content_type": result.content_type,
        "bytes": len(result.content),
        "width": result.width,
        "height": result.height,
        "provider": result.provider,
        "job": result.job,
        "seconds": round(result.seconds, 3),
        "queue_ms": result.queue_ms,
        "run_ms": result.run_ms,
        "cost": vars(result.cost) if result.cost else None,
    }


def _free_path(out: Path, asset: PlannedAsset, made: Made) -> Path:
    """A name that tells what it is and never overwrites an earlier picture."""
    words = re.sub(r"[^a-z0-9]+", "-", (asset.name or asset.prompt or asset.operation.value).lower()).strip("-")[
        :40
    ]
    extension = EXTENSIONS.get(made.content_type, "bin")
    stem = f"{words or 'asset'}-{asset.operation.value}-{made.provider}"
    path = out / f"{stem}.{extension}"
    return path if not path.exists() else out / f"{stem}-{uuid.uuid4().hex[:6]}.{extension}"


def _print(context: Context, entries: list[dict[str, Any]], *, single: bool) -> None:
    if context.json:
        print(json.dumps({"schema": 1, **(entries[0] if single else {"assets": entries})}, indent=2))
        return
    for entry in entries:
        for line in lines_of(entry):
            context.console.print(line, markup=False)


def lines_of(entry: Mapping[str, Any]) -> list[str]:
    """One result in words: where, how big, how long, what it cost; or what went wrong and what to do."""
    if "error" in entry:
        error = entry["error"]
        lines = [f"failed: {entry['operation']}: {error['message']}"]
        return [*lines, f"  fix: {error['fix']}"] if error["fix"] else lines
    parts = [f"{entry['seconds']:.1f} s"]
    for label, key in (("waiting", "queue_ms"), ("running", "run_ms")):
        if entry[key] is not None:
            parts.append(f"{label} {entry[key] / 1000:.1f} s")
    if entry["cost"]:
        parts.append(_cost_words(entry["cost"]))
    if entry["seed"] is not None:
        parts.append(f"seed {entry['seed']}")
    size = f"{entry['width']}x{entry['height']} {entry['content_type']}, {entry['bytes']:,} bytes"
    return [entry["file"], f"  {size}; {entry['provider']}: {', '.join(parts)}"]


def _cost_words(cost: Mapping[str, Any]) -> str:
    words = f"{cost['quantity']:g} {cost['unit']}"
    return f"{words} (${cost['usd']:.4f})" if cost["usd"] is not None else words
