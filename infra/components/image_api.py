"""ImageApi: the gateway's Worker and one version of it per provider that has its credentials.

All versions hold the same modules, secrets and bucket; only IMAGE_GENERATION_PROVIDER differs. A switch between
providers that are there already uploads nothing: it moves traffic.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_cloudflare as cloudflare

from infra.bindings import Binding
from infra.worker_bundle import WorkerModule, source_digest

COMPATIBILITY_DATE = "2026-11-01"
MAIN_MODULE = "index.js"


@dataclass(frozen=True, kw_only=True)
class ImageApiArgs:
    """`bindings` per provider; every provider named there becomes a version.

    `adopted_id` is the id of a Worker that exists already and is taken over.
    """

    account_id: str
    worker_name: pulumi.Input[str]
    adopted_id: str | None
    workers_dev: bool
    modules: Sequence[WorkerModule]
    bindings: Mapping[str, Sequence[Binding]]


class ImageApi(pulumi.ComponentResource):
    """Outputs: `worker_name`, `version_ids` and `preview_urls` by provider."""

    def __init__(self, name: str, args: ImageApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("switchback:infra:ImageApi", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.worker = cloudflare.Worker(
            f"{name}-worker",
            account_id=args.account_id,
            name=args.worker_name,
            subdomain=cloudflare.WorkerSubdomainArgs(enabled=args.workers_dev, previews_enabled=True),
            observability=cloudflare.WorkerObservabilityArgs(enabled=True, head_sampling_rate=1),
            opts=pulumi.ResourceOptions.merge(child, _worker_options(args)),
        )
        self.worker_name = self.worker.name
        versions = {
            provider: self._declare_version(f"{name}-{provider}", provider, bindings, args, child)
            for provider, bindings in args.bindings.items()
        }
        self.version_ids = {provider: version.id for provider, version in versions.items()}
        self.preview_urls = {
            provider: pulumi.Output.all(version.id, version.urls, self.worker_name).apply(
                lambda found: preview_address(*found)
            )
            for provider, version in versions.items()
        }
        self.register_outputs({"workerName": self.worker_name, "versions": self.version_ids})

    def _declare_version(
        self,
        name: str,
        provider: str,
        bindings: Sequence[Binding],
        args: ImageApiArgs,
        child: pulumi.ResourceOptions,
    ) -> cloudflare.WorkerVersion:
        return cloudflare.WorkerVersion(
            name,
            account_id=args.account_id,
            worker_id=self.worker.id,
            main_module=MAIN_MODULE,
            compatibility_date=COMPATIBILITY_DATE,
            modules=[_module(module) for module in args.modules],
            bindings=[cloudflare.WorkerVersionBindingArgs(**binding.arguments()) for binding in bindings],
            annotations=cloudflare.WorkerVersionAnnotationsArgs(
                workers_tag=provider,
                # only what the content decides: a commit here would renew every version with every commit
                workers_message=f"switchback provider={provider} source={source_digest(args.modules)[:16]}",
            ),
            opts=child,
        )


def _worker_options(args: ImageApiArgs) -> pulumi.ResourceOptions:
    """How a Worker logs and is labelled stays the team's own; where it answers is declared.

    An import must match what is declared. Preflight sees to that, but not in a preview, which may write nothing: there
    the difference, which Preflight tells, is left out.
    """
    own = ["logpush", "observability", "tags", "tail_consumers"]
    if args.adopted_id is None:
        return pulumi.ResourceOptions(ignore_changes=own)
    if pulumi.runtime.is_dry_run():
        own.append("subdomain")
    return pulumi.ResourceOptions(ignore_changes=own, import_=f"{args.account_id}/{args.adopted_id}")


def _module(module: WorkerModule) -> cloudflare.WorkerVersionModuleArgs:
    return cloudflare.WorkerVersionModuleArgs(
        name=module.name,
        content_type=module.content_type,
        content_base64=base64.b64encode(module.content).decode(),
    )


def preview_address(version_id: str, urls: Sequence[str], worker_name: str) -> str:
    """A version's own address under the Worker's present name: `urls` names the one that it was uploaded under.

    `<8 hex digits>-<worker>` under the account's subdomain (Cloudflare's documentation of preview URLs, cloudflare.md
    4.1); so the subdomain needs no call of its own.
    """
    scheme, _, host = urls[0].partition("://")
    return f"{scheme}://{version_id[:8]}-{worker_name}.{host.partition('.')[2]}"


def gateway_origin(preview: str) -> str:
    """The Worker's own address: that of a version without the version's 8 digits."""
    scheme, _, host = preview.partition("://")
    return f"{scheme}://{host.partition('-')[2]}"
