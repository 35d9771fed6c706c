"""What one check saw. Errors are values here: one bad answer never ends the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

LONGEST_TEXT = 400
_DETAILS = re.compile(r"""\[\{.*?'details': (["'])(.+?)\1""")
LONGEST_LINE = 160  # of a progress line or a verdict; the report has the whole text


MITIGATIONS: Mapping[str, str] = {
    "made by": "see which version answers: switchback status",
    "url": "check the bucket, its public access and assetBaseUrl: switchback doctor",
    "url stays": "check the bucket's lifecycle (assetRetentionDays) and who else writes to it",
    "content type": "check who changes objects of the bucket, and the Worker's storing of results",
    "bytes": "check who changes objects of the bucket, and proxies or image optimisers before it",
    "sha256": "check who changes objects of the bucket, and proxies or image optimisers before it",
    "decodes": "repeat it; if it stays, look at the provider's own output and at the size limit of its results",
    "format": "set the workflow's output node to the format that clients expect, or `formats` in a plan file",
    "size": "check width and height in the workflow, and whether the model supports the size",
    "not blank": "look at the prompt filter, the VAE and the precision (`workflows`): black pictures are often NaN",
    "not noise": "check steps, sampler and VAE of the workflow, and that checkpoint and workflow belong together",
    "transparency": "check the background-removal model (`workflows`) and that the output keeps its alpha channel",
    "related to input": "check that the workflow loads the input picture, and its strength (denoise)",
    "changed from input": "check that the workflow's result is saved and not its input, and its strength (denoise)",
    "distinct": "check that seed and prompt reach the workflow, and caches between gateway and provider",
    "fresh": "check that results are stored under a key of their own, and caches before the bucket",
}


class Outcome(StrEnum):
    """Four words, best first. ERROR means the verifier could not judge, whatever the provider is like."""

    SUCCESSFUL = "SUCCESSFUL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"
    FAILED = "FAILED"


_FROM_BEST = tuple(Outcome)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several; of none it is INCONCLUSIVE, because no data is never health."""
    ranked = sorted(outcomes, key=_FROM_BEST.index)
    return ranked[-1] if ranked else Outcome.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One check of one thing: what was measured, against what, and what to do when it is wrong.

    `systematic` says that repeating the request would not help (a missing model, a wrong size),
    so that a few samples are proof where a sporadic failure would need many.
    """

    check: str
    outcome: Outcome
    measured: str
    limit: str = ""
    message: str = ""
    kind: str = ""
    mitigation: str = ""
    systematic: bool = False

    @property
    def sentence(self) -> str:
        """For a person: what was measured against what. A classified failure begins with its kind."""
        if self.kind and self.measured == self.kind:
            return f"{self.kind}: {self.message}" if self.message else self.kind
        surprising = self.limit and not (self.outcome is Outcome.SUCCESSFUL and self.measured == self.limit)
        expected = f", expected {self.limit}" if surprising else ""
        message = f": {self.message}" if self.message else ""
        return f"{self.check} {self.measured}{expected}{message}"


def plain(text: str) -> str:
    """One short printable line of whatever a provider or gateway said: no control characters, no terminal codes."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 2 * LONGEST_TEXT]).split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def brief(text: str, longest: int = LONGEST_LINE) -> str:
    """As much of the text as fits on a line or two: a vendor's error may be a page long.

    ComfyUI's error is the dump of a node in which only `details` says what is wrong.
    """
    if len(text) > longest and (details := _DETAILS.search(text)):
        text = text[: text.find("[{")] + details[2]
    return text if len(text) <= longest else text[: longest - 2].rstrip() + " …"


def passed(check: str, measured: str, limit: str = "") -> Measurement:
    return Measurement(check=check, outcome=Outcome.SUCCESSFUL, measured=plain(measured), limit=plain(limit))


def failed(
    check: str, measured: str, limit: str, message: str = "", *, mitigation: str = "", systematic: bool = True
) -> Measurement:
    """A defect of what came back. Most are the model's or the gateway's own, and repeat."""
    return Measurement(
        check=check,
        outcome=Outcome.FAILED,
        measured=plain(measured),
        limit=plain(limit),
        message=plain(message),
        mitigation=mitigation or MITIGATIONS.get(check, ""),
        systematic=systematic,
    )
