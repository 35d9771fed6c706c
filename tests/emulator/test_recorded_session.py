"""The official plugin's recorded requests, one command after the other, against one emulated account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.emulator.cloudflare_calls import Cloud

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "wire" / "pulumi_cloudflare"
# in the order in which they were recorded
STEPS = ("01-create", "03-refresh", "10-switch", "10-code", "10-secret", "10-observability", "10-cors", "10-order")
SERVER_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_every_recorded_request_is_answered_with_all_that_was_recorded(cloud: Cloud) -> None:
    """Same status, and each field of the recorded answer with the same type: what the plugin reads its state from."""
    server = cloud.account.partition("/client/")[0]
    ours: dict[str, str] = {}  # recorded id → the emulator's
    for step in STEPS:
        for exchange in json.loads((RECORDINGS / step / "http.json").read_text()):
            path, body = translated([exchange["path"], exchange.get("body")], ours)
            answer = cloud.http.request(
                exchange["method"],
                server + path,
                params=exchange.get("query"),
                content=json.dumps(body) if "body" in exchange else None,
                headers={**cloud.authorization, **exchange.get("headers", {})},
            )
            place = f"{step} {exchange['method']} {exchange['path']}"
            assert answer.status_code == exchange["status"], f"{place}: {answer.text}"
            assert list(lacking(exchange["answer"], answer.json())) == [], place
            ours |= dict(new_ids(exchange["answer"]["result"], answer.json()["result"]))


def translated(value: Any, ours: dict[str, str]) -> Any:
    """The value with the emulator's ids in place of the recorded ones."""
    return json.loads(SERVER_ID.sub(lambda found: ours.get(found[0], found[0]), json.dumps(value)))


def lacking(recorded: Any, answered: Any, place: str = "") -> Iterator[str]:
    """What the answer has not, or has as another type."""
    if type(recorded) is not type(answered):
        yield f"{place}: {recorded!r}, not {answered!r}"
    elif isinstance(recorded, dict):
        for name, value in recorded.items():
            yield from lacking(value, answered.get(name), f"{place}.{name}")
    elif isinstance(recorded, list):
        for index, (value, other) in enumerate(zip(recorded, answered, strict=False)):
            yield from lacking(value, other, f"{place}[{index}]")


def new_ids(recorded: Any, answered: Any) -> Iterator[tuple[str, str]]:
    if isinstance(recorded, dict) and "id" in recorded and SERVER_ID.fullmatch(str(recorded["id"])):
        yield recorded["id"], answered["id"]
