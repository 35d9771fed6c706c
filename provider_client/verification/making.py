"""One asset: ask for it, wait for it, fetch it, look at it. Runs in a thread of its own and shares nothing."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, replace

from provider_client.clock import Clock
from provider_client.errors import AuthError, Cancelled, DeadlineExceeded, SwitchbackError
from provider_client.gateway import GatewayClient
from provider_client.models import Generation, GenerationRequest, GenerationStatus, InputImage, Operation
from provider_client.verification.budget import give_up_after, judged_seconds
from provider_client.verification.checks import check_exception, check_generation, check_time
from provider_client.verification.images import inspect
from provider_client.verification.measurement import failed
from provider_client.verification.picture_checks import check_content, check_delivery
from provider_client.verification.plan import PlannedAsset, VerificationPlan
from provider_client.verification.report import AssetResult, Target, curl_line, input_file
from provider_client.verification.sources import draw_source
from provider_client.verification.spending import cost_of


@dataclass(frozen=True)
class AssetMaker:
    """Makes and measures assets; `give_up` cancels the ones that are running."""

    client: GatewayClient
    target: Target
    plan: VerificationPlan
    clock: Clock
    speed: float  # of `clock`, in seconds per real second
    give_up: threading.Event

    def make(self, number: int, planned: PlannedAsset, *, cold: bool) -> AssetResult:
        budget = self.plan.budget(planned.operation)
        allowance = self.plan.first_request_allowance_seconds if cold else 0.0
        drawing = draw_source(planned.source, planned.width, planned.height) if planned.source else None
        request = request_for(planned, drawing)
        result = AssetResult(
            number=number,
            planned=planned,
            measurements=(),
            budget_seconds=budget + allowance,
            cold=cold,
            reproduce=curl_line(self.target, request, input_file(number, planned)),
        )
        began = self.clock.now()
        try:
            patience = give_up_after(budget, allowance, speed=self.speed)
            generation = self.client.generate(request, deadline_seconds=patience, cancelled=self.give_up)
        except SwitchbackError as error:
            return self._without_generation(result, error, self.clock.now() - began)
        observed = self.clock.now() - began
        seconds = judged_seconds(observed, generation.timings, speed=self.speed)
        measurements = check_generation(generation, self.plan)
        if generation.status is GenerationStatus.SUCCEEDED:
            measurements.append(check_time(seconds, budget, allowance, cold=cold))
        result = replace(
            result,
            measurements=tuple(measurements),
            seconds=seconds,
            observed_seconds=observed,
            timings=generation.timings,
            generation_id=generation.id,
            provider=generation.provider,
            cost_usd=cost_of(self.plan.price, generation.timings, seconds),
        )
        return self._look(result, generation, drawing) if generation.assets else result

    def _without_generation(self, result: AssetResult, error: SwitchbackError, seconds: float) -> AssetResult:
        """A job that was given up has run until then and is counted so; a refused token has made nothing."""
        ran = isinstance(error, DeadlineExceeded | Cancelled)
        cost = 0.0 if isinstance(error, AuthError) else self.plan.price.of(seconds if ran else 0.0)
        measured_seconds = None if isinstance(error, Cancelled) else seconds
        return replace(
            result,
            seconds=measured_seconds,
            cost_usd=cost,
            measurements=(check_exception(error, self.target.provider),),
        )

    def _look(self, result: AssetResult, generation: Generation, drawing: bytes | None) -> AssetResult:
        asset, began = generation.assets[0], self.clock.now()
        result = replace(result, url=asset.url, sha256=asset.sha256)
        try:
            download = self.client.download(asset.url)
        except SwitchbackError as error:
            wrong = failed("url", "does not resolve", "resolves", error.message)
            return replace(result, measurements=(*result.measurements, wrong))
        seconds, waited = self.clock.now() - began, result.seconds or 0.0
        source = inspect(drawing) if drawing else None
        seen, picture = check_content(result.planned, asset, download.content, source, self.plan.formats)
        return replace(
            result,
            download_seconds=seconds,
            content=download.content,
            source=drawing,
            picture=picture,
            measurements=(*result.measurements, *check_delivery(asset, download, waited), *seen),
        )


def request_for(planned: PlannedAsset, drawing: bytes | None) -> GenerationRequest:
    """The gateway's request for a planned asset; background removal knows neither prompt nor size nor seed."""
    image = InputImage(base64=base64.b64encode(drawing).decode()) if drawing else None
    if planned.operation is Operation.REMOVE_BACKGROUND:
        return GenerationRequest(operation=planned.operation, image=image)
    return GenerationRequest(
        operation=planned.operation,
        prompt=planned.prompt,
        negative_prompt=planned.negative_prompt,
        image=image,
        width=planned.width,
        height=planned.height,
        seed=planned.seed,
        strength=planned.strength,
    )
