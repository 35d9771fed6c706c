"""What the Worker finds in its environment, from the stack's configuration. Pure but for wrapping secrets.

Every version holds the credentials of every configured provider, so that a job started at one provider is still
polled after the switch to another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pydantic import SecretStr

from provider_client.config import StackConfig
from provider_client.providers import PROVIDERS

BindingType = Literal["json", "plain_text", "r2_bucket", "secret_text", "version_metadata"]
VALUE_ARGUMENT: Mapping[str, str] = {
    "json": "json",
    "plain_text": "text",
    "r2_bucket": "bucket_name",
    "secret_text": "text",
}


@dataclass(frozen=True)
class Binding:
    """One binding; `value` is a text, a JSON document as text, or a bucket's name, as `type` says."""

    name: str
    type: BindingType
    value: pulumi.Input[str] | None = None

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of pulumi_cloudflare's binding."""
        found: dict[str, Any] = {"name": self.name, "type": self.type}
        if self.value is not None:
            found[VALUE_ARGUMENT[self.type]] = self.value
        return found


def worker_bindings(
    config: StackConfig,
    provider: str,
    *,
    bucket: pulumi.Input[str],
    asset_base_url: pulumi.Input[str],
    runpod_endpoint_id: pulumi.Input[str] | None,
) -> list[Binding]:
    """The bindings of the version that serves `provider`, sorted by name: another order is a replacement."""
    settings: dict[str, pulumi.Input[str] | None] = {
        "RUNPOD_COMFYUI_ENDPOINT_ID": runpod_endpoint_id,
        "RUNPOD_ENDPOINT_BASE_URL": config.base_urls.runpod_jobs,
        "SCENARIO": _section(config.scenario, exclude={"cost_per_image_usd"}),
        "SCENARIO_BASE_URL": config.base_urls.scenario,
        "WORKFLOWS": _section(config.workflows),
        **{name: _secret(value) for name, value in config.credentials.items()},
    }
    bindings = {
        "ASSETS": Binding("ASSETS", "r2_bucket", bucket),
        "ASSET_CORS_ORIGINS": Binding("ASSET_CORS_ORIGINS", "json", json.dumps(config.asset_cors_origins)),
        "GATEWAY": Binding("GATEWAY", "json", _section(config.gateway)),
        "GATEWAY_TOKENS": Binding("GATEWAY_TOKENS", "secret_text", _secret_list(config.gateway_tokens)),
        "IMAGE_GENERATION_PROVIDER": Binding("IMAGE_GENERATION_PROVIDER", "plain_text", provider),
        "JOB_SIGNING_KEYS": Binding("JOB_SIGNING_KEYS", "secret_text", _secret_list(config.job_signing_keys)),
        "VERSION": Binding("VERSION", "version_metadata"),
    }
    if config.asset_public_access != "worker":  # an empty text is no value that every API gives back as it was
        bindings["ASSET_BASE_URL"] = Binding("ASSET_BASE_URL", "plain_text", asset_base_url)
    for name in config.configured_providers():
        for declared in PROVIDERS[name].bindings:
            value = settings.get(declared.name)
            if value is not None:
                bindings[declared.name] = Binding(declared.name, declared.kind, value)
    return sorted(bindings.values(), key=lambda binding: binding.name)


def _section(section: Any, exclude: set[str] | None = None) -> str:
    """A configuration section as the Worker reads it: camelCase, sorted, so that equal settings are equal text."""
    document = section.model_dump(mode="json", by_alias=True, exclude=exclude, exclude_none=True)
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _secret(value: SecretStr) -> pulumi.Output[str]:
    return pulumi.Output.secret(value.get_secret_value())


def _secret_list(values: tuple[SecretStr, ...]) -> pulumi.Output[str]:
    return pulumi.Output.secret(json.dumps([value.get_secret_value() for value in values]))
