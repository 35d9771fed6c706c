"""RunPod as one request of the engine sees it: the API, the catalog (asked once), warnings for a preview."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from infra.resource_provider.controller import Properties, Session
from provider_client.costs import Endpoint, limit_warnings, preview_sentence
from provider_client.errors import NotFoundError, SwitchbackError
from provider_client.gpu_catalog import GpuCatalog, packaged_catalog
from provider_client.runpod_management import RunPodManagementApi

LOOK_UP_SECONDS = 5.0  # look-ups of a preview: a RunPod that is down must not hold up a return to Scenario
OUTAGE_SECONDS = 30.0  # about as long as a preview

Answer = TypeVar("Answer")


class Outage:
    """That RunPod did not answer a look-up lately. Kept by the controller: one operation waits for it once."""

    def __init__(self) -> None:
        self._error: SwitchbackError | None = None
        self._ends = 0.0

    def begin(self, error: SwitchbackError, now: float) -> None:
        self._error, self._ends = error, now + OUTAGE_SECONDS

    def error(self, now: float) -> SwitchbackError | None:
        return self._error if now < self._ends else None


class RunPodAccount:
    """`api` is for the work itself, and raises; `ask` and all that uses it warn when RunPod cannot be asked."""

    def __init__(self, session: Session, outage: Outage | None = None) -> None:
        self._session = session
        self._outage = outage or Outage()

    @cached_property
    def api(self) -> RunPodManagementApi:
        return self._connect()

    @cached_property
    def catalog(self) -> GpuCatalog:
        """RunPod's catalog as of now, or the packaged one when it cannot be had."""
        live = self.ask(lambda api: api.gpu_catalog())
        return live if live and live.gpus else packaged_catalog()

    def look_up(self, question: Callable[[RunPodManagementApi], Answer]) -> Answer:
        """An answer within seconds, or the error; soon after an error the same one at once."""
        now = self._session.wall.now()
        known = self._outage.error(now)
        if known is not None:
            raise known
        try:
            return question(self._connect(deadline_seconds=LOOK_UP_SECONDS))
        except NotFoundError:
            raise
        except SwitchbackError as error:
            self._outage.begin(error, self._session.wall.now())
            raise

    def ask(self, question: Callable[[RunPodManagementApi], Answer]) -> Answer | None:
        """A look-up that the work can do without; an outage is told once."""
        told = self._outage.error(self._session.wall.now()) is not None
        try:
            return self.look_up(question)
        except SwitchbackError as error:
            if not told:
                self._session.log.warning(f"not looked up at RunPod: {error.message}")
            return None

    def warn_of_limits(self, settings: Properties, before: Properties) -> None:
        """Stock, quota, spend limit. RunPod tells neither of the last two: its documented defaults are taken."""
        endpoints = self.ask(lambda api: api.endpoints())
        if endpoints is None:
            return
        own = (settings["name"], before.get("name"))  # an endpoint that is renamed is no other one
        others = sum(int((e.get("workers") or {}).get("max") or 0) for e in endpoints if e.get("name") not in own)
        price = self.catalog.price(settings["gpuTypes"], settings["gpuCount"])
        for warning in limit_warnings(settings["workersMax"], others, price):
            self._session.log.warning(warning)
        stock = self.ask(lambda api: api.gpu_availability(settings["gpuCount"])) or {}
        if stock and all(stock.get(name) == "NONE" for name in settings["gpuTypes"]):
            types = ", ".join(settings["gpuTypes"])
            self._session.log.warning(f"RunPod has none of {types} in stock now: workers may not start")

    def say_cost(self, settings: Properties) -> None:
        price = self.catalog.price(settings["gpuTypes"], settings["gpuCount"])
        self._session.log.info(preview_sentence(Endpoint.observed(settings), price, needed=True))

    def _connect(self, deadline_seconds: float = 30.0) -> RunPodManagementApi:
        return RunPodManagementApi(
            self._session.config.runpod_api_key,
            http=self._session.http,
            clock=self._session.interruptible(self._session.wall),
            base_url=self._session.config.runpod_management_url or None,
            deadline_seconds=deadline_seconds,
        )
