"""The stack that is examined: its decrypted configuration, the environment, and what its Pulumi state owns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from provider_client.clock import SystemClock
from provider_client.cloudflare import CloudflareApi
from provider_client.config.keys import StackConfig, credential_variables
from provider_client.doctor.running import CALL_SECONDS
from provider_client.errors import SwitchbackError
from provider_client.runpod_management import RunPodManagementApi, default_base_url

WORKER_TYPE = "cloudflare:index/worker:Worker"
BUCKET_TYPE = "cloudflare:index/r2Bucket:R2Bucket"
ENDPOINT_TYPE = "switchback:index:RunPodEndpoint"


@dataclass(frozen=True)
class Owned:
    """What this stack's Pulumi state says it made: only that will be changed instead of created."""

    workers: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    endpoint_id: str | None = None


def owned_by(export: Mapping[str, Any]) -> Owned:
    """From `pulumi stack export`."""
    resources = (export.get("deployment") or {}).get("resources") or ()
    workers, buckets, endpoint_id = set(), set(), None
    for resource in resources:
        outputs, kind = resource.get("outputs") or {}, resource.get("type")
        if kind == WORKER_TYPE:
            workers.add(str(outputs.get("name")))
        elif kind == BUCKET_TYPE:
            buckets.add(str(outputs.get("name")))
        elif kind == ENDPOINT_TYPE:
            endpoint_id = str(resource.get("id") or outputs.get("endpointId") or "") or None
    return Owned(frozenset(workers), frozenset(buckets), endpoint_id)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`config` is None with `config_error`; `owned` is None with `owned_error`; secrets are in no repr."""

    stack: str
    project_dir: Path
    http: httpx.Client = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    config: StackConfig | None = field(repr=False)
    config_error: SwitchbackError | None = None
    cloudflare_token: str | None = field(default=None, repr=False)
    cloudflare_base_url: str = ""
    account_id: str | None = None
    owned: Owned | None = None
    owned_error: str = ""

    def cloudflare(self) -> CloudflareApi:
        return CloudflareApi(
            self.account_id or "",
            self.cloudflare_token or "",
            http=self.http,
            base_url=self.cloudflare_base_url,
            clock=SystemClock(),
            deadline_seconds=CALL_SECONDS,
        )

    def base_url(self, vendor: str) -> str | None:
        """From the raw values: also where the rest of the configuration is wrong, a key goes nowhere else."""
        try:
            address = json.loads(self.values.get("baseUrls", "{}"))[vendor]
        except (ValueError, KeyError, TypeError):
            return None
        return address if isinstance(address, str) else None

    def runpod_key(self) -> str | None:
        """The key that `pulumi up` manages the endpoint with."""
        own = self.values.get("runpodManagementApiKey") or self.values.get("runpodApiKey")
        return own or self.environment.get("RUNPOD_API_KEY")

    def runpod(self) -> RunPodManagementApi:
        return RunPodManagementApi(
            self.runpod_key() or "",
            http=self.http,
            clock=SystemClock(),
            base_url=self.base_url("runpodManagement") or default_base_url(self.environment),
            deadline_seconds=CALL_SECONDS,
        )

    def provider_variables(self) -> dict[str, str]:
        """Variables as the Worker will have them: from the configuration, else from the environment."""
        configured = {
            variable: self.values[key] for key, variable in credential_variables().items() if self.values.get(key)
        }
        endpoint_id = self.config.runpod.endpoint_id if self.config and self.config.runpod else None
        configured |= {
            name: value
            for name, value in (
                ("SCENARIO_BASE_URL", self.base_url("scenario")),
                ("RUNPOD_ENDPOINT_BASE_URL", self.base_url("runpodJobs")),
                ("RUNPOD_COMFYUI_ENDPOINT_ID", endpoint_id or (self.owned.endpoint_id if self.owned else None)),
            )
            if value
        }
        return {**self.environment, **configured}

    def secrets(self) -> list[str]:
        """Texts that must appear in nothing that is shown."""
        keys = {*credential_variables(), "runpodManagementApiKey"}
        found = [self.values[key] for key in keys if self.values.get(key)]
        for key in ("gatewayTokens", "jobSigningKeys"):
            found += re.findall(r'"([^"]+)"', self.values.get(key, ""))  # a JSON list, valid or not
        return [*found, *([self.cloudflare_token] if self.cloudflare_token else [])]
