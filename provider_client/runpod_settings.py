"""What a RunPod serverless endpoint is set to: rules, defaults, differences in words. All pure.

Settings are plain dictionaries with the property names of the stack's `runpod` object and of the resource
switchback:index:RunPodEndpoint. Rules and shapes: RunPod's openapi.json for REST v2, 2026-08-18.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from provider_client.gpu_catalog import GpuCatalog, nearest_names

Settings = Mapping[str, Any]

# The marker makes an endpoint recognisable as ours; neither key is part of what the user set.
MARKER = "SWITCHBACK_MARKER"
INPUTS_DIGEST = "SWITCHBACK_INPUTS"
MARKER_KEYS = frozenset({MARKER, INPUTS_DIGEST})

REQUIRED = ("name", "image", "gpuTypes")
DEFAULTS: Settings = {
    "env": {},
    "workersMin": 0,
    "workersMax": 3,
    "gpuCount": 1,
    "dataCenters": [],
    "networkVolumes": [],
    "diskGb": 30,
    "executionTimeoutSeconds": 600,
    "flashBoot": "FLASHBOOT",
    "scaling": {"type": "QUEUE_DELAY", "value": 4},
    "args": "",
}
DEFAULT_IDLE_TIMEOUT_SECONDS = 30
OPTIONAL = ("idleTimeoutSeconds", "registry")
PROPERTIES = (*REQUIRED, *DEFAULTS, *OPTIONAL)

WHOLE_NUMBERS: Mapping[str, tuple[int, int | None]] = {
    "workersMin": (0, None),
    "workersMax": (0, None),
    "idleTimeoutSeconds": (1, 3600),
    "gpuCount": (1, None),
    "diskGb": (1, None),
}
EXECUTION_TIMEOUT_SECONDS = (5, 604_800)  # 0 is RunPod's own default
FLASH_BOOT = ("OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT")
SCALING = {"QUEUE_DELAY": "queueDelay", "REQUEST_COUNT": "requestCount"}

# Sources differ on whether env and flashBoot alone make a release; saying "roll" too often is the safe side.
MAKES_RELEASE = frozenset({"image", "env", "args", "diskGb", "registry", "gpuTypes", "gpuCount", "flashBoot"})
IN_CONTAINER = ("image", "env", "args", "diskGb", "registry", "gpuTypes", "gpuCount")
UNORDERED = frozenset({"gpuTypes", "dataCenters", "networkVolumes"})


@dataclass(frozen=True)
class Problem:
    """A setting that RunPod would refuse: its property path and why."""

    property: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same on both sides."""

    property: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.property == "env":
            return f"env ({', '.join(_changed_keys(self.old, self.new))})"
        return f"{self.property} {_words(self.old)} → {_words(self.new)}"


def with_defaults(settings: Settings) -> dict[str, Any]:
    """Every setting present, so that every field is sent: RunPod's surfaces disagree about their defaults."""
    complete = {**DEFAULTS, **{name: value for name, value in settings.items() if value is not None}}
    scaling = complete["scaling"]
    counts_requests = isinstance(scaling, Mapping) and scaling.get("type") == "REQUEST_COUNT"
    if not counts_requests:
        complete.setdefault("idleTimeoutSeconds", DEFAULT_IDLE_TIMEOUT_SECONDS)
    return complete


def problems(settings: Settings, catalog: GpuCatalog) -> list[Problem]:
    """All that RunPod would refuse or that would do harm. Absent settings are not judged."""
    found = [
        Problem(name, f"there is no setting '{name}'{_did_you_mean(name, PROPERTIES)}")
        for name in settings
        if name not in PROPERTIES and name != "type"
    ]
    if settings.get("type", "QUEUE") != "QUEUE":
        found.append(Problem("type", "only QUEUE endpoints are offered: the gateway submits jobs to a queue"))
    found += _number_problems(settings) + _choice_problems(settings) + _collection_problems(settings)
    found += _gpu_problems(settings, catalog)
    return found or _combination_problems(settings)


def _number_problems(settings: Settings) -> list[Problem]:
    found = []
    for name, (low, high) in WHOLE_NUMBERS.items():
        value = settings.get(name)
        if value is not None and not (_is_whole(value) and low <= value and (high is None or value <= high)):
            limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
            found.append(Problem(name, f"must be a whole number {limits}, is {_words(value)}"))
    seconds, (low, high) = settings.get("executionTimeoutSeconds"), EXECUTION_TIMEOUT_SECONDS
    if seconds is not None and not (_is_whole(seconds) and (seconds == 0 or low <= seconds <= high)):
        allowed = f"must be from {low} s to {high} s (7 days), or 0 for RunPod's own default"
        found.append(Problem("executionTimeoutSeconds", f"{allowed}, is {_words(seconds)}"))
    return found


def _choice_problems(settings: Settings) -> list[Problem]:
    found = []
    flash_boot = settings.get("flashBoot")
    if flash_boot is not None and flash_boot not in FLASH_BOOT:
        found.append(Problem("flashBoot", f"must be one of {', '.join(FLASH_BOOT)}, is {_words(flash_boot)}"))
    found += [
        Problem(name, "must not be empty")
        for name in ("name", "image")
        if name in settings and not (isinstance(settings[name], str) and settings[name].strip())
    ]
    found += [
        Problem(name, "must be a string")
        for name in ("args", "registry")
        if not isinstance(settings.get(name), str | None)
    ]
    scaling = settings.get("scaling")
    return found if scaling is None else found + _scaling_problems(scaling)


def _scaling_problems(scaling: object) -> list[Problem]:
    if not isinstance(scaling, Mapping) or scaling.get("type") not in list(SCALING):
        return [Problem("scaling.type", f"must be {' or '.join(SCALING)}")]
    value = scaling.get("value")
    if scaling["type"] == "QUEUE_DELAY" and not (_is_number(value) and value >= 0.5):
        return [Problem("scaling.value", f"must be at least 0.5 (seconds in the queue), is {_words(value)}")]
    if scaling["type"] == "REQUEST_COUNT" and not (_is_number(value) and value >= 1 and value % 1 == 0):
        return [Problem("scaling.value", f"must be a whole number of requests, at least 1, is {_words(value)}")]
    return []


def _collection_problems(settings: Settings) -> list[Problem]:
    found = []
    for name in sorted(UNORDERED):
        value = settings.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            found.append(Problem(name, "must be a list of strings"))
    env = settings.get("env")
    if env is not None and not (isinstance(env, Mapping) and all(isinstance(v, str) for v in env.values())):
        found.append(Problem("env", "must be a map of strings"))
    elif env and MARKER_KEYS & env.keys():
        reserved = ", ".join(sorted(MARKER_KEYS & env.keys()))
        found.append(Problem("env", f"{reserved} is set by Switchback itself, remove it"))
    return found


def _gpu_problems(settings: Settings, catalog: GpuCatalog) -> list[Problem]:
    types = settings.get("gpuTypes")
    if not isinstance(types, list):
        return []
    if not types:
        return [Problem("gpuTypes", "must name at least one GPU type, for example 'NVIDIA L40'")]
    known = {gpu.name for gpu in catalog.gpus}
    return [
        Problem(f"gpuTypes[{index}]", catalog.unknown(name))
        for index, name in enumerate(types)
        if isinstance(name, str) and name not in known
    ]


def _combination_problems(settings: Settings) -> list[Problem]:
    found = []
    least, most = settings.get("workersMin"), settings.get("workersMax")
    if least is not None and most is not None and most < least:
        found.append(Problem("workersMax", f"must be at least workersMin ({least}), is {most}"))
    scaling = settings.get("scaling") or {}
    if scaling.get("type") == "REQUEST_COUNT" and settings.get("idleTimeoutSeconds") is not None:
        reason = "does not apply when scaling is REQUEST_COUNT; remove it, or use scaling QUEUE_DELAY"
        found.append(Problem("idleTimeoutSeconds", reason))
    return found


# RunPod's own scale-down (docs, endpoint-configurations, 2026-06-24): new workersMax → days without requests.
SCALED_DOWN_AFTER = {2: 3, 0: 7}


def differences(old: Settings, new: Settings) -> list[Difference]:
    """Settings whose meaning differs; the order within a set of names, "" and absent, 4 and 4.0 mean the same."""
    return [
        Difference(name, old.get(name), new.get(name))
        for name in PROPERTIES
        if _normal(name, old.get(name)) != _normal(name, new.get(name))
    ]


def rolls_workers(changed: Collection[str]) -> bool:
    """Whether RunPod makes a release, which replaces workers as they come free."""
    return bool(MAKES_RELEASE & set(changed))


def container_digest(settings: Settings) -> str:
    """One short digest of all that decides what runs in the container, and on what."""
    return digest({name: _normal(name, settings.get(name)) for name in IN_CONTAINER})


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def drift_in_words(
    recorded: Settings, live: Settings, *, happened: str = "changed outside of Pulumi"
) -> dict[str, str]:
    """What happened to each setting since it was recorded, naming RunPod's own scale-down as what it is."""
    drifts = {difference.property: difference for difference in differences(recorded, live)}
    words = {name: f"{happened}: {drift}" for name, drift in drifts.items()}
    most = drifts.get("workersMax")
    if most is None or not _is_number(most.old) or most.new not in SCALED_DOWN_AFTER or most.new >= most.old:
        return words
    days = SCALED_DOWN_AFTER[most.new]
    lowered = "RunPod itself lowered {} from {} to {} (it does so after {} days without requests)"
    words["workersMax"] = lowered.format("workersMax", most.old, most.new, days)
    if most.new == 0:
        words["workersMax"] += ": no job can run until it is raised"
    least = drifts.get("workersMin")
    if least is not None and least.new == most.new:
        words["workersMin"] = lowered.format("workersMin", least.old, least.new, days)
    return words


def _normal(name: str, value: Any) -> Any:
    if name in UNORDERED:
        return sorted(set(map(str, value or ())))
    if name == "scaling" and isinstance(value, Mapping):
        return {"type": value.get("type"), "value": _as_float(value.get("value"))}
    return value or ("" if name in ("args", "registry") else value)


def _as_float(value: Any) -> Any:
    return float(value) if _is_number(value) else value


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _changed_keys(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    before, after = old or {}, new or {}
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(item) for item in value.values())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _did_you_mean(name: str, names: Collection[str]) -> str:
    near = nearest_names(name, list(names))
    return f"; did you mean '{near[0]}'?" if near else ""
