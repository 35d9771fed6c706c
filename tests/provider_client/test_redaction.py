"""What looks like a secret does not get through, and ordinary words do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_client.redaction import redact, without_server_paths


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer FAKESECRET123456",
        "Basic FAKESECRET123456==",
        "https://user:FAKESECRET123456@host/x",
        "https://cdn.example/a.png?p=100&Policy=FAKESECRET123456&Signature=FAKESECRET123456",
        "wss://host/ws?clientId=1&token=FAKESECRET123456",
        "rpa_FAKESECRET1234567890",
        '{"X-API-Key": "FAKESECRET123456"}',
    ],
)
def test_credentials_are_taken_out(text: str) -> None:
    assert "FAKESECRET" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "ckpt_name: 'sd_xl_base_1.0.safetensors' not in ['a']",
        "basic knight",
        "https://host/view?filename=a.png",
        "5/s",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert without_server_paths(redact(text)) == text


@given(secret=st.text(min_size=4, max_size=40), before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_known_secret_never_remains(secret: str, before: str, after: str) -> None:
    cleaned = redact(f"{before} {secret} {after}", [secret])
    assert secret not in cleaned or secret in "[redacted]" or secret in f"{before} [redacted] {after}"


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert redact("endpoint=abcd-efgh-ijkl", ["abcd", "abcd-efgh-ijkl"]) == "endpoint=[redacted]"


def test_server_paths_are_taken_out() -> None:
    assert without_server_paths("No such file: '/srv/comfy/models/x.bin'") == "No such file: '<path>'"
