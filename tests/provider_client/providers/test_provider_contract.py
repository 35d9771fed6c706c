"""The contract of a provider, held against the emulator: every provider × operation, then every fault.

Parametrised over PROVIDERS: a new provider is covered from the moment it is registered.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from emulator.services import SERVICES
from emulator.supervisor import Emulator, running
from provider_client.clock import SystemClock
from provider_client.failures import FailureKind, ProviderError
from provider_client.http import open_client
from provider_client.models import GenerationRequest, InputImage, Operation
from provider_client.providers import PROVIDERS, GeneratedImage, Provider

SPEED = 100.0  # simulated seconds per second
RESTART_SECONDS = 20.0  # a ComfyUI that crashed is back by then
ENDPOINT = {
    "name": "contract",
    "type": "QUEUE",
    "image": "example/switchback-comfyui:1",
    "gpu": {"pools": ["ADA_48_PRO"], "count": 1},
    "workers": {"min": 0, "max": 3, "idleTimeout": 30},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 1},
}

every_provider = pytest.mark.parametrize("name", list(PROVIDERS))
every_operation = pytest.mark.parametrize("operation", list(Operation))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running(speed=SPEED) as started:
        yield started


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with open_client() as client:
        yield client


@pytest.fixture(scope="module")
def runpod_endpoint(emulator: Emulator, http: httpx.Client) -> str:
    created = http.post(
        f"{emulator.base_url}/runpod/v2/serverless", json=ENDPOINT, headers={"Authorization": "Bearer fake-key"}
    )
    return str(created.raise_for_status().json()["id"])


@pytest.fixture(autouse=True)
def _healthy(emulator: Emulator, http: httpx.Client) -> Iterator[None]:
    yield
    http.delete(f"{emulator.base_url}/_emulator/faults")
    http.post(f"{emulator.base_url}/_emulator/clock", json={"advance_seconds": RESTART_SECONDS})


@pytest.fixture
def provider(name: str, emulator: Emulator, http: httpx.Client, request: pytest.FixtureRequest) -> Provider:
    spec = PROVIDERS[name]
    environment = emulator.environment()
    if name == "runpod":
        environment["RUNPOD_COMFYUI_ENDPOINT_ID"] = request.getfixturevalue("runpod_endpoint")
    return spec.connect(spec.settings.from_environment(environment), http, SystemClock(SPEED))


def break_it(emulator: Emulator, name: str, kind: str, **parameters: Any) -> None:
    service = "runpod_jobs" if name == "runpod" else name
    answer = httpx.post(
        f"{emulator.base_url}/_emulator/faults", json={"service": service, "kind": kind, "times": 1, **parameters}
    )
    answer.raise_for_status()


def count(emulator: Emulator, name: str, what: str) -> int:
    """One of the emulated vendor's own counters: submits, cancelled."""
    return int(httpx.get(f"{emulator.base_url}/_emulator/state").json()[name][what])


def submits(emulator: Emulator, name: str) -> int:
    return count(emulator, name, "submits")


def picture(colour: str, shape: str) -> Image.Image:
    """A plain background with one thing on it, so that there is something to keep and something to remove."""
    from PIL import ImageDraw

    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    box = (64, 64, 192, 192)
    draw.ellipse(box, fill=colour) if shape == "ellipse" else draw.rectangle(box, fill=colour)
    return image


def encoded(image: Image.Image) -> InputImage:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return InputImage(base64=base64.b64encode(stream.getvalue()).decode("ascii"))


def request_for(operation: Operation, **fields: Any) -> GenerationRequest:
    usual: dict[str, Any] = {"operation": operation, "seed": 11}
    if operation is not Operation.REMOVE_BACKGROUND:
        usual |= {"prompt": "a knight", "width": 256, "height": 192}
    if operation in (Operation.IMG2IMG, Operation.REMOVE_BACKGROUND):
        usual["image"] = encoded(picture("red", "ellipse"))
    return GenerationRequest.model_validate(usual | fields)


def decoded(image: GeneratedImage) -> Image.Image:
    picture = Image.open(io.BytesIO(image.content))
    picture.load()
    return picture


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of the pixels, 0 to 255."""
    size = one.size
    stat = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB").resize(size)))
    return sum(stat.mean) / 3


def transparent_share(image: Image.Image) -> float:
    alpha = image.getchannel("A")
    return alpha.histogram()[0] / (image.width * image.height)


@every_provider
def test_it_says_that_it_is_healthy(provider: Provider) -> None:
    assert provider.health().healthy


@every_provider
@every_operation
def test_every_operation_gives_a_complete_picture_and_says_what_it_took(
    provider: Provider, operation: Operation
) -> None:
    image = provider.generate(request_for(operation))
    assert decoded(image).size == (image.width, image.height)
    assert image.content_type == "image/png"
    assert image.provider_job
    assert image.timings.run_ms is not None
    assert image.timings.run_ms > 0


@every_provider
@pytest.mark.parametrize("operation", [Operation.TXT2IMG, Operation.IMG2IMG, Operation.PIPELINE])
def test_the_picture_has_the_size_that_was_asked_for(provider: Provider, operation: Operation) -> None:
    image = provider.generate(request_for(operation, width=320, height=128))
    assert decoded(image).size == (320, 128)


@every_provider
def test_the_prompt_and_the_seed_make_the_picture(provider: Provider) -> None:
    def knight(**fields: Any) -> Image.Image:
        return decoded(provider.generate(request_for(Operation.TXT2IMG, **fields)))

    first = knight()
    assert difference(first, knight()) < 1
    assert difference(first, knight(seed=12)) > 1
    assert difference(first, knight(prompt="a green slime")) > 1


@every_provider
def test_img2img_depends_on_its_input_and_keeps_it_when_told_to(provider: Provider) -> None:
    red, blue = picture("red", "ellipse"), picture("blue", "square")
    of_red, of_blue = (
        decoded(
            provider.generate(
                request_for(Operation.IMG2IMG, image=encoded(source), strength=0.3, width=256, height=256)
            )
        )
        for source in (red, blue)
    )
    assert difference(of_red, of_blue) > 5
    assert difference(of_red, red) < difference(of_red, blue)
    assert difference(of_blue, blue) < difference(of_blue, red)


@every_provider
def test_a_removed_background_is_really_transparent_and_the_thing_stays(provider: Provider) -> None:
    source = picture("red", "ellipse")
    image = decoded(provider.generate(request_for(Operation.REMOVE_BACKGROUND, image=encoded(source))))
    assert image.mode == "RGBA"
    assert image.size == source.size
    assert 0.3 < transparent_share(image) < 0.95
    assert image.getpixel((2, 2))[3] == 0  # type: ignore[index]
    assert image.getpixel((128, 128))[3] == 255  # type: ignore[index]
    assert image.getpixel((128, 128))[:3] == (255, 0, 0)  # type: ignore[index]


@every_provider
@pytest.mark.parametrize(("width", "height"), [(128, 128), (33, 70)])
def test_the_pipeline_ends_in_a_transparent_sprite_of_the_asked_size(
    provider: Provider, width: int, height: int
) -> None:
    image = decoded(provider.generate(request_for(Operation.PIPELINE, width=width, height=height)))
    assert image.mode == "RGBA"
    assert image.size == (width, height)
    assert 0.02 < transparent_share(image) < 0.98


@every_provider
def test_each_generation_is_paid_once(provider: Provider, name: str, emulator: Emulator) -> None:
    before = submits(emulator, name)
    provider.generate(request_for(Operation.TXT2IMG))
    assert submits(emulator, name) - before == 1


FAULTS = [
    ("model_not_found", {FailureKind.MODEL_NOT_FOUND}),
    ("no_image", {FailureKind.EMPTY_RESULT}),
    ("truncated_image", {FailureKind.EMPTY_RESULT}),
    ("partial", {FailureKind.EMPTY_RESULT, FailureKind.BAD_REQUEST}),  # ComfyUI refuses a part with node errors
    ("unauthorized", {FailureKind.AUTH}),
    ("html", {FailureKind.UNAVAILABLE}),
]


@every_provider
@pytest.mark.parametrize(("kind", "expected"), FAULTS, ids=[kind for kind, _ in FAULTS])
def test_each_fault_is_called_by_its_kind(
    provider: Provider, name: str, kind: str, expected: set[FailureKind], emulator: Emulator
) -> None:
    break_it(emulator, name, kind, **({"method": "POST"} if kind == "html" else {}))
    with pytest.raises(ProviderError) as raised:
        provider.generate(request_for(Operation.TXT2IMG))
    assert raised.value.failure.kind in expected
    assert raised.value.failure.mitigation


@pytest.mark.parametrize("name", ["comfyui", "runpod"])
def test_a_server_that_dies_during_the_job_is_unavailable(
    provider: Provider, name: str, emulator: Emulator
) -> None:
    break_it(emulator, name, "crash")
    with pytest.raises(ProviderError) as raised:
        provider.generate(request_for(Operation.TXT2IMG))
    assert raised.value.failure.kind is FailureKind.UNAVAILABLE


@pytest.mark.parametrize("name", ["comfyui", "runpod"])
def test_running_out_of_memory_is_called_by_its_name(provider: Provider, name: str, emulator: Emulator) -> None:
    """Scenario has no such failure of its own."""
    break_it(emulator, name, "out_of_memory")
    with pytest.raises(ProviderError) as raised:
        provider.generate(request_for(Operation.TXT2IMG))
    assert raised.value.failure.kind is FailureKind.OUT_OF_MEMORY


@every_provider
def test_a_job_that_never_starts_is_given_up_and_cancelled(
    provider: Provider, name: str, emulator: Emulator
) -> None:
    break_it(emulator, name, "stuck")
    before = count(emulator, name, "cancelled")
    with pytest.raises(ProviderError) as raised:
        provider.generate(request_for(Operation.TXT2IMG), deadline_seconds=20)
    assert raised.value.failure.kind in (FailureKind.TIMEOUT, FailureKind.COLD_START)
    assert raised.value.failure.retryable
    assert count(emulator, name, "cancelled") - before == 1


@every_provider
def test_a_rate_limit_is_waited_out(provider: Provider, name: str, emulator: Emulator) -> None:
    break_it(emulator, name, "rate_limited", retry_after=2, method="POST")
    before = submits(emulator, name)
    image = provider.generate(request_for(Operation.TXT2IMG))
    assert submits(emulator, name) - before == 1
    assert image.attempts > 2


@every_provider
def test_a_reset_while_waiting_does_not_cost_a_second_job(
    provider: Provider, name: str, emulator: Emulator
) -> None:
    before = submits(emulator, name)
    break_it(emulator, name, "reset", method="GET")
    provider.generate(request_for(Operation.TXT2IMG))
    assert submits(emulator, name) - before == 1


SUBMIT_PATHS = {"scenario": "/generate/", "comfyui": "/prompt", "runpod": "/run"}


@every_provider
def test_a_submit_whose_answer_is_cut_off_is_never_paid_twice(
    provider: Provider, name: str, emulator: Emulator
) -> None:
    """ComfyUI and Scenario can be asked whether it arrived; RunPod cannot, so there it is not sent again."""
    before = submits(emulator, name)
    break_it(emulator, name, "truncated", method="POST", path=SUBMIT_PATHS[name])
    if name == "runpod":
        with pytest.raises(ProviderError, match="nobody knows"):
            provider.generate(request_for(Operation.TXT2IMG, seed=77))
    else:
        provider.generate(request_for(Operation.TXT2IMG, seed=77))
    assert submits(emulator, name) - before == 1


@every_provider
def test_many_at_a_time_all_arrive(provider: Provider) -> None:
    with ThreadPoolExecutor(8) as threads:
        images = list(
            threads.map(lambda seed: provider.generate(request_for(Operation.TXT2IMG, seed=seed)), range(8))
        )
    assert len({image.content for image in images}) == 8
    assert len({image.provider_job for image in images}) == 8


def test_every_provider_is_emulated() -> None:
    assert set(PROVIDERS) <= {name.removesuffix("_jobs") for name in SERVICES}
