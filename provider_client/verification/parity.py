"""Candidate beside live: the same prompts and seeds went to both; how do the answers differ?

Parity is shown and does not decide: another model may paint better and still paint otherwise.
It is the only way to see that a picture is of the right size but of something else entirely.
"""

from __future__ import annotations

from dataclasses import replace

from provider_client.verification.images import Picture, hash_distance
from provider_client.verification.report import AssetResult, Parity, Report

UNLIKE_ABOVE = 32  # of 64 bits: what two unrelated pictures differ by on average


def compare(candidate: Report, live: Report) -> tuple[Parity, ...]:
    """Pairs assets by number, which both runs of one plan share."""
    others = {asset.number: asset for asset in live.assets}
    return tuple(_pair(asset, others[asset.number]) for asset in candidate.assets if asset.number in others)


def with_parity(candidate: Report, live: Report) -> Report:
    """The candidate's report with the live one beside it."""
    return replace(candidate, reference=live, parity=compare(candidate, live))


def _pair(one: AssetResult, other: AssetResult) -> Parity:
    differences = [f"candidate {one.outcome}, live {other.outcome}"] if one.outcome is not other.outcome else []
    distance = None
    if one.picture and other.picture:
        differences += _differences(one.picture, other.picture)
        distance = hash_distance(one.picture.fingerprint, other.picture.fingerprint)
        if distance > UNLIKE_ABOVE:
            differences.append(f"another composition (distance {distance} of 64)")
    return Parity(
        number=one.number,
        name=one.planned.name,
        differences=tuple(differences),
        distance=distance,
        seconds_ratio=_ratio(one.seconds, other.seconds),
        cost_ratio=_ratio(one.cost_usd, other.cost_usd),
    )


def _differences(one: Picture, other: Picture) -> list[str]:
    pairs = (
        ("size", f"{one.width} x {one.height}", f"{other.width} x {other.height}"),
        ("format", one.format, other.format),
        ("alpha", "alpha" if one.has_alpha else "opaque", "alpha" if other.has_alpha else "opaque"),
    )
    return [f"{what}: candidate {mine}, live {theirs}" for what, mine, theirs in pairs if mine != theirs]


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 3) if one is not None and other else None
