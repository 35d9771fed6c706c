"""Settings of a RunPod serverless endpoint as REST v2 writes them, and back. All pure.

Shapes: RunPod's openapi.json for REST v2, 2026-08-18.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from provider_client.gpu_catalog import GpuCatalog
from provider_client.runpod_settings import MARKER_KEYS, SCALING, Settings


def to_wire(settings: Settings, catalog: GpuCatalog, markers: Mapping[str, str]) -> dict[str, Any]:
    """Every field of an endpoint but its `type`, which only a create may send."""
    selection = catalog.selection(settings["gpuTypes"])
    scaling = settings["scaling"]
    workers = {"min": settings["workersMin"], "max": settings["workersMax"]}
    if settings.get("idleTimeoutSeconds") is not None:
        workers["idleTimeout"] = settings["idleTimeoutSeconds"]
    return {
        "name": settings["name"],
        "image": settings["image"],
        "args": settings["args"],
        "disk": settings["diskGb"],
        "env": {**settings["env"], **markers},
        "registry": settings.get("registry") or None,
        "gpu": {
            "pools": list(selection.pools),
            "excludedTypes": list(selection.excluded_types),
            "count": settings["gpuCount"],
        },
        "workers": workers,
        "scaling": {"type": scaling["type"], SCALING[scaling["type"]]: scaling["value"]},
        "dataCenterIds": list(settings["dataCenters"]),
        "networkVolumes": list(settings["networkVolumes"]),
        "timeout": settings["executionTimeoutSeconds"] * 1000,
        "flashboot": settings["flashBoot"],
    }


# Which field of the wire carries a setting: what changed together is sent together.
FIELD_OF = {
    "diskGb": "disk",
    "gpuTypes": "gpu",
    "gpuCount": "gpu",
    "workersMin": "workers",
    "workersMax": "workers",
    "idleTimeoutSeconds": "workers",
    "dataCenters": "dataCenterIds",
    "executionTimeoutSeconds": "timeout",
    "flashBoot": "flashboot",
}


def changes_to_wire(
    settings: Settings, changed: Collection[str], catalog: GpuCatalog, markers: Mapping[str, str]
) -> dict[str, Any]:
    """The sparse update that brings the `changed` settings, and nothing else, to their wished values."""
    fields = {FIELD_OF.get(name, name) for name in changed}
    if "scaling" in fields and settings.get("idleTimeoutSeconds") is not None:
        fields.add("workers")  # scaling by queue delay needs an idle timeout, which was absent until now
    return {name: value for name, value in to_wire(settings, catalog, markers).items() if name in fields}


def from_wire(endpoint: Mapping[str, Any], catalog: GpuCatalog) -> dict[str, Any]:
    """The settings of a live endpoint, without our markers."""
    gpu, workers = endpoint.get("gpu") or {}, endpoint.get("workers") or {}
    scaling = endpoint.get("scaling") or {}
    kind = scaling.get("type", "QUEUE_DELAY")
    settings = {
        "name": endpoint.get("name", ""),
        "image": endpoint.get("image") or "",
        "env": {key: value for key, value in (endpoint.get("env") or {}).items() if key not in MARKER_KEYS},
        "workersMin": workers.get("min", 0),
        "workersMax": workers.get("max", 0),
        "gpuTypes": list(catalog.types(gpu.get("pools") or (), gpu.get("excludedTypes") or ())),
        "gpuCount": gpu.get("count", 1),
        "dataCenters": list(endpoint.get("dataCenterIds") or ()),
        "networkVolumes": list(endpoint.get("networkVolumes") or ()),
        "diskGb": endpoint.get("disk") or 0,
        "executionTimeoutSeconds": (endpoint.get("timeout") or 0) // 1000,
        "flashBoot": endpoint.get("flashboot", "OFF"),
        "scaling": {"type": kind, "value": scaling.get(SCALING.get(kind, ""), 0)},
        "args": endpoint.get("args") or "",
    }
    if workers.get("idleTimeout") is not None:
        settings["idleTimeoutSeconds"] = workers["idleTimeout"]
    if endpoint.get("registry"):
        settings["registry"] = endpoint["registry"]
    return settings


def newest_release_in_words(releases: Mapping[str, Any]) -> str:
    """The release that a change behind Pulumi's back has made, as RunPod lists it."""
    newest: Mapping[str, Any] = next(iter(releases.get("releases") or ()), {})
    fields = ", ".join(str(change.get("field")) for change in newest.get("diff") or ()) or "nothing it names"
    made = f"{newest.get('createdAt', 'at an unknown time')} ({newest.get('source', 'unknown source')})"
    return f"RunPod's newest release, {newest.get('version', 'unknown')}, was made {made} and changes {fields}"
