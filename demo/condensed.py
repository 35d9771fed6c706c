"""What of Pulumi's non-interactive output a reader of the demo needs: each resource once, our progress, errors in full.

`pulumi up` in a terminal of one's own redraws its lines in place; printed one below the other they are five times as
many, so the demo leaves out what the next line says again.
"""

from __future__ import annotations

import re

STEP = re.compile(
    r"^ *(?P<sign>\+\+|--|\+-|[-+~])? +(?P<type>\w+:[\w/]+:\w+) (?P<name>\S+) "
    r"(?P<verb>\*\*\w+ failed\*\*|creating|created|updating|updated|update|replacing|replaced|deleting|deleted)?"
    r"(?: \((?P<seconds>[\d.]+)s\))?(?P<rest>.*)$"
)
FINISHED = ("created", "updated", "replaced", "deleted", "update")
QUIET_TYPES = ("pulumi:pulumi:Stack", "pulumi:providers:", "switchback:infra:")
SECTION = re.compile(r"^(Diagnostics|Outputs|Resources|Duration)\b")
OWNER = re.compile(r"^  (\w+:[\w/]+:\w+) \((\S+)\):$")
SAID_BEFORE = re.compile(r"^    (warning: )?(txt2img|img2img|remove_background|pipeline) \d+/\d+")
IN_FULL_LATER = re.compile(r"warning: (?!txt2img|img2img|remove_background|pipeline)")
TERRAFORM = "[WARNING]"  # Cloudflare's plugin warns at each lifecycle rule that destroy leaves it behind
WIDTH = 160


class Condensed:
    """Feed it line by line; it gives back the line to print, or None."""

    def __init__(self) -> None:
        self._section = ""
        self._is_ours = False
        self._is_told = False
        self._last = ""

    def line(self, text: str) -> str | None:
        started = SECTION.match(text)
        if started:
            self._section = started.group(1)
            return None
        if self._section == "Diagnostics":
            return self._diagnostic(text)
        if self._section == "Resources":
            return text.rstrip() or None
        if self._section:
            return None
        return self._step(text)

    def _step(self, text: str) -> str | None:
        found = STEP.match(text)
        if not found or found["type"].startswith(QUIET_TYPES) or TERRAFORM in text:
            return None
        name = f"{found['type'].rpartition(':')[2]} {found['name']}"
        verb = found["verb"] or ""
        if verb in FINISHED:
            seconds = f" in {float(found['seconds']):.1f} s" if found["seconds"] else ""
            return self._once(f"{found['sign'] or ' ':2} {name} {verb}{seconds}")
        said = re.sub(r"^ ?\[diff: .*?\]", "", found["rest"]).strip("; ")
        if not said or "started" in said or said.startswith("error:") or (IN_FULL_LATER.match(said)):
            return None
        return self._once(f"   {name}: {said.removeprefix('warning: ')}")

    def _once(self, text: str) -> str | None:
        repeated, self._last = text == self._last, text
        if repeated:
            return None
        return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"

    def _diagnostic(self, text: str) -> str | None:
        """Errors and warnings of our own resources, with the lines that belong to them."""
        owner = OWNER.match(text)
        if owner:
            self._is_ours = owner.group(1).startswith("switchback:index:")
            return None
        if not text.startswith("      "):
            told = text.strip().startswith(("error:", "warning:")) and not SAID_BEFORE.match(text)
            self._is_told = self._is_ours and told
        return text.rstrip() if self._is_told and text.strip() else None
