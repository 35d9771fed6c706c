from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_client.gpu_catalog import (
    POOL_MEMBERS,
    GpuSelection,
    UnknownGpuType,
    live_catalog,
    packaged_catalog,
)

CATALOG = packaged_catalog()
TYPES = [gpu.name for gpu in CATALOG.gpus]


def test_an_l40_is_its_pool_without_the_two_others() -> None:
    assert CATALOG.selection(["NVIDIA L40"]) == GpuSelection(
        ("ADA_48_PRO",), ("NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation")
    )


@given(st.sets(st.sampled_from(TYPES), min_size=1))
def test_types_survive_the_way_to_pools_and_back(types: set[str]) -> None:
    selection = CATALOG.selection(sorted(types))
    assert set(CATALOG.types(selection.pools, selection.excluded_types)) == types


def test_pools_keep_the_order_of_preference() -> None:
    assert CATALOG.selection(["NVIDIA A40", "NVIDIA L40"]).pools == ("AMPERE_48", "ADA_48_PRO")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("L40", "NVIDIA L40"),
        ("nvidia l40s", "NVIDIA L40S"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("4090", "NVIDIA GeForce RTX 4090"),
        ("A100", "NVIDIA A100 80GB PCIe"),
        ("RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
        ("NVIDIA RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("NVIDIA L4O", "NVIDIA L40"),
    ],
)
def test_a_near_miss_gets_the_right_name(written: str, meant: str) -> None:
    with pytest.raises(UnknownGpuType, match=f"did you mean.*'{meant}'"):
        CATALOG.selection([written])


def test_a_pool_in_place_of_a_type_is_explained() -> None:
    with pytest.raises(UnknownGpuType, match=r"'ADA_24' is a pool.*'NVIDIA GeForce RTX 4090'"):
        CATALOG.selection(["ADA_24"])


@given(st.text())
def test_any_text_gets_a_sentence(name: str) -> None:
    assert CATALOG.unknown(name).startswith(f"'{name}' is ")


@pytest.mark.parametrize(
    ("gpu", "per_day"),
    [
        ("NVIDIA L4", 16.42),
        ("NVIDIA GeForce RTX 4090", 26.78),
        ("NVIDIA A40", 29.38),
        ("NVIDIA L40", 45.79),
        ("NVIDIA H100 PCIe", 100.22),
    ],
)
def test_a_day_of_one_worker_costs_what_the_price_table_says(gpu: str, per_day: float) -> None:
    """The figures of RunPod's table for five pools; "$16-28 for an L40" was the price of 24 GB pools."""
    price = CATALOG.price([gpu])
    assert price is not None
    assert (price.per_day_usd, "2026-06-08" in price.source) == (per_day, True)


def test_the_dearest_of_several_gpus_is_the_price() -> None:
    price = CATALOG.price(["NVIDIA L4", "NVIDIA L40"], gpu_count=2)
    assert price is not None
    assert price.per_second_usd == pytest.approx(2 * 0.00053)


def test_no_price_is_claimed_for_a_gpu_without_one() -> None:
    assert CATALOG.price(["NVIDIA GeForce RTX 5090"]) is None
    assert CATALOG.price(["NVIDIA L40", "NVIDIA GeForce RTX 5090"]) is None


def test_the_live_catalog_has_prices_per_hour_and_skips_what_serverless_has_not() -> None:
    catalog = live_catalog(
        [
            {"id": "NVIDIA L40", "pool": "ADA_48_PRO", "price": {"serverless": 1.908}},
            {"id": "NVIDIA X1", "pool": "NEW_POOL", "price": {"secure": 1.0}},
            {"id": "AMD MI300X", "pool": None, "price": {}},
        ],
        "2026-11-23",
    )
    price = catalog.price(["NVIDIA L40"])
    assert price is not None
    assert (price.per_day_usd, price.source) == (45.79, "RunPod's live catalog, 2026-11-23")
    assert [gpu.name for gpu in catalog.gpus] == ["NVIDIA L40", "NVIDIA X1"]
    assert catalog.price(["NVIDIA X1"]) is None


def test_no_gpu_is_in_two_pools() -> None:
    assert len(TYPES) == len(set(TYPES)) == sum(len(names) for names in POOL_MEMBERS.values())
