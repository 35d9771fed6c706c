"""What all providers do alike with one request: check it before anything is paid, wait, give up cleanly."""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import httpx

from provider_client.clock import Clock
from provider_client.deadlines import GENERATION_SECONDS
from provider_client.failures import FailureKind, ProviderError, failure_of
from provider_client.models import GenerationRequest, Operation, Timings
from provider_client.providers.base import Cost, GeneratedImage
from provider_client.providers.images import NotAnImage, Picture, decode_picture, read_picture, without_texts
from provider_client.providers.session import Session
from provider_client.workflows import NATIVE_PIXELS

T = TypeVar("T")

NEEDS_PROMPT = frozenset({Operation.TXT2IMG, Operation.IMG2IMG, Operation.PIPELINE})
NEEDS_IMAGE = frozenset({Operation.IMG2IMG, Operation.REMOVE_BACKGROUND})
# The gateway's rules (infra/worker/src/validation.js): the same request is accepted here and there.
SIDE_STEP = 8  # latent images have an eighth of the size
SMALLEST_SIDE, SMALLEST_SPRITE, LARGEST_SIDE = 64, 16, 4096
DEFAULT_SIDE, DEFAULT_SPRITE_SIDE = NATIVE_PIXELS, 512
DEFAULT_STRENGTH = 0.6
LARGEST_SEED = 2**32 - 1  # every provider takes it; ComfyUI alone would take 64 bits
LARGEST_DRAWN_SEED = 2**31 - 1


@dataclass(frozen=True)
class Order:
    """A checked request: nothing is left open, so that all providers are asked for the same thing."""

    operation: Operation
    prompt: str
    negative_prompt: str
    width: int
    height: int
    seed: int
    strength: float
    image: Picture | None


def refusal(provider: str, message: str) -> ProviderError:
    """A mistake that was seen here: nothing has been sent to the provider, nothing is paid."""
    failure = failure_of(FailureKind.BAD_REQUEST, message, provider=provider)
    mitigation = "The request was refused before anything was sent or paid. Correct it and try again."
    return ProviderError(replace(failure, mitigation=mitigation), provider=provider, attempts=0)


def order_of(request: GenerationRequest, provider: str) -> Order:
    """Raises ProviderError (BAD_REQUEST) for what no provider could do; nothing has been sent by then."""

    operation = request.operation
    if operation in NEEDS_PROMPT and not (request.prompt or "").strip():
        raise refusal(provider, f"{operation} needs a prompt")
    image = None
    if operation in NEEDS_IMAGE:
        if request.image is None:
            raise refusal(provider, f"{operation} needs an input image")
        if request.image.base64 is None:
            raise refusal(
                provider, "an asset key is known to the gateway alone; give the picture, or use --via-gateway"
            )
        try:
            image = decode_picture(request.image.base64)
        except NotAnImage as error:
            raise refusal(provider, str(error)) from None
    width, height = _size(request, image)
    wrong = None if operation is Operation.REMOVE_BACKGROUND else wrong_size(operation, width, height)
    if wrong:
        raise refusal(provider, wrong)
    return Order(
        operation=operation,
        prompt=request.prompt or "",
        negative_prompt=request.negative_prompt or "",
        width=width,
        height=height,
        seed=random.randint(0, LARGEST_DRAWN_SEED) if request.seed is None else request.seed,  # noqa: S311
        strength=DEFAULT_STRENGTH if request.strength is None else request.strength,
        image=image,
    )


def _size(request: GenerationRequest, image: Picture | None) -> tuple[int, int]:
    """What was asked for, else the input's own size on the models' grid, else the operation's usual one."""
    side = DEFAULT_SPRITE_SIDE if request.operation is Operation.PIPELINE else DEFAULT_SIDE
    usual = (_on_grid(image.width), _on_grid(image.height)) if image else (side, side)
    return request.width or usual[0], request.height or usual[1]


def _on_grid(pixels: int) -> int:
    return max(SIDE_STEP, pixels // SIDE_STEP * SIDE_STEP)


def wrong_size(operation: Operation, width: int, height: int) -> str | None:
    """A pipeline scales down to any sprite; the others end at the size that they generate."""
    is_sprite = operation is Operation.PIPELINE
    smallest, step = (SMALLEST_SPRITE, 1) if is_sprite else (SMALLEST_SIDE, SIDE_STEP)
    for side in (width, height):
        if not smallest <= side <= LARGEST_SIDE:
            return f"{width}x{height} is outside {smallest} to {LARGEST_SIDE} pixels a side"
        if side % step:
            return f"{width}x{height}: each side must be a multiple of {step}"
    return None


@dataclass(frozen=True)
class Patience:
    """How long one generation may take and how often to ask, by the clock that is passed along (seconds)."""

    clock: Clock
    until: float
    cancelled: threading.Event | None
    interval: float = 1.0

    @property
    def left(self) -> float:
        return max(0.0, self.until - self.clock.now())

    def wait(self, session: Session, look: Callable[[], T | None], where: Callable[[], str]) -> T:
        """What `look` gives at last; when the time is over, fails with `where` the job is, the vendor's own word."""
        while True:
            session.check_cancelled(self.cancelled)
            found = look()
            if found is not None:
                return found
            if not self.left:
                place = where()
                session.fail(session.signal(f"deadline:{place}", f"still {place} when the time was over"))
            self.clock.sleep(min(self.interval, self.left))


@dataclass(frozen=True)
class Made:
    """A finished picture, and what its vendor says of the work."""

    picture: Picture
    job: str
    timings: Timings
    cost: Cost | None = None


class JobProvider(ABC):
    """A provider whose work is a job that is followed to its end."""

    name: ClassVar[str]
    poll_seconds: ClassVar[float] = 1.0

    def __init__(self, http: httpx.Client, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    def generate(
        self,
        request: GenerationRequest,
        *,
        deadline_seconds: float = GENERATION_SECONDS,
        cancelled: threading.Event | None = None,
    ) -> GeneratedImage:
        order = order_of(request, self.name)
        session = self._session(order.prompt, order.negative_prompt)
        patience = Patience(self._clock, self._clock.now() + deadline_seconds, cancelled, self.poll_seconds)
        with session.reading():
            made = self._make(session, order, patience)
        return GeneratedImage(
            content=made.picture.content,
            content_type=made.picture.content_type,
            width=made.picture.width,
            height=made.picture.height,
            timings=made.timings,
            provider_job=made.job,
            cost=made.cost,
            attempts=session.attempts,
        )

    @abstractmethod
    def _session(self, *hidden: str) -> Session:
        """A session with the vendor that keeps credentials and the `hidden` texts out of every message."""

    @abstractmethod
    def _make(self, session: Session, order: Order, patience: Patience) -> Made:
        """The whole work. Whatever is raised on the way, the job is cancelled (`cancelling`)."""


@contextmanager
def cancelling(cancel: Callable[[], None]) -> Iterator[None]:
    """Runs `cancel` when the work inside ends early: a job that nobody waits for must not go on billing."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the reason for giving up is the error to show
            cancel()
        raise


def finished_picture(session: Session, content: bytes, provider_job: str) -> Picture:
    try:
        return read_picture(without_texts(content))
    except NotAnImage as error:
        session.fail(session.signal("result:not_an_image", f"the result is unusable: {error}"), provider_job)
