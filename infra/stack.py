"""ImageGenerationStack: the one place that knows all parts and their order.

Preflight comes first: it holds the names against what exists. AssetBucket and RunPodEndpoint follow, for the Worker's
versions name them. A Verification proves each provider that the configuration names, on its own preview address, before
TrafficSplit may give it a single request; the custom domain follows when something answers behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import pulumi
import pulumi_cloudflare as cloudflare

from infra.bindings import worker_bindings
from infra.components.asset_bucket import AssetBucket, AssetBucketArgs, host_of, origin_of
from infra.components.image_api import ImageApi, ImageApiArgs, gateway_origin
from infra.components.runpod import runpod_endpoint
from infra.resource_provider import resources
from infra.worker_bundle import WorkerModule, worker_modules
from provider_client.config import StackConfig
from provider_client.errors import ConfigError
from provider_client.verification.configured import configured_plan

PROJECT_DIRECTORY = Path(__file__).resolve().parent.parent


class ImageGenerationStack(pulumi.ComponentResource):
    """`outputs` are what `pulumi stack output` shows."""

    def __init__(self, name: str, config: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("switchback:infra:ImageGenerationStack", name, None, opts)
        self.config = config
        self.opts = pulumi.ResourceOptions(parent=self, providers=self._explicit_providers())
        self.preflight = self._preflight()
        self.bucket = self._asset_bucket()
        self.endpoint = runpod_endpoint("runpod", config, self.opts)
        self.api = self._image_api()
        self.gateway_url = self._gateway_url()
        self.subjects = {provider: self._subject(provider) for provider in config.named_providers}
        self.verifications = {provider: self._verification(provider) for provider in config.named_providers}
        self.traffic = self._traffic_split()
        if config.custom_domain:
            self._custom_domain(host_of(config.custom_domain))
        self.outputs = self._outputs()
        self.register_outputs(self.outputs)

    def _explicit_providers(self) -> dict[str, pulumi.ProviderResource]:
        """Explicit ones, because a default provider is handed every key of its namespace and keeps it in state."""
        config = self.config
        child = pulumi.ResourceOptions(parent=self)
        token = pulumi.Config("cloudflare").get_secret("apiToken")  # else the plugins read CLOUDFLARE_API_TOKEN
        management_key = config.runpod_management_api_key or config.credentials.get("RUNPOD_API_KEY")
        return {
            "cloudflare": cloudflare.Provider(
                "cloudflare", api_token=token, base_url=config.base_urls.cloudflare, opts=child
            ),
            "switchback": resources.SwitchbackProvider(
                "switchback",
                cloudflare_api_token=token,
                cloudflare_base_url=config.base_urls.cloudflare,
                runpod_api_key=_secret(management_key.get_secret_value()) if management_key else None,
                runpod_management_url=config.base_urls.runpod_management,
                gateway_token=_secret(config.gateway_tokens[0].get_secret_value()),
                opts=child,
            ),
        }

    def _preflight(self) -> resources.Preflight:
        config = self.config
        return resources.Preflight(
            "preflight",
            account_id=config.account_id,
            worker_name=config.resolved_worker_name,
            bucket_name=config.resolved_bucket_name,
            workers_dev=config.workers_dev,
            adopt_worker_id=config.adopt_worker_id,
            adopt_bucket=config.adopt_bucket,
            custom_domain=host_of(config.custom_domain) if config.custom_domain else None,
            force_destroy=config.asset_bucket_force_destroy,
            opts=self.opts,
        )

    def _asset_bucket(self) -> AssetBucket:
        config = self.config
        args = AssetBucketArgs(
            account_id=config.account_id,
            name=self.preflight.bucket_name,
            adopted=config.adopt_bucket,
            location=config.asset_bucket_location,
            public_access=config.asset_public_access,
            zone_id=config.zone_id,
            cors_origins=config.asset_cors_origins,
            retention_days=config.asset_retention_days,
            force_destroy=config.asset_bucket_force_destroy,
            protect=config.bucket_is_protected,
        )
        return AssetBucket("assets", args, self.opts)

    def _image_api(self) -> ImageApi:
        config = self.config
        bindings = {
            provider: worker_bindings(
                config,
                provider,
                bucket=self.bucket.name,
                asset_base_url=self.bucket.base_url,
                runpod_endpoint_id=self.endpoint.endpoint_id if self.endpoint else None,
            )
            for provider in config.configured_providers()
        }
        args = ImageApiArgs(
            account_id=config.account_id,
            worker_name=self.preflight.worker_name,
            adopted_id=config.adopt_worker_id,
            workers_dev=config.workers_dev,
            modules=_modules(config.worker_bundle),
            bindings=bindings,
        )
        return ImageApi("gateway", args, self.opts)

    def _gateway_url(self) -> pulumi.Output[str]:
        if self.config.custom_domain and not self.config.workers_dev:
            return pulumi.Output.from_input(origin_of(self.config.custom_domain))
        return self.api.preview_urls[self.config.image_generation_provider].apply(gateway_origin)

    def _plan(self, stage: Literal["candidate", "live"], provider: str, assets: int) -> dict[str, Any]:
        plan = configured_plan(self.config, stage=stage, provider=provider, assets=assets)
        return plan.model_dump(mode="json")

    def _subject(self, provider: str) -> pulumi.Output[str]:
        """A digest of all that a verification proves something about: when it changes, the proof is worth nothing."""
        container = self.endpoint.container_digest if self.endpoint and provider == "runpod" else ""
        plan = self._candidate_plan(provider)
        return pulumi.Output.all(self.api.version_ids[provider], container).apply(
            lambda found: _digest([*found, plan, self.config.acknowledge_rollback])
        )

    def _candidate_plan(self, provider: str) -> dict[str, Any]:
        wanted = self.config.verification
        return self._plan("candidate", provider, wanted.candidate_assets if wanted.required else 0)

    def _verification(self, provider: str) -> resources.Verification:
        return resources.Verification(
            f"verify-{provider}",
            stage="candidate",
            provider=provider,
            version_id=self.api.version_ids[provider],
            worker_name=self.api.worker_name,
            account_id=self.config.account_id,
            target_url=self.api.preview_urls[provider],
            plan=self._candidate_plan(provider),
            subject=self.subjects[provider],
            opts=self.opts,
        )

    def _traffic_split(self) -> resources.TrafficSplit:
        config = self.config
        live = config.image_generation_provider
        shares = {live: 100 - config.candidate_percent if config.candidate_provider else 100}
        if config.candidate_provider:
            shares[config.candidate_provider] = config.candidate_percent
        assets = config.verification.live_assets
        return resources.TrafficSplit(
            "traffic",
            account_id=config.account_id,
            worker_name=self.api.worker_name,
            gateway_url=self.gateway_url,
            versions=[
                {"provider": provider, "versionId": self.api.version_ids[provider], "percent": percent}
                for provider, percent in shares.items()
            ],
            live_plan=self._plan("live", live, assets) if assets and config.verification.required else None,
            acknowledge_rollback=config.acknowledge_rollback,
            reason=None if config.verification.required else "verification skipped by configuration",
            verification=pulumi.Output.all(*self.subjects.values()).apply(_digest),
            opts=pulumi.ResourceOptions.merge(
                self.opts, pulumi.ResourceOptions(depends_on=list(self.verifications.values()))
            ),
        )

    def _custom_domain(self, hostname: str) -> None:
        """Bound when something answers behind it. When the Worker is renamed, the old binding has to go first:
        Cloudflare moves no host name from one Worker's name to another."""
        cloudflare.WorkersCustomDomain(
            "gateway-domain",
            account_id=self.config.account_id,
            hostname=hostname,
            service=self.api.worker_name,
            zone_id=self.config.zone_id,
            opts=pulumi.ResourceOptions.merge(
                self.opts, pulumi.ResourceOptions(depends_on=[self.traffic], delete_before_replace=True)
            ),
        )

    def _outputs(self) -> dict[str, pulumi.Input[Any]]:
        live = self.verifications[self.config.image_generation_provider]
        versions = {
            provider: {"versionId": version_id, "previewUrl": self.api.preview_urls[provider]}
            for provider, version_id in self.api.version_ids.items()
        }
        return {
            "accountId": self.config.account_id,
            "apiUrl": self.gateway_url,
            "assetBaseUrl": self.bucket.base_url,
            "bucket": self.bucket.name,
            "provider": self.config.image_generation_provider,
            "runpodEndpointId": self.endpoint.endpoint_id if self.endpoint else None,
            "verification": {"verdict": live.verdict, "passed": live.passed, "total": live.total},
            "versions": versions,
            "workerName": self.api.worker_name,
        }


def _modules(bundle: str | None) -> list[WorkerModule]:
    """The Worker's modules; a bundle's path is relative to the directory of Pulumi.yaml."""
    try:
        project = Path(os.environ.get("SWITCHBACK_PROJECT_DIR") or PROJECT_DIRECTORY)
        return worker_modules(project / bundle if bundle else None)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None


def _secret(value: str) -> pulumi.Output[str]:
    return pulumi.Output.secret(value)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
