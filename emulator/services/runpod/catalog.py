"""RunPod's GPUs, data centers and prices, as GET /v2/catalog/* tells them.

GPU names and pools: docs references/gpu-types and RunPod's flash client; prices: docs price table of 2026-06-08, one
GPU, serverless, US$ per second. The table has no row for ADA_32_PRO: its figure here is invented, and marked so in
the honesty table, as are stock levels and the prices of pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Availability = Literal["NONE", "LOW", "MEDIUM", "HIGH"]
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Pool:
    """GPU types that serverless hands out under one name. `price` is US$ per second and GPU."""

    gpus: tuple[str, ...]
    memory: int
    price: float
    availability: Availability = "HIGH"


POOLS: Mapping[str, Pool] = {
    "AMPERE_16": Pool(
        ("NVIDIA RTX A4000", "NVIDIA RTX A4500", "NVIDIA RTX 4000 Ada Generation", "NVIDIA RTX 2000 Ada Generation"),
        16, 0.00016,
    ),
    "AMPERE_24": Pool(("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090"), 24, 0.00019),
    "ADA_24": Pool(("NVIDIA GeForce RTX 4090",), 24, 0.00031),
    "ADA_32_PRO": Pool(("NVIDIA GeForce RTX 5090",), 32, 0.00044, "MEDIUM"),
    "AMPERE_48": Pool(("NVIDIA RTX A6000", "NVIDIA A40"), 48, 0.00034, "MEDIUM"),
    "ADA_48_PRO": Pool(("NVIDIA L40", "NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"), 48, 0.00053),
    "AMPERE_80": Pool(("NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"), 80, 0.00076, "MEDIUM"),
    "BLACKWELL_96": Pool(
        (
            "NVIDIA RTX PRO 6000 Blackwell Server Edition",
            "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
            "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        ),
        96, 0.00111, "LOW",
    ),
    "ADA_80_PRO": Pool(("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H100 NVL"), 80, 0.00116, "MEDIUM"),
    "HOPPER_141": Pool(("NVIDIA H200",), 141, 0.00155, "LOW"),
    "BLACKWELL_180": Pool(("NVIDIA B200",), 180, 0.00240, "LOW"),
}  # fmt: skip
CUDA_VERSIONS = ("12.4", "12.6", "12.8", "12.9", "13.0")
DATA_CENTERS = (
    "EU-RO-1", "CA-MTL-1", "EU-SE-1", "US-IL-1", "EUR-IS-1", "EU-CZ-1", "US-TX-3", "EUR-IS-2", "US-KS-2", "US-GA-2",
    "US-WA-1", "US-TX-1", "CA-MTL-3", "EU-NL-1", "US-TX-4", "US-CA-2", "US-NC-1", "OC-AU-1", "US-DE-1", "EUR-IS-3",
    "CA-MTL-2", "AP-JP-1", "EUR-NO-1", "EU-FR-1", "US-KS-3", "US-GA-1",
)  # fmt: skip
STOCKED = DATA_CENTERS[:6]


def gpu_types(pools: list[str], excluded: list[str]) -> list[str]:
    """The GPU types that a selection leaves, in the order of its pools."""
    return [gpu for pool in pools for gpu in POOLS[pool].gpus if gpu not in excluded]


def gpus(stock: Mapping[str, Availability], *, with_availability: bool) -> list[dict[str, Any]]:
    """GET /v2/catalog/gpus. `stock` overrides the availability of pools."""
    rows = []
    for name, pool in POOLS.items():
        hourly = round(pool.price * SECONDS_PER_HOUR, 4)
        for gpu in pool.gpus:
            row: dict[str, Any] = {
                "id": gpu,
                "name": gpu.removeprefix("NVIDIA ").removeprefix("GeForce "),
                "pool": name,
                "manufacturer": "NVIDIA",
                "memory": pool.memory,
                "secure": True,
                "community": False,
                "price": {"secure": round(hourly * 0.6, 4), "community": None, "serverless": hourly},
                "maxCount": 8,
            }
            if with_availability:
                level = stock.get(name, pool.availability)
                row["availability"] = level
                row["dataCenters"] = [] if level == "NONE" else list(STOCKED)
                row["cudaVersions"] = list(CUDA_VERSIONS)
            rows.append(row)
    return rows


def data_centers() -> list[dict[str, Any]]:
    """GET /v2/catalog/datacenters."""
    return [
        {
            "id": name,
            "name": name,
            "region": name.rpartition("-")[0],
            "compliance": [],
            "networkVolumeTypes": ["STANDARD"] if name in STOCKED else [],
        }
        for name in DATA_CENTERS
    ]
