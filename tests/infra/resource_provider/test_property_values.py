from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from infra.resource_provider.property_values import (
    UNKNOWN_STRING,
    Unknown,
    from_plain,
    is_known,
    secret_paths,
    to_plain,
)

NUMBER_SENTINEL = "3eeb2bf0-c639-47a8-9e75-3b44932eb421"
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
plain_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | FLOATS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=5), plain_values, max_size=4))
def test_plain_values_survive_the_wire(values: dict[str, object]) -> None:
    wire = PropertyValue.marshal_map(from_plain(values))
    assert to_plain(PropertyValue.unmarshal_map(wire)) == values


def test_whole_numbers_are_ints_again() -> None:
    plain = to_plain({"workersMax": PropertyValue(3.0), "delay": PropertyValue(0.5), "on": PropertyValue(True)})
    assert [type(value) for value in plain.values()] == [int, float, bool]


def test_unknowns_keep_their_sentinel() -> None:
    plain = to_plain({"workersMax": PropertyValue(NUMBER_SENTINEL)})
    assert plain == {"workersMax": Unknown(NUMBER_SENTINEL)}
    assert from_plain(plain)["workersMax"].value == NUMBER_SENTINEL


@pytest.mark.parametrize("value", [UNKNOWN_STRING, [UNKNOWN_STRING], {"a": {"b": UNKNOWN_STRING}}])
def test_an_unknown_anywhere_makes_the_whole_unknown(value: object) -> None:
    assert not is_known(value)
    assert is_known({"a": [1, "b", None]})


def test_secrets_stay_secret_where_they_were() -> None:
    given_values = {
        "env": PropertyValue({"TOKEN": PropertyValue("dummy", is_secret=True), "PLAIN": PropertyValue("x")}),
        "tokens": PropertyValue([PropertyValue("dummy", is_secret=True)]),
        "name": PropertyValue("knights"),
    }
    back = from_plain(to_plain(given_values), secret_paths(given_values))
    env = back["env"].value
    assert isinstance(env, Mapping)
    assert (env["TOKEN"].is_secret, env["PLAIN"].is_secret) == (True, False)
    assert back["tokens"].is_secret
    assert not back["name"].contains_secret()


def test_absent_is_left_out() -> None:
    assert from_plain({"registry": None}) == {}
