"""The RunPod endpoint as the configuration wants it: declared by this stack, or an existing one that is only used."""

from __future__ import annotations

import pulumi

from infra.resource_provider.resources import RunPodEndpoint
from provider_client.config import StackConfig
from provider_client.config.keys import RunPod

CREATE_TIMEOUT = "30m"  # the first worker of a new image pulls tens of GB
UPDATE_TIMEOUT = "30m"


def runpod_endpoint(name: str, config: StackConfig, opts: pulumi.ResourceOptions) -> RunPodEndpoint | None:
    """None when RunPod's keys or its section are not configured."""
    if "runpod" not in config.configured_providers() or config.runpod is None:
        return None
    timeouts = pulumi.CustomTimeouts(create=CREATE_TIMEOUT, update=UPDATE_TIMEOUT)
    merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts))
    if config.runpod.mode == "existing":
        return RunPodEndpoint(name, existing_endpoint_id=config.runpod.endpoint_id, opts=merged)
    return _managed(name, config, config.runpod, merged)


def _managed(name: str, config: StackConfig, runpod: RunPod, opts: pulumi.ResourceOptions) -> RunPodEndpoint:
    return RunPodEndpoint(
        name,
        name=config.resolved_worker_name,
        image=runpod.image,
        env={key: pulumi.Output.secret(value) for key, value in runpod.env.items()},
        workers_min=config.runpod_workers_min,
        workers_max=runpod.workers_max,
        idle_timeout_seconds=runpod.sent_idle_timeout_seconds,
        gpu_types=list(runpod.gpu_types),
        gpu_count=runpod.gpu_count,
        data_centers=list(runpod.data_centers),
        network_volumes=list(runpod.network_volumes),
        disk_gb=runpod.disk_gb,
        execution_timeout_seconds=runpod.execution_timeout_seconds,
        flash_boot=runpod.flash_boot,
        scaling={"type": runpod.scaling.type, "value": runpod.scaling.value},
        registry=runpod.registry,
        opts=opts,
    )
