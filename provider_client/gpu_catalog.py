"""RunPod's GPUs: which type is in which pool, and what a worker costs.

Serverless v2 selects pools, not GPUs: "NVIDIA L40" is the pool ADA_48_PRO without its other two members.
The live catalog (GET /v2/catalog/gpus) decides; the table below stands in while RunPod cannot be reached.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from provider_client.errors import ConfigError

SECONDS_PER_DAY = 86_400

# docs.runpod.io references/gpu-types; ADA_32_PRO, BLACKWELL_96 and BLACKWELL_180 from RunPod's own flash client.
POOL_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "AMPERE_16": (
        "NVIDIA RTX A4000",
        "NVIDIA RTX A4500",
        "NVIDIA RTX 4000 Ada Generation",
        "NVIDIA RTX 2000 Ada Generation",
    ),
    "AMPERE_24": ("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090"),
    "ADA_24": ("NVIDIA GeForce RTX 4090",),
    "ADA_32_PRO": ("NVIDIA GeForce RTX 5090",),
    "AMPERE_48": ("NVIDIA RTX A6000", "NVIDIA A40"),
    "ADA_48_PRO": ("NVIDIA L40", "NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"),
    "AMPERE_80": ("NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"),
    "BLACKWELL_96": (
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
    ),
    "ADA_80_PRO": ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H100 NVL"),
    "HOPPER_141": ("NVIDIA H200",),
    "BLACKWELL_180": ("NVIDIA B200",),
}

# US$ per second and GPU, list price. The table has no row for ADA_32_PRO.
PRICE_PER_SECOND_USD: Mapping[str, float] = {
    "AMPERE_16": 0.00016,
    "AMPERE_24": 0.00019,
    "ADA_24": 0.00031,
    "AMPERE_48": 0.00034,
    "ADA_48_PRO": 0.00053,
    "AMPERE_80": 0.00076,
    "BLACKWELL_96": 0.00111,
    "ADA_80_PRO": 0.00116,
    "HOPPER_141": 0.00155,
    "BLACKWELL_180": 0.00240,
}
DEFAULT_TYPES = ("NVIDIA L40",)
PRICE_SOURCE = "RunPod's price table of 2026-06-08"


class UnknownGpuType(ConfigError):
    """A GPU type that the catalog does not have; the message proposes the one that was probably meant."""


@dataclass(frozen=True)
class Gpu:
    """One GPU type. `price_per_second` is US$ for one GPU of a serverless worker, None where nobody says."""

    name: str
    pool: str
    price_per_second: float | None = None


@dataclass(frozen=True)
class GpuSelection:
    """What REST v2 is asked for: pools in order of preference, without the types nobody asked for."""

    pools: tuple[str, ...]
    excluded_types: tuple[str, ...]


@dataclass(frozen=True)
class Price:
    """US$ per second that one worker costs while it is up, and where the figure comes from."""

    per_second_usd: float
    source: str

    @property
    def per_day_usd(self) -> float:
        return round(self.per_second_usd * SECONDS_PER_DAY, 2)


@dataclass(frozen=True)
class GpuCatalog:
    """All GPU types that serverless endpoints can use. `source` names where prices and pools come from."""

    gpus: tuple[Gpu, ...]
    source: str

    def selection(self, types: Sequence[str]) -> GpuSelection:
        """Pools and exclusions for exactly these types; UnknownGpuType for a name that does not exist."""
        pool_of = {gpu.name: gpu.pool for gpu in self.gpus}
        for name in types:
            if name not in pool_of:
                raise UnknownGpuType(self.unknown(name))
        pools = tuple(dict.fromkeys(pool_of[name] for name in types))
        excluded = (gpu.name for gpu in self.gpus if gpu.pool in pools and gpu.name not in types)
        return GpuSelection(pools, tuple(excluded))

    def types(self, pools: Iterable[str], excluded_types: Iterable[str] = ()) -> tuple[str, ...]:
        """The way back: the GPU types that these pools and exclusions leave."""
        excluded = frozenset(excluded_types)
        return tuple(g.name for pool in pools for g in self.gpus if g.pool == pool and g.name not in excluded)

    def unknown(self, name: str) -> str:
        """One sentence on why `name` is no GPU type, with the nearest ones that are."""
        members = self.types([name])
        if members:
            return f"'{name}' is a pool, not a GPU type; its types are {_listing(members)}"
        near = nearest_names(name, [gpu.name for gpu in self.gpus])
        if near:
            return f"'{name}' is not a GPU type of RunPod; did you mean {_listing(near, 'or')}?"
        return f"'{name}' is not a GPU type of RunPod; there are {_listing([gpu.name for gpu in self.gpus])}"

    def price(self, types: Sequence[str], gpu_count: int = 1) -> Price | None:
        """Price of one worker, the dearest of its possible GPUs; None when one of them has no known price."""
        prices = [gpu.price_per_second for gpu in self.gpus if gpu.name in types]
        known = [price for price in prices if price is not None]
        if not known or len(known) != len(prices):
            return None
        return Price(max(known) * gpu_count, self.source)


def packaged_catalog() -> GpuCatalog:
    """The catalog as of the table above, for when the live one cannot be had."""
    gpus = (
        Gpu(name, pool, PRICE_PER_SECOND_USD.get(pool)) for pool, names in POOL_MEMBERS.items() for name in names
    )
    return GpuCatalog(tuple(gpus), PRICE_SOURCE)


def live_catalog(gpus: Iterable[Mapping[str, object]], read_on: str) -> GpuCatalog:
    """The catalog from the API's answer; `read_on` is the date it was asked. A type without a pool is left out."""
    return GpuCatalog(
        tuple(
            Gpu(str(gpu["id"]), str(gpu["pool"]), _serverless_price(gpu.get("price")))
            for gpu in gpus
            if gpu.get("id") and gpu.get("pool")
        ),
        f"RunPod's live catalog, {read_on}",
    )


def _serverless_price(price: object) -> float | None:
    """The wire has US$ per hour and GPU."""
    per_hour = price.get("serverless") if isinstance(price, Mapping) else None
    return float(per_hour) / 3600 if isinstance(per_hour, int | float) else None


def nearest_names(wanted: str, names: Sequence[str]) -> list[str]:
    """Names that contain every word of `wanted`, the shortest first; else those spelled most alike."""
    words = _words(wanted)
    containing = sorted((n for n in names if words and words <= _words(n)), key=lambda name: (len(name), name))
    if containing:
        return containing[:3]
    plain = {_plain(name): name for name in names}
    return [plain[match] for match in difflib.get_close_matches(_plain(wanted), list(plain), n=3, cutoff=0.6)]


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]*\d+[a-z]*|[a-z]+", name.lower())) - {"nvidia", "geforce"}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]|nvidia|geforce|generation|edition", "", name.lower())


def _listing(names: Sequence[str], conjunction: str = "and") -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"
