"""What RunPod accepts for an endpoint, and what an accepted body makes of one. Pure; raises Refusal."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from emulator.services.runpod.catalog import DATA_CENTERS, POOLS, gpu_types
from emulator.services.runpod.schema import Value, errors

Json = dict[str, Any]

STRING = Value("string")
STRINGS = Value("array", item=STRING)
GPU = {
    "pools": Value("array", shortest=1, item=STRING),
    "excludedTypes": Value("array", item=STRING, unique=True),
    "count": Value("integer", low=1),
    "allowedCudaVersions": STRINGS,
    "minCudaVersion": STRING,
}
COMMON: Mapping[str, Value] = {
    "name": Value("string", shortest=1),
    "image": Value("string", shortest=1),
    "args": STRING,
    "disk": Value("integer", low=1),
    "ports": STRINGS,
    "env": Value("map"),
    "registry": Value("string", nullable=True),
    "templateId": STRING,
    "cpu": Value(
        "array",
        item=Value("object", fields={"id": STRING, "vcpuCount": Value("integer", low=2)}, required=("id", "vcpuCount")),
    ),
    "workers": Value(
        "object",
        fields={
            "min": Value("integer", low=0),
            "max": Value("integer", low=0),
            "idleTimeout": Value("integer", low=1, high=3600),
        },
    ),
    "scaling": Value(
        "object",
        fields={
            "type": Value("string", choices=("QUEUE_DELAY", "REQUEST_COUNT")),
            "queueDelay": Value("number", low=0.5),
            "requestCount": Value("integer", low=1),
        },
        required=("type",),
    ),
    "dataCenterIds": STRINGS,
    "networkVolumes": STRINGS,
    "timeout": Value("integer", low=0),
    "flashboot": Value("string", choices=("OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT")),
}  # fmt: skip
CREATE = Value(
    "object",
    fields={
        **COMMON,
        "type": Value("string", choices=("QUEUE", "LOAD_BALANCER")),
        "gpu": Value("object", fields=GPU, required=("pools",)),
    },
    required=("name", "type", "scaling"),
)
UPDATE = Value("object", fields={**COMMON, "gpu": Value("object", fields=GPU)})
CONTAINER_FIELDS = ("image", "env", "args", "disk", "ports", "registry", "gpu", "flashboot")
IDLE_DOES_NOT_APPLY = "idleTimeout does not apply to queue-based endpoints scaling on requestCount"
ABSENT_IMAGE = "does-not-exist"  # an image whose name has this is in no registry


class Refusal(Exception):
    """An answer of 4xx."""

    def __init__(self, status: int, detail: str, problems: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.problems = status, detail, problems or []


def check_schema(body: Any, schema: Value, *also: str) -> None:
    """Raises Refusal 422 with all that the schema finds, and what only a rule can say (`also`)."""
    problems = [*errors(body, schema), *also]
    if problems:
        raise Refusal(422, "Request validation failed.", problems)


def created(body: Json, template: Json | None) -> Json:
    """The settings of a new endpoint, as GET will show them."""
    check_schema(body, CREATE)
    if "image" not in body and template is None:
        check_schema(body, Value("object", fields=CREATE.fields, required=("image",)))
    if ("gpu" in body) == ("cpu" in body):
        raise Refusal(400, "exactly one of gpu or cpu must be set")
    preset = template or {}
    settings: Json = {
        "name": body["name"],
        "type": body["type"],
        "image": body.get("image", preset.get("image")),
        "args": body.get("args", preset.get("args", "")),
        "disk": body.get("disk", preset.get("disk", 5)),
        "ports": body.get("ports", preset.get("ports", [])),
        "env": {**preset.get("env", {}), **body.get("env", {})},
        "registry": body.get("registry", preset.get("registry")),
        "workers": {"min": 0, "max": 3, "idleTimeout": 10, **body.get("workers", {})},
        "scaling": body["scaling"],
        "dataCenterIds": body.get("dataCenterIds", []),
        "networkVolumes": body.get("networkVolumes", []),
        "timeout": body.get("timeout", 0),
        "flashboot": body.get("flashboot", "OFF"),
    }
    if "gpu" in body:
        settings["gpu"] = _gpu({}, body["gpu"])
    else:
        settings["cpu"] = [{**one, "memory": one["vcpuCount"] * 2} for one in body["cpu"]]
    return _checked(settings, sent_idle="idleTimeout" in body.get("workers", {}))


def updated(old: Json, body: Json, template: Json | None) -> Json:
    """The settings after a sparse PATCH."""
    check_schema(body, UPDATE)
    if ("cpu" in body and "gpu" in body) or ("cpu" in body and "gpu" in old) or ("gpu" in body and "cpu" in old):
        raise Refusal(400, "an endpoint keeps its kind of compute: gpu or cpu")
    settings = copy.deepcopy(old)
    if template is not None:
        settings |= {key: template[key] for key in ("image", "args", "disk", "ports", "env") if key in template}
    for key, value in body.items():
        if key == "workers":
            settings["workers"] |= value
        elif key == "gpu":
            settings["gpu"] = _gpu(old["gpu"], value)
        elif key != "templateId":
            settings[key] = value
    settings["workers"].setdefault("idleTimeout", 10)
    return _checked(settings, sent_idle="idleTimeout" in body.get("workers", {}))


def _gpu(old: Json, new: Json) -> Json:
    """`pools` without `excludedTypes` clears the exclusions; `excludedTypes` needs `pools`."""
    if "excludedTypes" in new and "pools" not in new:
        raise Refusal(400, "gpu.excludedTypes requires gpu.pools")
    gpu = {**old, **new}
    if "pools" in new and "excludedTypes" not in new:
        gpu.pop("excludedTypes", None)
    unknown = [pool for pool in gpu["pools"] if pool not in POOLS]
    if unknown:
        raise Refusal(400, f"unknown gpu pool '{unknown[0]}'")
    members = gpu_types(gpu["pools"], [])
    outside = [name for name in gpu.get("excludedTypes", []) if name not in members]
    if outside:
        raise Refusal(400, f"gpu.excludedTypes: '{outside[0]}' is not in the selected pools")
    if not gpu_types(gpu["pools"], gpu.get("excludedTypes", [])):
        raise Refusal(400, "gpu.excludedTypes excludes every gpu type of the selected pools")
    allowed, floor = gpu.get("allowedCudaVersions") or [], gpu.get("minCudaVersion") or None
    if allowed and floor:
        raise Refusal(400, "gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive")
    return {**gpu, "count": gpu.get("count", 1), "allowedCudaVersions": allowed, "minCudaVersion": floor}


def _checked(settings: Json, *, sent_idle: bool) -> Json:
    scaling, workers = settings["scaling"], settings["workers"]
    value = {"QUEUE_DELAY": "queueDelay", "REQUEST_COUNT": "requestCount"}[scaling["type"]]
    if value not in scaling or len(scaling) != 2:
        raise Refusal(422, "Request validation failed.", [f"$.scaling: missing property '{value}'"])
    by_count = scaling["type"] == "REQUEST_COUNT"
    if settings["type"] == "LOAD_BALANCER" and not by_count:
        raise Refusal(400, "load balancer endpoints scale on REQUEST_COUNT only")
    if settings["type"] == "QUEUE" and by_count:
        if sent_idle:
            raise Refusal(422, IDLE_DOES_NOT_APPLY, [f"$.workers: {IDLE_DOES_NOT_APPLY}"])
        workers.pop("idleTimeout", None)
    if workers["min"] > workers["max"]:
        raise Refusal(400, f"workers.min ({workers['min']}) must not exceed workers.max ({workers['max']})")
    unknown = [name for name in settings["dataCenterIds"] if name not in DATA_CENTERS]
    if unknown:
        raise Refusal(400, f"unknown data center '{unknown[0]}'")
    if ABSENT_IMAGE in (settings["image"] or ""):
        raise Refusal(422, f"image '{settings['image']}' was not found in its registry")
    return settings


def check_quota(others: int, settings: Json, quota: int) -> None:
    """`others`: the sum of workers.max of all other endpoints."""
    if others + settings["workers"]["max"] > quota:
        raise Refusal(400, f"Max workers across all endpoints must not exceed your workers quota ({quota})")


def release_diff(old: Json, new: Json) -> list[Json]:
    """What a new release lists; empty when workers stay as they are. Values of env are left out."""
    changed = [key for key in CONTAINER_FIELDS if old.get(key) != new.get(key)]
    names = {"image": "template.imageName", "env": "template.env", "gpu": "gpu"}
    hidden = {"env"}
    return [
        {
            "field": names.get(key, key),
            "old": None if key in hidden else old.get(key),
            "new": None if key in hidden else new.get(key),
        }
        for key in changed
    ]
