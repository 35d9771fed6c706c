"""The page of pictures: every verification of the story in its order, with what was generated and the verdict."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

PAGE = "pictures.html"


def write_page(directory: Path, times: list[tuple[str, float, bool]], clock_speed: float) -> Path:
    """Made from the reports that the runs left under `directory`; the pictures stay where they are."""
    reports = sorted((directory / ".switchback" / "reports").glob("*/report.json"))
    runs = [_run(path, directory) for path in sorted(reports, key=lambda path: path.parent.name)]
    environment = Environment(loader=PackageLoader("demo"), autoescape=True)
    environment.filters["code"] = _code
    template = environment.get_template("page.html.j2")
    page = directory / PAGE
    page.write_text(template.render(runs=runs, times=times, clock_speed=clock_speed), encoding="utf-8")
    return page


def _code(text: str) -> Markup:
    """What stands between backticks is a command."""
    return Markup(re.sub("`(.+?)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped before)


def _run(path: Path, directory: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    folder = Path(os.path.relpath(path.parent, directory))
    for asset in report["assets"]:
        picture = asset["picture"]
        asset["source"] = str(folder / picture["file"]) if picture else None
    return {**report, "details": str(folder / "report.html")}
