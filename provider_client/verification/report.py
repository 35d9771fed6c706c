"""The result of one run, and its one JSON form from which every other form is made."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from provider_client.gateway import OVERRIDE_HEADER
from provider_client.models import GenerationRequest, Timings
from provider_client.verification.events import Event, event_to_json
from provider_client.verification.images import Picture
from provider_client.verification.judging import Sample, Verdict
from provider_client.verification.measurement import Measurement, Outcome, worst
from provider_client.verification.plan import PlannedAsset, VerificationPlan

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is verified. `override` sends the version override header, for a version that has no host of its own."""

    base_url: str
    provider: str
    version_id: str | None
    worker_name: str | None = None
    token: str = field(default="", repr=False)
    override: bool = False

    @property
    def pinned_version(self) -> str | None:
        return self.version_id if self.override and self.worker_name else None


@dataclass(frozen=True, kw_only=True)
class AssetResult:
    """One asset: what was asked for, what came, what was measured. Times in seconds, money in US dollars.

    `seconds` is what was held against the budget; on a real clock it is what was observed (budget.judged_seconds).
    """

    number: int
    planned: PlannedAsset
    measurements: tuple[Measurement, ...]
    budget_seconds: float
    cold: bool
    reproduce: str
    seconds: float | None = None
    observed_seconds: float | None = None
    download_seconds: float | None = None
    timings: Timings = field(default_factory=Timings)
    cost_usd: float | None = None
    generation_id: str = ""
    provider: str = ""
    url: str = ""
    sha256: str = ""
    content: bytes | None = field(default=None, repr=False)
    source: bytes | None = field(default=None, repr=False)
    picture: Picture | None = None

    @property
    def outcome(self) -> Outcome:
        return worst(measurement.outcome for measurement in self.measurements)

    @property
    def problems(self) -> tuple[Measurement, ...]:
        """What is not green, worst first."""
        order = list(Outcome)
        wrong = [m for m in self.measurements if m.outcome is not Outcome.SUCCESSFUL]
        return tuple(sorted(wrong, key=lambda measurement: -order.index(measurement.outcome)))

    @property
    def sample(self) -> Sample:
        failures = [m for m in self.problems if m.outcome in (Outcome.FAILED, Outcome.ERROR)]
        slow = any(m.check == "time" for m in self.problems)
        return Sample(
            name=self.planned.name,
            operation=self.planned.operation,
            failure=failures[0] if failures else None,
            over_budget=slow,
            seconds=self.seconds,
            cold=self.cold,
        )


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One asset made by both candidate and live (parity.py); ratios are candidate over live, None: not comparable.

    `distance` is the number of differing bits of the pictures' fingerprints, 0 (alike) to 64.
    """

    number: int
    name: str
    differences: tuple[str, ...]
    distance: int | None = None
    seconds_ratio: float | None = None
    cost_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything one run found. `spent_usd` is None when no price is known; `reference` is the live run beside it."""

    verdict: Verdict
    target: Target
    plan: VerificationPlan
    run: tuple[Measurement, ...]
    assets: tuple[AssetResult, ...]
    started_at: str
    wall_seconds: float
    spent_usd: float | None
    stopped: str = ""
    cancelled: bool = False
    events: tuple[Event, ...] = field(default=(), repr=False)
    reference: Report | None = field(default=None, repr=False)
    parity: tuple[Parity, ...] = ()

    @property
    def counts(self) -> dict[Outcome, int]:
        counted = Counter(asset.outcome for asset in self.assets)
        return {outcome: counted[outcome] for outcome in Outcome}

    @property
    def passed(self) -> int:
        return self.counts[Outcome.SUCCESSFUL]

    @property
    def total(self) -> int:
        return len(self.assets)

    def to_json(self) -> dict[str, Any]:
        """The report as of report.schema.json. Holds no secret: the token is not part of it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": asdict(self.verdict),
            "target": {
                "base_url": self.target.base_url,
                "provider": self.target.provider,
                "version_id": self.target.version_id,
                "worker_name": self.target.worker_name,
                "override": self.target.override,
            },
            "stage": self.plan.stage,
            "started_at": self.started_at,
            "wall_seconds": round(self.wall_seconds, 3),
            "counts": {outcome.value: count for outcome, count in self.counts.items()},
            "planned": len(self.plan.assets),
            "stopped": self.stopped,
            "cancelled": self.cancelled,
            "spending": {
                "estimate_usd": _rounded(self.plan.estimate_usd),
                "spent_usd": _rounded(self.spent_usd),
                "cap_usd": self.plan.max_spend_usd,
            },
            "run": [asdict(measurement) for measurement in self.run],
            "assets": [_asset_to_json(asset) for asset in self.assets],
            "parity": [asdict(pair) for pair in self.parity],
            "plan": self.plan.model_dump(mode="json"),
        }

    def events_to_json(self) -> list[dict[str, Any]]:
        return [event_to_json(event) for event in self.events]


def curl_line(target: Target, request: GenerationRequest, input_file: str) -> str:
    """A command that repeats one request. The token stays in the environment; an input picture comes from its file."""
    body = request.model_dump_json(exclude_none=True, exclude={"image"})
    quoted = shlex.quote(body)
    if request.image is not None:
        before, after = shlex.quote(body[:-1] + ',"image":{"base64":"'), shlex.quote('"}}')
        quoted = f"{before}\"$(base64 < {input_file} | tr -d '\\n')\"{after}"
    override = ""
    if target.pinned_version:
        override = " -H " + shlex.quote(f'{OVERRIDE_HEADER}: {target.worker_name}="{target.pinned_version}"')
    return (
        f"curl -sS -X POST {shlex.quote(target.base_url.rstrip('/') + '/v1/generations')}"
        f" -H \"Authorization: Bearer $SWITCHBACK_GATEWAY_TOKEN\" -H 'Content-Type: application/json'{override}"
        f" -H 'Prefer: wait=60' -d {quoted}"
    )


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def _asset_to_json(asset: AssetResult) -> dict[str, Any]:
    picture = asset.picture
    return {
        "number": asset.number,
        "name": asset.planned.name,
        "type": asset.planned.type,
        "operation": asset.planned.operation.value,
        "prompt": asset.planned.prompt,
        "seed": asset.planned.seed,
        "outcome": asset.outcome.value,
        "cold": asset.cold,
        "seconds": asset.seconds,
        "observed_seconds": asset.observed_seconds,
        "budget_seconds": asset.budget_seconds,
        "download_seconds": asset.download_seconds,
        "timings": asset.timings.model_dump(),
        "cost_usd": _rounded(asset.cost_usd),
        "generation_id": asset.generation_id,
        "provider": asset.provider,
        "url": asset.url,
        "sha256": asset.sha256,
        "bytes": None if asset.content is None else len(asset.content),
        "picture": None
        if picture is None
        else {
            "file": f"pictures/{file_name(asset)}",
            "content_type": picture.content_type,
            "width": picture.width,
            "height": picture.height,
            "has_alpha": picture.has_alpha,
            "transparent_share": round(picture.transparent_share, 4),
            "contrast": round(picture.contrast, 2),
            "shape": round(picture.shape, 2),
        },
        "measurements": [asdict(measurement) for measurement in asset.measurements],
        "reproduce": asset.reproduce,
    }


def file_name(asset: AssetResult) -> str:
    """The picture's file under `pictures/`: number, name, extension."""
    extension = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
    kind = asset.picture.content_type if asset.picture else ""
    return f"{asset.number:02}-{slug(asset.planned.name)}.{extension.get(kind, 'bin')}"


def input_file(number: int, planned: PlannedAsset) -> str:
    """The input picture of an asset, seen from the report's directory."""
    return f"inputs/{number:02}-{slug(planned.name)}.png"


def slug(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
