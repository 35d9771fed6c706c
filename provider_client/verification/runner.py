"""Runs a plan against a target: threads around the gateway client, decisions left to checks.py and judging.py.

The first request goes alone, so that a cold start is paid for and judged once; then up to `plan.in_flight` at a time.
Whatever ends the run early (a clear verdict, the spending cap, a cancel, Ctrl-C) cancels what is still being made.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx

from provider_client.clock import Clock
from provider_client.errors import SwitchbackError
from provider_client.gateway import Answer, GatewayClient
from provider_client.models import Operation
from provider_client.verification.checks import (
    check_answers,
    check_capabilities,
    check_spending,
    check_version_header,
    offers_nothing,
)
from provider_client.verification.events import AssetFinished, AssetStarted, Event, Judged, Started, Stopped
from provider_client.verification.judging import judge, reason_to_stop
from provider_client.verification.making import AssetMaker
from provider_client.verification.measurement import Measurement, Outcome, failed
from provider_client.verification.plan import PlannedAsset, VerificationPlan
from provider_client.verification.reaching import reach
from provider_client.verification.report import AssetResult, Report, Target
from provider_client.verification.spending import Ledger

LARGEST_SEED = 2**31 - 1
CENT_OF_A_CENT = 0.0001  # sums of floats
LOOK_UP_SECONDS = 0.2  # how often the waiting thread looks for a cancel


def verify(
    target: Target,
    plan: VerificationPlan,
    *,
    http: httpx.Client,
    clock: Clock,
    wall: Clock,
    progress: Callable[[Event], None],
    cancelled: threading.Event | None = None,
    ledger: Ledger | None = None,
    random_seed: int | None = None,
) -> Report:
    """Carries out the plan and judges it. Never raises for a bad provider: that is a verdict.

    `clock` times generations (the emulator's may run faster), `wall` the run itself. `ledger` enforces the daily cap.
    `random_seed` makes the pictures' seeds repeatable; without it every run draws its own.
    """
    run = _Run(target, plan, http, clock, wall, progress, cancelled or threading.Event(), ledger, random_seed)
    return run.carry_out()


@dataclass
class _Run:
    """The state of one run. Only the calling thread changes it; `answers` alone is appended to by all."""

    target: Target
    plan: VerificationPlan
    http: httpx.Client
    clock: Clock
    wall: Clock
    progress: Callable[[Event], None]
    cancelled: threading.Event
    ledger: Ledger | None
    random_seed: int | None
    measurements: list[Measurement] = field(default_factory=list)
    assets: list[AssetResult] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    stopped: str = ""

    def __post_init__(self) -> None:
        pinned = self.target.pinned_version
        self.give_up = threading.Event()
        self.client = GatewayClient(
            self.target.base_url,
            self.target.token,
            http=self.http,
            clock=self.clock,
            worker_name=self.target.worker_name if pinned else None,
            version_id=pinned,
            observe=self.answers.append,
            purpose="verification",
        )
        self.maker = AssetMaker(
            self.client,
            self.target,
            self.plan,
            self.clock,
            self.clock.speed / self.wall.speed,
            _Either(self.cancelled, self.give_up),
        )

    def carry_out(self) -> Report:
        started_at, began = datetime.now(UTC).isoformat(timespec="seconds"), self.wall.now()
        self._tell(
            Started(
                provider=self.target.provider,
                target=self.target.base_url,
                planned=len(self.plan.assets),
                estimate_usd=self.plan.estimate_usd,
            )
        )
        try:
            self._check_everything()
        except KeyboardInterrupt:
            self.cancelled.set()
        self.measurements.extend(check_answers(self.answers, self.target.version_id))
        return self._report(started_at, self.wall.now() - began)

    def _check_everything(self) -> None:
        reached = reach(
            self.client,
            self.target,
            reach_seconds=self.plan.reach_seconds,
            wall=self.wall,
            cancelled=self.cancelled,
            tell=self._tell,
        )
        self.measurements.extend(reached.measurements)
        if reached.health is None or not self.plan.assets:
            return
        if offers_nothing(reached.health):
            self.measurements.extend(check_version_header(self.answers, self.target.version_id))
            self.plan = self.plan.model_copy(update={"assets": ()})
            return
        spending = check_spending(self.plan, self.ledger.spent_today() if self.ledger else 0.0)
        missing = check_capabilities(reached.health, self.plan)
        self.measurements.extend((*spending, *missing))
        if any(measurement.outcome is Outcome.ERROR for measurement in spending):
            return
        lacking = {measurement.limit for measurement in missing}
        self._generate([asset for asset in self.plan.assets if asset.operation not in lacking])
        self._look_again()

    def _generate(self, planned: Sequence[PlannedAsset]) -> None:
        seeds = random.Random(self.random_seed)  # noqa: S311 -- seeds of pictures, not secrets
        queue = iter([(n, _with_seed(asset, seeds)) for n, asset in enumerate(planned, start=1)])
        with ThreadPoolExecutor(self.plan.in_flight, thread_name_prefix="verify") as pool:
            try:
                self._keep_full(pool, queue, len(planned))
            except BaseException:
                self.give_up.set()  # the pool waits for its threads, and these cancel their jobs
                raise

    def _keep_full(
        self, pool: ThreadPoolExecutor, queue: Iterator[tuple[int, PlannedAsset]], planned: int
    ) -> None:
        running: dict[Future[AssetResult], PlannedAsset] = {}
        while True:
            room = self.plan.in_flight if self.assets else 1
            while not self.stopped and len(running) < room and (item := next(queue, None)) is not None:
                number, asset = item
                if not self._affords([*running.values(), asset]):
                    self._stop(f"spent ${self.spent_usd or 0:.2f}, and another asset could pass the cap")
                    break
                self._tell(
                    AssetStarted(number=number, planned=planned, name=asset.name, operation=asset.operation)
                )
                running[pool.submit(self.maker.make, number, asset, cold=not self.assets)] = asset
            if not running:
                return
            done, _ = wait(running, timeout=LOOK_UP_SECONDS, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: future.result().number):
                del running[future]
                self._finish(future.result(), planned)
            self._stop_if_needed()

    def _affords(self, unpaid: Sequence[PlannedAsset]) -> bool:
        """Whether these can take their whole budget of time and all caps still hold; a plan within its caps can."""
        plan, spent = self.plan, self.spent_usd
        expected = [plan.price.of(plan.budget(asset.operation)) for asset in unpaid]
        known = sum(usd for usd in expected if usd is not None) - CENT_OF_A_CENT
        today = self.ledger.spent_today() if self.ledger else 0.0
        caps = ((spent or 0.0, plan.max_spend_usd), (today, plan.max_spend_usd_per_day))
        return all(cap is None or already + known <= cap for already, cap in caps)

    def _finish(self, result: AssetResult, planned: int) -> None:
        self.costs.append(result.cost_usd)
        if self.ledger is not None and result.cost_usd:
            self.ledger.add(result.cost_usd)
        if self.maker.give_up.is_set() and any(
            measurement.kind == "CANCELLED" for measurement in result.measurements
        ):
            return  # we gave it up: that says nothing about the provider
        result = self._compare_with_earlier(result)
        self.assets.append(result)
        self._tell(
            AssetFinished(
                number=result.number,
                done=len(self.assets),
                planned=planned,
                name=result.planned.name,
                operation=result.planned.operation,
                outcome=result.outcome,
                seconds=result.seconds,
                budget=result.budget_seconds,
                sentence=result.problems[0].sentence if result.problems else "",
            )
        )

    def _stop_if_needed(self) -> None:
        if self.stopped:
            return
        reason = (
            "cancelled" if self.cancelled.is_set() else reason_to_stop([asset.sample for asset in self.assets])
        )
        spent, cap = self.spent_usd, self.plan.max_spend_usd
        if not reason and cap is not None and spent is not None and spent > cap:
            reason = f"spent ${spent:.2f} of ${cap:.2f}"
        if reason:
            self._stop(reason)
            self.give_up.set()

    def _stop(self, reason: str) -> None:
        self.stopped = reason
        self._tell(Stopped(reason=reason))

    def _compare_with_earlier(self, result: AssetResult) -> AssetResult:
        """The same picture for another seed: a cache answered, and nobody knows for which of the two it was made."""
        if not result.sha256 or result.planned.operation is Operation.REMOVE_BACKGROUND:
            return result
        for index, other in enumerate(self.assets):
            if is_same_picture(other, result) and not other.planned.asks_the_same_as(result.planned):
                self.assets[index] = _not_distinct(other, result.planned.name)
                result = _not_distinct(result, other.planned.name)
        return result

    def _look_again(self) -> None:
        """A URL that worked at first may be gone: each is asked for once more at the end."""
        for index, asset in enumerate(self.assets):
            if asset.content is None or self.cancelled.is_set():
                continue
            try:
                again = self.client.download(asset.url).content
                measured, message = "changed", "it serves other bytes now"
            except SwitchbackError as error:
                again, measured, message = b"", "gone", error.message
            if again != asset.content:
                wrong = failed("url stays", measured, "the same picture at the end of the run", message)
                self.assets[index] = replace(asset, measurements=(*asset.measurements, wrong))

    @property
    def spent_usd(self) -> float | None:
        known = [cost for cost in self.costs if cost is not None]
        return sum(known) if len(known) == len(self.costs) else None

    def _report(self, started_at: str, wall_seconds: float) -> Report:
        plan, spent = self.plan, self.spent_usd
        if self.cancelled.is_set():
            message = "what was still being made was cancelled at the provider"
            self.measurements.append(
                Measurement(check="run", outcome=Outcome.ERROR, measured="cancelled", message=message)
            )
        verdict = judge(
            self.measurements,
            [asset.sample for asset in self.assets],
            planned=len(plan.assets),
            stopped=self.stopped,
            usd_per_sample=plan.estimate_usd / len(plan.assets) if plan.assets and plan.estimate_usd else None,
        )
        self._tell(Judged(verdict=verdict, spent_usd=spent))
        return Report(
            verdict=verdict,
            target=self.target,
            plan=plan,
            run=tuple(self.measurements),
            assets=tuple(sorted(self.assets, key=lambda asset: asset.number)),
            started_at=started_at,
            wall_seconds=wall_seconds,
            spent_usd=spent,
            stopped=self.stopped,
            cancelled=self.cancelled.is_set(),
            events=tuple(self.events),
        )

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.progress(event)


class _Either(threading.Event):
    """Set when either of two is: the caller's cancel or our own giving up."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._events = (one, other)

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)


def is_same_picture(one: AssetResult, other: AssetResult) -> bool:
    """The same bytes, or the same picture in other bytes (a PNG may carry its own prompt)."""
    if one.sha256 == other.sha256:
        return True
    return one.picture is not None and other.picture is not None and one.picture.small == other.picture.small


def _not_distinct(result: AssetResult, other: str) -> AssetResult:
    if any(measurement.check == "distinct" for measurement in result.measurements):
        return result
    message = "one picture for two requests: an old one came from a cache, or the request is ignored"
    wrong = failed("distinct", f"same picture as {other}", "a new picture per seed", message)
    return replace(result, measurements=(*result.measurements, wrong))


def _with_seed(asset: PlannedAsset, seeds: random.Random) -> PlannedAsset:
    return asset if asset.seed is not None else asset.model_copy(update={"seed": seeds.randint(1, LARGEST_SEED)})
