"""Takes secrets out of texts before they are shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "[redacted]"
SHORTEST_SECRET = 4  # shorter values would blot out ordinary words

_SHAPES = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\b(bearer|basic)\s+[\w.~+/=-]{12,}", rf"\1 {REDACTED}"),
        (r"(://)[^/\s:@]+:[^/\s@]+@", rf"\1{REDACTED}@"),
        (r"\b(rpa|sk|api|key)_[A-Za-z0-9]{16,}", REDACTED),
        (
            r"([?&](?:token|key|api_?key|apikey|secret|signature|policy|key-pair-id|x-amz-[a-z-]+|sig)=)[^&\s\"'<>]+",
            rf"\1{REDACTED}",
        ),
        (r"((?:x-api-key|authorization)[\"']?\s*[:=]\s*[\"']?)(?!bearer|basic)[^\s\"',}]{6,}", rf"\1{REDACTED}"),
    )
)
_SERVER_PATH = re.compile(r"(?<![\w:/.<])/(?:[\w.+-]+/)+[\w.+-]+")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets and without what looks like one: credentials, signed query values.

    Longer secrets go first, so that one which contains another leaves no rest behind.
    """
    for secret in sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def without_server_paths(text: str) -> str:
    """`text` without absolute paths: ComfyUI's exception messages tell where it is installed."""
    return _SERVER_PATH.sub("<path>", text)
