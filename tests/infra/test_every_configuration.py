"""Whatever `provider_client.config.load` accepts can be previewed: no exception, nothing that RunPod would refuse."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, reject
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infra.resource_provider.property_values import from_plain, to_plain
from provider_client.errors import ConfigError
from provider_client.gpu_catalog import POOL_MEMBERS, packaged_catalog
from provider_client.models import Operation
from provider_client.runpod_settings import PROPERTIES, problems, with_defaults
from provider_client.verification import VerificationPlan
from tests.infra.test_stack import PULUMI_NOISE, _no_stack_left, config, declared

__all__ = ["_no_stack_left"]  # an autouse fixture
pytestmark = PULUMI_NOISE

ZONE = {"zoneId": "f" * 32}
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
switches = st.sampled_from(["true", "false"])


def some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these keys, with any of their values."""
    return st.fixed_dictionaries({}, optional=values)


managed = st.builds(
    lambda image, rest: {"image": image, **rest},
    texts,
    some(
        mode=st.just("managed"),
        workersMin=st.integers(0, 2),
        standbyWorkersMin=st.integers(0, 2),
        workersMax=st.integers(2, 9),
        idleTimeoutSeconds=st.integers(1, 3600),
        gpuTypes=st.lists(
            st.sampled_from([n for names in POOL_MEMBERS.values() for n in names]), min_size=1, unique=True
        ),
        gpuCount=st.integers(1, 8),
        dataCenters=st.lists(texts, max_size=2),
        networkVolumes=st.lists(texts, max_size=2),
        diskGb=st.integers(1, 500),
        executionTimeoutSeconds=st.integers(5, 604_800),
        flashBoot=st.sampled_from(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]),
        scaling=st.fixed_dictionaries(
            {"type": st.sampled_from(["QUEUE_DELAY", "REQUEST_COUNT"])},
            optional={"value": st.integers(1, 9) | st.floats(0.5, 60)},
        ),
        env=st.dictionaries(texts, texts, max_size=2),
        registry=texts,
    ),
)
existing = st.builds(lambda endpoint_id: {"mode": "existing", "endpointId": endpoint_id}, texts)
runpod = st.one_of(
    managed.map(lambda section: {"runpod": json.dumps(section)}),
    existing.map(lambda section: {"runpod": json.dumps(section)}),
    st.just({}),
)
verification = some(
    candidateAssets=st.integers(1, 64),
    liveAssets=st.integers(0, 64),
    operations=st.lists(st.sampled_from([str(operation) for operation in Operation]), min_size=1, unique=True),
    budgets=st.dictionaries(
        st.sampled_from([str(operation) for operation in Operation]), st.floats(1, 900), max_size=2
    ),
    maxSpendUsd=st.floats(0.01, 50),
    maxSpendUsdPerDay=st.floats(0.01, 50),
    inconclusiveCandidate=st.sampled_from(["stop", "pass"]),
    required=st.booleans(),
)
addresses = st.sampled_from(
    [
        {},
        {"customDomain": "images.example.com", **ZONE},
        {"customDomain": "images.example.com", "workersDev": "false", **ZONE},
        {"assetPublicAccess": "r2dev"},
        {"assetPublicAccess": "assets.example.com", **ZONE},
    ]
)
traffic = st.sampled_from(
    [
        {},
        {"imageGenerationProvider": "comfyui"},
        {"imageGenerationProvider": "runpod", "acknowledgeRollback": "an-id"},
        {"candidateProvider": "runpod"},
        {"imageGenerationProvider": "runpod", "candidateProvider": "scenario", "candidatePercent": "12"},
    ]
)
others = some(
    workerName=st.just("gateway"),
    adoptWorkerId=st.just("5" * 32),
    assetBucketLocation=st.sampled_from(["weur", "apac"]),
    assetCorsOrigins=st.lists(texts, max_size=2).map(json.dumps),
    assetRetentionDays=st.integers(0, 4000).map(str),
    assetBucketForceDestroy=switches,
    protectAssetBucket=switches,
    preSwitchCommands=st.lists(texts, max_size=2).map(json.dumps),
    verification=verification.map(json.dumps),
    scenario=some(
        requestShape=st.sampled_from(["custom", "legacy"]),
        costPerImageUsd=st.floats(0.001, 5),
        models=some(txt2img=texts, remove_background=texts),
    ).map(json.dumps),
    workflows=some(
        checkpoint=texts, steps=st.integers(1, 150), batchSize=st.integers(1, 8), backgroundRemovalModel=texts
    ).map(json.dumps),
    gateway=some(
        corsOrigins=st.lists(texts, max_size=2),
        maxPixels=st.integers(4096, 10**7),
        requestsPerMinute=st.integers(1, 999),
    ).map(json.dumps),
    runpodManagementApiKey=st.just("planted-management-key"),
)


# A preview costs a tenth of a second: the same few in every run, and the first that fails is not made smaller.
@hypothesis_settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.tuples(addresses, traffic, runpod, others))
def test_every_accepted_configuration_previews(parts: tuple[dict[str, str], ...]) -> None:
    """The plans are ones that a verification can run, the endpoint one that RunPod takes."""
    values = {key: value for part in parts for key, value in part.items()}
    try:
        accepted = config(**values)
    except ConfigError:
        reject()  # refused in words: tests/provider_client/config; too many of them would fail here
    found = declared(accepted, preview=True)
    for resource in found.values():
        for name in ("plan", "livePlan"):
            if resource.inputs.get(name):
                VerificationPlan.model_validate(resource.inputs[name])
    endpoint = found["runpod"].inputs if "runpod" in found else {}
    if "image" in endpoint:
        sent = {name: value for name, value in endpoint.items() if name in PROPERTIES and name != "env"}
        wished = to_plain(from_plain(sent))  # as the resource provider gets it: the wire has floats only
        assert problems(with_defaults(wished), packaged_catalog()) == []
