"""The package's schema: what `pulumi import`, `pulumi package get-schema` and policies know of our types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider_client import __version__

PACKAGE = "switchback"

_STRING: Mapping[str, Any] = {"type": "string"}
_NUMBER: Mapping[str, Any] = {"type": "number"}
_INTEGER: Mapping[str, Any] = {"type": "integer"}
_STRINGS: Mapping[str, Any] = {"type": "array", "items": _STRING}
_SECRET: Mapping[str, Any] = {"type": "string", "secret": True}
_ANY: Mapping[str, Any] = {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}}
_ANYS: Mapping[str, Any] = {"type": "array", "items": _ANY}


def _resource(
    inputs: Mapping[str, Mapping[str, Any]], outputs: Mapping[str, Mapping[str, Any]], required: Sequence[str]
) -> dict[str, Any]:
    return {"inputProperties": inputs, "requiredInputs": list(required), "properties": {**inputs, **outputs}}


_ENDPOINT_INPUTS = {
    "name": _STRING,
    "image": _STRING,
    "env": {"type": "object", "additionalProperties": _STRING, "secret": True},
    "workersMin": _INTEGER,
    "workersMax": _INTEGER,
    "idleTimeoutSeconds": _INTEGER,
    "gpuTypes": _STRINGS,
    "gpuCount": _INTEGER,
    "dataCenters": _STRINGS,
    "networkVolumes": _STRINGS,
    "diskGb": _INTEGER,
    "executionTimeoutSeconds": _INTEGER,
    "flashBoot": _STRING,
    "scaling": _ANY,
    "registry": _STRING,
    "args": _STRING,
    "existingEndpointId": _STRING,
}
_ENDPOINT_OUTPUTS = {
    "endpointId": _STRING,
    "containerDigest": _STRING,
    "gpuPool": _STRING,
    "pricePerWorkerDayUsd": _NUMBER,
    "priceSource": _STRING,
}
_VERIFICATION_INPUTS = {
    "stage": _STRING,
    "provider": _STRING,
    "versionId": _STRING,
    "workerName": _STRING,
    "accountId": _STRING,
    "targetUrl": _STRING,
    "plan": _ANY,
    "subject": _STRING,
}
_SPLIT_INPUTS = {
    "accountId": _STRING,
    "workerName": _STRING,
    "gatewayUrl": _STRING,
    "versions": _ANYS,
    "verification": _STRING,
    "livePlan": _ANY,
    "acknowledgeRollback": _STRING,
    "reason": _STRING,
}
_CONTENTS_INPUTS = {"accountId": _STRING, "bucketName": _STRING, "forceDestroy": {"type": "boolean"}}
_PREFLIGHT_INPUTS = {
    "accountId": _STRING,
    "workerName": _STRING,
    "bucketName": _STRING,
    "workersDev": {"type": "boolean"},
    "adoptWorkerId": _STRING,
    "adoptBucket": _STRING,
    "customDomain": _STRING,
    "forceDestroy": {"type": "boolean"},
}
_PROVIDER_INPUTS = {
    "cloudflareApiToken": _SECRET,
    "cloudflareBaseUrl": _STRING,
    "runpodApiKey": _SECRET,
    "runpodManagementUrl": _STRING,
    "gatewayToken": _SECRET,
}

SCHEMA: Mapping[str, Any] = {
    "name": PACKAGE,
    "version": __version__,
    "provider": {"inputProperties": _PROVIDER_INPUTS},
    "resources": {
        f"{PACKAGE}:index:RunPodEndpoint": _resource(_ENDPOINT_INPUTS, _ENDPOINT_OUTPUTS, ()),
        f"{PACKAGE}:index:Verification": _resource(
            _VERIFICATION_INPUTS,
            {
                "verdict": _STRING,
                "sentence": _STRING,
                "passed": _INTEGER,
                "total": _INTEGER,
                "spentUsd": _NUMBER,
                "reportPath": _STRING,
            },
            tuple(_VERIFICATION_INPUTS),
        ),
        f"{PACKAGE}:index:TrafficSplit": _resource(
            _SPLIT_INPUTS,
            {"deploymentId": _STRING, "liveVerdict": _STRING, "reportPath": _STRING},
            ("accountId", "workerName", "gatewayUrl", "versions", "verification"),
        ),
        f"{PACKAGE}:index:Preflight": _resource(
            _PREFLIGHT_INPUTS, {}, ("accountId", "workerName", "bucketName", "workersDev")
        ),
        f"{PACKAGE}:index:BucketContents": _resource(_CONTENTS_INPUTS, {}, tuple(_CONTENTS_INPUTS)),
    },
}
