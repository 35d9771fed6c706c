"""Before anything is paid for: waits until the target answers, then until it answers as expected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provider_client.clock import Clock
from provider_client.errors import ApiError, AuthError, SwitchbackError
from provider_client.gateway import GatewayClient
from provider_client.models import Health
from provider_client.verification.checks import check_identity
from provider_client.verification.events import Event, HealthChecked, Waiting
from provider_client.verification.measurement import Measurement, Outcome, worst
from provider_client.verification.report import Target

PAUSE_SECONDS = 2.0
SAY_SECONDS = 10.0  # the same reason again is news only so often
IDENTITY_SECONDS = 15.0  # a new deployment reaches every location within seconds


@dataclass(frozen=True)
class Reached:
    """`health` is None when the target did not answer as expected; `measurements` say why."""

    health: Health | None
    measurements: tuple[Measurement, ...]


def reach(
    client: GatewayClient,
    target: Target,
    *,
    reach_seconds: float,
    wall: Clock,
    cancelled: threading.Event,
    tell: Callable[[Event], None],
) -> Reached:
    """A host that does not answer yet (DNS, TLS, propagation) is waited for and is no failure of the provider.

    When it never answers the outcome is ERROR: nothing was learnt. An answer that stays wrong is FAILED.
    """
    began, answered = wall.now(), None
    said, said_at = "", began
    while True:
        health, measurements, final = _ask(client, target)
        if health is not None and answered is None:
            answered = wall.now()
        left = (began + reach_seconds if answered is None else answered + IDENTITY_SECONDS) - wall.now()
        outcome = worst(measurement.outcome for measurement in measurements)
        leading = next(measurement for measurement in measurements if measurement.outcome is outcome)
        if outcome is Outcome.SUCCESSFUL or final or left <= 0 or cancelled.is_set():
            good = outcome is Outcome.SUCCESSFUL
            tell(
                HealthChecked(outcome=outcome, sentence=f"{target.provider} answers" if good else leading.sentence)
            )
            return Reached(health if good else None, tuple(measurements))
        if leading.sentence != said or wall.now() - said_at >= SAY_SECONDS:
            said, said_at = leading.sentence, wall.now()
            tell(Waiting(reason=said, seconds_left=left))
        wall.sleep(min(PAUSE_SECONDS, left))


def _ask(client: GatewayClient, target: Target) -> tuple[Health | None, Sequence[Measurement], bool]:
    """Health if there is any, what it means, and whether asking again is pointless."""
    try:
        health = client.health()
    except SwitchbackError as error:
        refused = isinstance(error, AuthError)
        unusable = "an answer that says nothing" if isinstance(error, ApiError) else "no answer"
        measurement = Measurement(
            check="health",
            outcome=Outcome.ERROR,
            measured="refused" if refused else unusable,
            message=error.message,
            mitigation=error.fix or "look at the address and at the Worker's deployment: switchback status",
        )
        return None, [measurement], refused
    return health, check_identity(health, target.provider, target.version_id), False
