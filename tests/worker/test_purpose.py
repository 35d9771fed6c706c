"""What a verification makes lies apart, so that a lifecycle rule deletes it and nothing else."""

from __future__ import annotations

import httpx

from provider_client.clock import SystemClock
from provider_client.gateway import GatewayClient
from provider_client.models import GenerationRequest, Operation
from tests.worker.worker_harness import TOKEN, Gateway

REQUEST = GenerationRequest(operation=Operation.TXT2IMG, prompt="A knight", width=256, height=256, seed=7)


def made_by(gateway: Gateway, http: httpx.Client, **purpose: str) -> str:
    client = GatewayClient(gateway.url, TOKEN, http=http, clock=SystemClock(), **purpose)  # type: ignore[arg-type]
    (asset,) = client.generate(REQUEST, deadline_seconds=20).assets
    assert client.download(asset.url).content_type == "image/png"
    return asset.key


def test_assets_of_a_verification_have_a_folder_of_their_own(gateway: Gateway) -> None:
    """The signed id carries the purpose, so a poll without the header stores it in the same place."""
    assert made_by(gateway, gateway.http, purpose="verification").startswith("_verification/")
    assert made_by(gateway, gateway.http).startswith("generations/")


def test_an_asset_of_a_verification_can_be_an_input(gateway: Gateway) -> None:
    """img2img of a plan takes the picture that the plan made."""
    key = made_by(gateway, gateway.http, purpose="verification")
    generation = gateway.generate(operation="img2img", prompt="A knight in snow", image={"key": key})
    assert generation["status"] == "succeeded", generation
