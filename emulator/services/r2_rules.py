"""The rules of R2 as pure functions: conditions, ranges, limits, CORS, and how an object is described.

Conditions, limits and error codes are those of cloudflare/workers-sdk, packages/miniflare/src/workers/r2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.object_store import StoredObject

CHECKSUM_FIELDS = {"md5": "0", "sha1": "1", "sha256": "2", "sha384": "3", "sha512": "4"}
KEY_BYTES = 1024
METADATA_BYTES = 8192
Query = dict[str, Any]


class BindingError(Exception):
    """A refusal on the binding's wire; with an object, the Worker gets that object without a body."""

    def __init__(self, status: int, code: int, message: str, stored: StoredObject | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.stored = status, code, message, stored


NO_SUCH_KEY = (404, 10007, "The specified key does not exist.")
NO_SUCH_BUCKET = (404, 10006, "The specified bucket does not exist.")
PRECONDITION_FAILED = (412, 10031, "At least one of the pre-conditions you specified did not hold.")
INVALID_RANGE = (416, 10039, "The requested range is not satisfiable")


def described(stored: StoredObject, *, http: bool = True, custom: bool = True) -> Query:
    """An object's metadata in the binding's JSON: 64-bit numbers travel as strings."""
    return {
        "name": stored.key,
        "version": stored.version,
        "size": str(stored.size),
        "etag": stored.etag,
        "uploaded": str(stored.uploaded),
        "storageClass": "Standard",
        "httpFields": dict(stored.http) if http else {},
        "customFields": [{"k": name, "v": value} for name, value in stored.custom.items()] if custom else [],
        "checksums": {CHECKSUM_FIELDS[name]: value for name, value in stored.checksums.items()},
    }


def holds(condition: Query, stored: StoredObject | None) -> bool:
    """Whether an `onlyIf` condition is met by what is stored now."""
    matches, differs = condition.get("etagMatches"), condition.get("etagDoesNotMatch")
    before, after = condition.get("uploadedBefore"), condition.get("uploadedAfter")
    if stored is None:
        return matches is None and after is None
    unit = 1000 if condition.get("secondsGranularity") else 1
    uploaded = stored.uploaded // unit
    same = matches is None or any(_etag_matches(item, stored.etag) for item in matches)
    other = differs is None or not any(_etag_matches(item, stored.etag) for item in differs)
    early = before is None or uploaded < int(before) // unit or (matches is not None and same)
    late = after is None or int(after) // unit < uploaded or (differs is not None and other)
    return same and other and early and late


def _etag_matches(wanted: Query, etag: str) -> bool:
    return wanted["type"] == "wildcard" or wanted.get("value") == etag


def requested_range(query: Query, size: int) -> tuple[int, int] | None:
    """Offset and length of the asked part; None for all of it. A header that is not one plain range is ignored."""
    if query.get("rangeHeader"):
        unit, _, text = str(query["rangeHeader"]).partition("=")
        first, dash, last = text.strip().partition("-")
        if unit != "bytes" or not dash or "," in text or not (first or last):
            return None
        if not first:
            return _suffix(int(last), size)
        return _clamped(int(first), int(last) - int(first) + 1 if last else size, size)
    if not query.get("range"):
        return None
    asked = query["range"]
    if "suffix" in asked:
        return _suffix(int(asked["suffix"]), size)
    offset = int(asked.get("offset") or 0)
    return _clamped(offset, int(asked.get("length") or size), size)


def _suffix(length: int, size: int) -> tuple[int, int]:
    if length <= 0:
        raise BindingError(*INVALID_RANGE)
    return max(0, size - length), min(length, size)


def _clamped(offset: int, length: int, size: int) -> tuple[int, int]:
    if offset >= size or length <= 0:
        raise BindingError(*INVALID_RANGE)
    return offset, min(length, size - offset)


def check_limits(key: str, custom: Mapping[str, str]) -> None:
    """Refuse keys and custom metadata that R2 would not take."""
    if len(key.encode()) > KEY_BYTES:
        raise BindingError(400, 10020, "The specified object name is not valid.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in custom.items()) > METADATA_BYTES:
        raise BindingError(400, 10012, "Your metadata headers exceed the maximum allowed metadata size.")


def cors_headers(policy: Query | None, origin: str | None, method: str) -> dict[str, str]:
    """What a browser of this origin is told; nothing when no rule of the bucket's policy fits."""
    for rule in (policy or {}).get("rules") or ():
        allowed = rule["allowed"]
        origins = allowed.get("origins") or []
        if origin is None or method not in allowed.get("methods", ()) or not {origin, "*"} & set(origins):
            continue
        headers = {
            "Access-Control-Allow-Origin": origin if origin in origins else "*",
            "Access-Control-Allow-Methods": ", ".join(allowed["methods"]),
            "Access-Control-Allow-Headers": ", ".join(allowed.get("headers") or ()),
            "Access-Control-Expose-Headers": ", ".join(rule.get("exposeHeaders") or ()),
            "Access-Control-Max-Age": str(rule.get("maxAgeSeconds") or ""),
            "Vary": "Origin",
        }
        return {name: value for name, value in headers.items() if value}
    return {}
