"""The contact sheet: one HTML file that holds its pictures, for eyes to judge what no check can."""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from provider_client.verification.images import BrokenImage, open_picture
from provider_client.verification.measurement import Outcome, brief
from provider_client.verification.report import AssetResult, Report, file_name

LONGEST_SIDE = 768
WORDS = {
    Outcome.SUCCESSFUL: "Verified",
    Outcome.INCONCLUSIVE: "Not settled",
    Outcome.ERROR: "Could not judge",
    Outcome.FAILED: "Failed",
}


def contact_sheet(report: Report) -> str:
    """Self-contained HTML, no script. Pictures are embedded scaled down; the originals lie beside the file."""
    template = _environment().get_template("contact_sheet.html.j2")
    wrong = [_card(asset, report) for asset in report.assets if asset.problems]
    right = [_card(asset, report) for asset in report.assets if not asset.problems]
    word = "Stopped" if report.cancelled else WORDS[report.verdict.outcome]
    return template.render(report=report, word=word, sheets=[wrong, right])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("provider_client.verification.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    environment.filters["brief"] = brief
    return environment


def _code(text: str) -> Markup:
    """Our own texts set names and commands in backticks."""
    return Markup(re.sub("`(.+?)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped before)


def _card(asset: AssetResult, report: Report) -> dict[str, Any]:
    others = report.reference.assets if report.reference else ()
    other = next((other.content for other in others if other.number == asset.number), None)
    return {
        "asset": asset,
        "problems": asset.problems,
        "image": _thumbnail(asset.content),
        "source": _thumbnail(asset.source, longest=192),
        "reference": _thumbnail(other),
        "parity": next((pair for pair in report.parity if pair.number == asset.number), None),
        "file": f"pictures/{file_name(asset)}" if asset.content else "",
    }


def _thumbnail(content: bytes | None, longest: int = LONGEST_SIDE) -> str:
    """A data URI of the picture scaled down as WebP, which keeps transparency; "" when there is nothing to show."""
    if content is None:
        return ""
    try:
        image: Image.Image = open_picture(content)
    except BrokenImage:
        return ""
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
