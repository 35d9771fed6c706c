"""The plan that a stack's configuration asks for: what `pulumi up` carries out, and what `doctor` reckons with."""

from __future__ import annotations

from provider_client.config.keys import RunPod, StackConfig
from provider_client.verification.plan import Stage, VerificationPlan, default_plan
from provider_client.verification.spending import price_of


def configured_plan(config: StackConfig, *, stage: Stage, provider: str, assets: int) -> VerificationPlan:
    """RunPod's seconds cost what the configured GPUs do; those of an endpoint not ours are taken for the default."""
    wanted, runpod = config.verification, config.runpod or RunPod()
    return default_plan(
        stage=stage,
        provider=provider,
        assets=assets,
        operations=wanted.operations,
        budgets={str(operation): seconds for operation, seconds in wanted.budgets.items()},
        max_spend_usd=wanted.max_spend_usd,
        max_spend_usd_per_day=wanted.max_spend_usd_per_day,
        inconclusive=wanted.inconclusive_candidate,
        price=price_of(
            provider,
            scenario_usd_per_image=config.scenario.cost_per_image_usd,
            gpu_types=runpod.gpu_types,
            gpu_count=runpod.gpu_count,
        ),
    )
