"""A request is checked before anything is sent, by the gateway's own rules."""

from __future__ import annotations

import pytest

from provider_client.failures import FailureKind, ProviderError
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers.work import order_of
from tests.provider_client.providers.scripted_vendor import picture_base64

IMAGE = InputImage(base64=picture_base64(width=100, height=131))


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"operation": "txt2img"}, "needs a prompt"),
        ({"operation": "pipeline", "prompt": "  "}, "needs a prompt"),
        ({"operation": "img2img", "prompt": "x"}, "needs an input image"),
        ({"operation": "remove_background"}, "needs an input image"),
        ({"operation": "remove_background", "image": {"key": "assets/a.png"}}, "gateway alone"),
        ({"operation": "remove_background", "image": {"base64": "bm8gaW1hZ2U="}}, "not a complete PNG"),
        ({"operation": "remove_background", "image": {"base64": "%%%"}}, "base64"),
        ({"operation": "txt2img", "prompt": "x", "width": 100}, "multiple of 8"),
        ({"operation": "txt2img", "prompt": "x", "width": 32}, "outside 64 to 4096"),
        ({"operation": "txt2img", "prompt": "x", "height": 100_000}, "outside 64 to 4096"),
        ({"operation": "pipeline", "prompt": "x", "width": 8}, "outside 16 to 4096"),
    ],
)
def test_what_no_provider_could_do_is_refused(request_fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ProviderError, match=reason) as raised:
        order_of(GenerationRequest.model_validate(request_fields), "runpod")
    assert raised.value.failure.kind is FailureKind.BAD_REQUEST
    assert raised.value.attempts == 0


def test_a_sprite_may_have_any_size() -> None:
    order = order_of(GenerationRequest(operation=Operation.PIPELINE, prompt="x", width=33, height=17), "runpod")
    assert (order.width, order.height) == (33, 17)


def test_without_a_size_the_inputs_own_is_kept_on_the_models_grid() -> None:
    order = order_of(GenerationRequest(operation=Operation.IMG2IMG, prompt="x", image=IMAGE), "runpod")
    assert (order.width, order.height) == (96, 128)


@pytest.mark.parametrize(("operation", "side"), [(Operation.TXT2IMG, 1024), (Operation.PIPELINE, 512)])
def test_without_size_and_input_the_operations_usual_size_is_made(operation: Operation, side: int) -> None:
    order = order_of(GenerationRequest(operation=operation, prompt="x"), "runpod")
    assert (order.width, order.height) == (side, side)


def test_a_data_address_is_read_like_plain_base64() -> None:
    image = InputImage(base64="data:image/png;base64," + picture_base64())
    assert (
        order_of(GenerationRequest(operation=Operation.REMOVE_BACKGROUND, image=image), "runpod").image is not None
    )


def test_a_seed_is_drawn_once_and_zero_is_a_seed() -> None:
    drawn = {order_of(GenerationRequest(operation=Operation.TXT2IMG, prompt="x"), "runpod").seed for _ in range(5)}
    assert len(drawn) > 1
    assert order_of(GenerationRequest(operation=Operation.TXT2IMG, prompt="x", seed=0), "runpod").seed == 0
