"""The checks of one picture: what its URL serves, and what can be seen in it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

from provider_client.gateway import DownloadedAsset
from provider_client.models import Asset, Operation
from provider_client.verification.images import BrokenImage, Picture, inspect, outline_likeness, visible_difference
from provider_client.verification.measurement import Measurement, failed, passed
from provider_client.verification.plan import PlannedAsset

BLANK_BELOW = 2.0
NOISE_BELOW = 2.0
NOISE_FROM_SIDE = 64  # the shapes of a smaller sprite are no larger than the blocks that tell them from noise
LEAST_LIKENESS = 0.30
CUT_OUT_DIFFERENCE = 25.0
OLD_SECONDS = 120.0
CUT_OUT = frozenset({Operation.REMOVE_BACKGROUND, Operation.PIPELINE})


def check_delivery(asset: Asset, download: DownloadedAsset, waited_seconds: float) -> list[Measurement]:
    """Is what the URL serves, byte for byte, what the answer promised, and no older than the request?"""
    content, digest = download.content, hashlib.sha256(download.content).hexdigest()
    pairs = [
        ("content type", download.content_type, asset.content_type),
        ("bytes", str(len(content)), str(asset.bytes)),
        ("sha256", digest[:12], asset.sha256[:12]),
    ]
    length = download.headers.get("content-length")
    if length is not None and "content-encoding" not in download.headers:
        pairs.append(("content length", length, str(len(content))))
    measurements = [passed("url", "resolves")]
    for check, measured, stated in pairs:
        same = measured == stated if check != "sha256" else digest == asset.sha256
        message = "the stored object differs from the answer"
        measurements.append(passed(check, measured, stated) if same else failed(check, measured, stated, message))
    age = _age_seconds(download)
    if age is not None:
        limit, shown = waited_seconds + OLD_SECONDS, f"{age:.0f} s old"
        fresh = (
            passed("fresh", shown)
            if age <= limit
            else failed("fresh", shown, f"<= {limit:.0f} s", "an old picture")
        )
        measurements.append(fresh)
    return measurements


def _age_seconds(download: DownloadedAsset) -> float | None:
    """How long the object had been stored when it was served, by the server's own clock; None where it does not say."""
    dates: list[datetime] = []
    for header in ("date", "last-modified"):
        try:
            dates.append(parsedate_to_datetime(download.headers[header]))
        except (KeyError, ValueError, TypeError):
            return None
    served, stored = dates
    if (served.tzinfo is None) != (stored.tzinfo is None):
        return None
    return (served - stored).total_seconds()


def check_content(
    planned: PlannedAsset, asset: Asset, content: bytes, source: Picture | None, formats: Sequence[str]
) -> tuple[list[Measurement], Picture | None]:
    """Everything that is learnt by looking at the picture."""
    try:
        picture = inspect(content)
    except BrokenImage as error:
        return [failed("decodes", "broken", "a whole picture", str(error))], None
    measurements = [
        passed("decodes", picture.format),
        _check_format(picture.content_type, asset.content_type, formats),
        _equal(
            "size",
            _size(picture.width, picture.height),
            _size(planned.width, planned.height),
            "not the size asked for",
        ),
        _equal("stated size", _size(asset.width, asset.height), _size(picture.width, picture.height)),
        *_check_substance(picture),
    ]
    if planned.operation in CUT_OUT:
        measurements.append(_check_transparency(picture, planned))
    if source is not None:
        measurements.extend(_check_relation(picture, source, planned))
    return measurements, picture


def _size(width: int, height: int) -> str:
    return f"{width} x {height}"


def _equal(check: str, measured: str, expected: str, message: str = "") -> Measurement:
    return (
        passed(check, measured, expected) if measured == expected else failed(check, measured, expected, message)
    )


def _check_format(measured: str, stated: str, expected: Sequence[str]) -> Measurement:
    if measured == stated and measured in expected:
        return passed("format", measured, stated)
    return failed("format", measured, " or ".join(expected) if measured == stated else stated)


def _check_substance(picture: Picture) -> Sequence[Measurement]:
    is_sprite = min(picture.width, picture.height) < NOISE_FROM_SIDE
    noise = picture.spread >= BLANK_BELOW and picture.shape < NOISE_BELOW and not is_sprite
    contrast, shape = f"contrast {picture.contrast:.1f}", f"shape {picture.shape:.1f}"
    if picture.contrast < BLANK_BELOW and not noise:
        return [failed("not blank", contrast, f">= {BLANK_BELOW:.0f}", "the picture is empty", systematic=False)]
    if noise:
        return [
            failed("not noise", shape, f">= {NOISE_BELOW:.0f}", "neighbouring pixels know nothing of each other")
        ]
    not_blank = passed("not blank", contrast, f">= {BLANK_BELOW:.0f}")
    return [not_blank] if is_sprite else [not_blank, passed("not noise", shape, f">= {NOISE_BELOW:.0f}")]


def _check_transparency(picture: Picture, planned: PlannedAsset) -> Measurement:
    least, most = planned.transparent
    measured, limit = f"{picture.transparent_share:.0%} transparent", f"{least:.0%} to {most:.0%}"
    if not picture.has_alpha:
        return failed("transparency", "no alpha channel", limit, "the background was not removed")
    if least <= picture.transparent_share <= most:
        return passed("transparency", measured, limit)
    opaque = "the alpha channel is there but opaque" if picture.transparent_share == 0 else ""
    return failed("transparency", measured, limit, opaque)


def _check_relation(picture: Picture, source: Picture, planned: PlannedAsset) -> Sequence[Measurement]:
    """img2img keeps the outlines of its input and changes something; a cut-out changes nothing of what is left."""
    if planned.operation is Operation.REMOVE_BACKGROUND:
        difference = visible_difference(picture, source)
        measured, limit = f"differs by {difference:.0f} of 255", f"<= {CUT_OUT_DIFFERENCE:.0f}"
        if difference <= CUT_OUT_DIFFERENCE:
            return [passed("related to input", measured, limit)]
        return [failed("related to input", measured, limit, "what is left is not what was sent")]
    if planned.strength == 1:
        return []  # which means: ignore the input
    likeness = outline_likeness(picture, source)
    measured, limit = f"outlines alike to {likeness:.2f}", f">= {LEAST_LIKENESS:.2f}"
    if likeness < LEAST_LIKENESS:
        return [failed("related to input", measured, limit, "the picture has nothing of its input")]
    if picture.small == source.small and planned.strength != 0:
        return [failed("changed from input", "identical", "changed", "the input came back unchanged")]
    return [passed("related to input", measured, limit)]
