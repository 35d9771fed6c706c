"""openapi.yaml and the code that claims to keep it name the same things."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from provider_client import models
from tests.worker.worker_contract import CONTRACT, contract, validate
from tests.worker.worker_harness import png

REQUEST = {"$ref": "#/components/schemas/GenerationRequest"}
DATA = Path(models.__file__).parent


def fields(schema: str) -> set[str]:
    return set(contract()["components"]["schemas"][schema]["properties"])


@pytest.mark.parametrize(
    ("schema", "model"),
    [
        ("Asset", models.Asset),
        ("GenerationError", models.GenerationError),
        ("Generation", models.Generation),
        ("Health", models.Health),
    ],
)
def test_the_client_reads_the_fields_of_the_contract(schema: str, model: type[models.Wire]) -> None:
    assert fields(schema) == set(model.model_fields)


def test_every_operation_takes_the_clients_fields() -> None:
    for variant in contract()["components"]["schemas"]["GenerationRequest"]["oneOf"]:
        assert set(variant["properties"]) == set(models.GenerationRequest.model_fields)


def test_failure_kinds_are_those_of_the_table() -> None:
    table = json.loads((DATA / "failure_kinds.json").read_text())
    assert set(contract()["components"]["schemas"]["Kind"]["enum"]) == set(table["kinds"])


def test_the_clients_requests_keep_the_contract_with_and_without_nulls() -> None:
    image = models.InputImage(base64=png())
    for request in (
        models.GenerationRequest(operation=models.Operation.TXT2IMG, prompt="A knight", width=512, height=512),
        models.GenerationRequest(operation=models.Operation.IMG2IMG, prompt="x", image=image, strength=0.5),
        models.GenerationRequest(operation=models.Operation.REMOVE_BACKGROUND, image=image),
        models.GenerationRequest(operation=models.Operation.PIPELINE, prompt="x", width=100, height=60),
    ):
        for exclude_none in (True, False):
            validate(REQUEST, request.model_dump(mode="json", exclude_none=exclude_none))


def test_the_contract_refuses_what_the_worker_refuses() -> None:
    for body in ({"operation": "txt2img", "prompt": " "}, {"operation": "txt2img", "prompt": "x", "width": 513}):
        with pytest.raises(jsonschema.ValidationError):
            validate(REQUEST, body)


def test_the_contract_holds_no_real_address() -> None:
    assert "workers.dev" not in CONTRACT.read_text()
