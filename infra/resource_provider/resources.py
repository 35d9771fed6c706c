"""The resource classes that the Pulumi program uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.resource_provider.schema import PACKAGE

Strings = pulumi.Input[Sequence[pulumi.Input[str]]]


def _present(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


class SwitchbackProvider(pulumi.ProviderResource):
    """The explicit provider: credentials and addresses. What is absent is read from the vendors' own variables.

    Every value must be known at preview; were one not, the engine could not ask the provider anything.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        cloudflare_api_token: pulumi.Input[str] | None = None,
        cloudflare_base_url: pulumi.Input[str] | None = None,
        runpod_api_key: pulumi.Input[str] | None = None,
        runpod_management_url: pulumi.Input[str] | None = None,
        gateway_token: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "cloudflareApiToken": _secret(cloudflare_api_token),
            "cloudflareBaseUrl": cloudflare_base_url,
            "runpodApiKey": _secret(runpod_api_key),
            "runpodManagementUrl": runpod_management_url,
            "gatewayToken": _secret(gateway_token),
        }
        super().__init__(PACKAGE, resource_name, _present(properties), opts)


class _Resource(pulumi.CustomResource):
    """The engine knows our properties by their camelCase names only: were the SDK told to translate them, it would
    also rename the keys inside `env` and `plan`."""

    def _output(self, wire_name: str) -> pulumi.Output[Any]:
        output: pulumi.Output[Any] = self.__dict__[wire_name]
        return output


def _secret(value: pulumi.Input[str] | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value)


class RunPodEndpoint(_Resource):
    """A RunPod serverless endpoint; with `existing_endpoint_id` alone, one that is checked and never changed.

    Times are in seconds, `disk_gb` in GB. `scaling` is {"type": "QUEUE_DELAY", "value": seconds in the queue} or
    {"type": "REQUEST_COUNT", "value": requests per worker}.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str] | None = None,
        image: pulumi.Input[str] | None = None,
        env: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        workers_min: pulumi.Input[int] | None = None,
        workers_max: pulumi.Input[int] | None = None,
        idle_timeout_seconds: pulumi.Input[int] | None = None,
        gpu_types: Strings | None = None,
        gpu_count: pulumi.Input[int] | None = None,
        data_centers: Strings | None = None,
        network_volumes: Strings | None = None,
        disk_gb: pulumi.Input[int] | None = None,
        execution_timeout_seconds: pulumi.Input[int] | None = None,
        flash_boot: pulumi.Input[str] | None = None,
        scaling: pulumi.Input[Mapping[str, Any]] | None = None,
        registry: pulumi.Input[str] | None = None,
        args: pulumi.Input[str] | None = None,
        existing_endpoint_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "name": name,
            "image": image,
            "env": env,
            "workersMin": workers_min,
            "workersMax": workers_max,
            "idleTimeoutSeconds": idle_timeout_seconds,
            "gpuTypes": gpu_types,
            "gpuCount": gpu_count,
            "dataCenters": data_centers,
            "networkVolumes": network_volumes,
            "diskGb": disk_gb,
            "executionTimeoutSeconds": execution_timeout_seconds,
            "flashBoot": flash_boot,
            "scaling": scaling,
            "registry": registry,
            "args": args,
            "existingEndpointId": existing_endpoint_id,
        }
        outputs = ("endpointId", "containerDigest", "gpuPool", "pricePerWorkerDayUsd", "priceSource")
        super().__init__(
            f"{PACKAGE}:index:RunPodEndpoint", resource_name, _present(inputs) | dict.fromkeys(outputs), opts
        )

    @property
    def endpoint_id(self) -> pulumi.Output[str]:
        return self._output("endpointId")

    @property
    def container_digest(self) -> pulumi.Output[str]:
        return self._output("containerDigest")

    @property
    def gpu_pool(self) -> pulumi.Output[str]:
        return self._output("gpuPool")

    @property
    def price_per_worker_day_usd(self) -> pulumi.Output[float | None]:
        return self._output("pricePerWorkerDayUsd")

    @property
    def price_source(self) -> pulumi.Output[str]:
        return self._output("priceSource")


class Verification(_Resource):
    """Proves one Worker version with real images before it gets traffic.

    `subject` is a digest of all that the verdict depends on; while it, the version, the plan and the provider stay
    the same, nothing is generated again.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stage: pulumi.Input[str],
        provider: pulumi.Input[str],
        version_id: pulumi.Input[str],
        worker_name: pulumi.Input[str],
        account_id: pulumi.Input[str],
        target_url: pulumi.Input[str],
        plan: pulumi.Input[Mapping[str, Any]],
        subject: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "stage": stage,
            "provider": provider,
            "versionId": version_id,
            "workerName": worker_name,
            "accountId": account_id,
            "targetUrl": target_url,
            "plan": plan,
            "subject": subject,
        }
        outputs = ("verdict", "sentence", "passed", "total", "spentUsd", "reportPath")
        super().__init__(f"{PACKAGE}:index:Verification", resource_name, inputs | dict.fromkeys(outputs), opts)

    @property
    def verdict(self) -> pulumi.Output[str]:
        return self._output("verdict")

    @property
    def sentence(self) -> pulumi.Output[str]:
        return self._output("sentence")

    @property
    def passed(self) -> pulumi.Output[int]:
        return self._output("passed")

    @property
    def total(self) -> pulumi.Output[int]:
        return self._output("total")

    @property
    def spent_usd(self) -> pulumi.Output[float]:
        return self._output("spentUsd")

    @property
    def report_path(self) -> pulumi.Output[str]:
        return self._output("reportPath")


class TrafficSplit(_Resource):
    """Which versions of the Worker serve: `versions` is [{provider, versionId, percent}], in total 100 percent."""

    def __init__(
        self,
        resource_name: str,
        *,
        account_id: pulumi.Input[str],
        worker_name: pulumi.Input[str],
        gateway_url: pulumi.Input[str],
        versions: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]],
        verification: pulumi.Input[str],
        live_plan: pulumi.Input[Mapping[str, Any]] | None = None,
        acknowledge_rollback: pulumi.Input[str] | None = None,
        reason: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "accountId": account_id,
            "workerName": worker_name,
            "gatewayUrl": gateway_url,
            "versions": versions,
            "verification": verification,
            "livePlan": live_plan,
            "acknowledgeRollback": acknowledge_rollback,
            "reason": reason,
        }
        outputs = ("deploymentId", "liveVerdict", "reportPath")
        super().__init__(
            f"{PACKAGE}:index:TrafficSplit", resource_name, _present(inputs) | dict.fromkeys(outputs), opts
        )

    @property
    def deployment_id(self) -> pulumi.Output[str]:
        return self._output("deploymentId")

    @property
    def live_verdict(self) -> pulumi.Output[str]:
        return self._output("liveVerdict")

    @property
    def report_path(self) -> pulumi.Output[str]:
        return self._output("reportPath")


class BucketContents(_Resource):
    """What lies in an R2 bucket, as far as `pulumi destroy` is concerned: emptied, or in the way."""

    def __init__(
        self,
        resource_name: str,
        *,
        account_id: pulumi.Input[str],
        bucket_name: pulumi.Input[str],
        force_destroy: pulumi.Input[bool],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {"accountId": account_id, "bucketName": bucket_name, "forceDestroy": force_destroy}
        super().__init__(f"{PACKAGE}:index:BucketContents", resource_name, inputs, opts)


class Preflight(_Resource):
    """Proof that the token is taken and that the names are free, ours, or to be taken over."""

    def __init__(
        self,
        resource_name: str,
        *,
        account_id: pulumi.Input[str],
        worker_name: pulumi.Input[str],
        bucket_name: pulumi.Input[str],
        workers_dev: pulumi.Input[bool],
        adopt_worker_id: pulumi.Input[str] | None = None,
        adopt_bucket: pulumi.Input[str] | None = None,
        custom_domain: pulumi.Input[str] | None = None,
        force_destroy: pulumi.Input[bool] = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "accountId": account_id,
            "workerName": worker_name,
            "bucketName": bucket_name,
            "workersDev": workers_dev,
            "adoptWorkerId": adopt_worker_id,
            "adoptBucket": adopt_bucket,
            "customDomain": custom_domain,
            "forceDestroy": force_destroy,
        }
        super().__init__(f"{PACKAGE}:index:Preflight", resource_name, _present(inputs), opts)

    @property
    def worker_name(self) -> pulumi.Output[str]:
        return self._output("workerName")

    @property
    def bucket_name(self) -> pulumi.Output[str]:
        return self._output("bucketName")
