"""AssetBucket: the R2 bucket, who may load from it, and what expires in it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_cloudflare as cloudflare

from infra.resource_provider.resources import BucketContents

SECONDS_PER_DAY = 86_400
ASSET_PREFIX = "generations/"
VERIFICATION_PREFIX = "_verification/"
VERIFICATION_RETENTION_DAYS = 7
UNFINISHED_UPLOAD_DAYS = 1
WORKING_PREFIX = "_jobs/"  # idempotency records of the gateway
QUEUE_PREFIX = "_queue/"  # requests that wait for their provider
WORKING_RETENTION_DAYS = 7
CORS_MAX_AGE_SECONDS = 3_600
MIN_TLS = "1.2"  # left out, Cloudflare's answer shows up as drift (recordings/pulumi_cloudflare)


@dataclass(frozen=True, kw_only=True)
class AssetBucketArgs:
    """`public_access` is `worker` (served by the gateway), `r2dev`, or the host name of a custom domain.

    `adopted` is the name of a bucket that exists already and is taken over.
    """

    account_id: str
    name: pulumi.Input[str]
    adopted: str | None
    location: str | None
    public_access: str
    zone_id: str | None
    cors_origins: tuple[str, ...]
    retention_days: int
    force_destroy: bool
    protect: bool


class AssetBucket(pulumi.ComponentResource):
    """Outputs: `name`, and `base_url` under which assets resolve ("" = the gateway's own origin)."""

    def __init__(self, name: str, args: AssetBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("switchback:infra:AssetBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = cloudflare.R2Bucket(
            f"{name}-bucket",
            account_id=args.account_id,
            name=args.name,
            location=args.location,
            opts=pulumi.ResourceOptions.merge(child, _bucket_options(args)),
        )
        self.name = self.bucket.name
        # Cloudflare refuses to delete a bucket that is not empty, after 3.5 minutes of retries by its plugin
        BucketContents(
            f"{name}-contents",
            account_id=args.account_id,
            bucket_name=self.name,
            force_destroy=args.force_destroy,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=args.protect)),
        )
        self._allow_browsers(name, args, child)
        self._expire(name, args, child)
        self.base_url = self._publish(name, args, child)
        self.register_outputs({"name": self.name, "baseUrl": self.base_url})

    def _allow_browsers(self, name: str, args: AssetBucketArgs, child: pulumi.ResourceOptions) -> None:
        if not args.cors_origins:
            return
        allowed = cloudflare.R2BucketCorsRuleAllowedArgs(
            methods=["GET", "HEAD"], origins=list(args.cors_origins), headers=["range"]
        )
        rule = cloudflare.R2BucketCorsRuleArgs(
            id="load-assets", allowed=allowed, expose_headers=["etag"], max_age_seconds=CORS_MAX_AGE_SECONDS
        )
        cloudflare.R2BucketCors(
            f"{name}-cors", account_id=args.account_id, bucket_name=self.name, rules=[rule], opts=child
        )

    def _expire(self, name: str, args: AssetBucketArgs, child: pulumi.ResourceOptions) -> None:
        rules = [
            _expiry("expire-verification", VERIFICATION_PREFIX, VERIFICATION_RETENTION_DAYS),
            _expiry("expire-working-records", WORKING_PREFIX, WORKING_RETENTION_DAYS),
            _expiry("expire-queued-requests", QUEUE_PREFIX, WORKING_RETENTION_DAYS),
            cloudflare.R2BucketLifecycleRuleArgs(
                id="abort-unfinished-uploads",
                enabled=True,
                conditions=cloudflare.R2BucketLifecycleRuleConditionsArgs(prefix=""),
                abort_multipart_uploads_transition=cloudflare.R2BucketLifecycleRuleAbortMultipartUploadsTransitionArgs(
                    condition=cloudflare.R2BucketLifecycleRuleAbortMultipartUploadsTransitionConditionArgs(
                        type="Age", max_age=UNFINISHED_UPLOAD_DAYS * SECONDS_PER_DAY
                    )
                ),
            ),
        ]
        if args.retention_days:
            rules.append(_expiry("expire-assets", ASSET_PREFIX, args.retention_days))
        # the upstream provider sends and keeps rules by id (r2_bucket_lifecycle/resource.go); others drift at a refresh
        rules.sort(key=lambda rule: str(rule.id))
        cloudflare.R2BucketLifecycle(
            f"{name}-lifecycle", account_id=args.account_id, bucket_name=self.name, rules=rules, opts=child
        )

    def _publish(self, name: str, args: AssetBucketArgs, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
        if args.public_access == "worker":
            return pulumi.Output.from_input("")
        if args.public_access == "r2dev":
            managed = cloudflare.R2ManagedDomain(
                f"{name}-r2dev", account_id=args.account_id, bucket_name=self.name, enabled=True, opts=child
            )
            return managed.domain.apply(origin_of)
        assert args.zone_id is not None
        domain = cloudflare.R2CustomDomain(
            f"{name}-domain",
            account_id=args.account_id,
            bucket_name=self.name,
            domain=host_of(args.public_access),
            zone_id=args.zone_id,
            enabled=True,
            min_tls=MIN_TLS,
            opts=child,
        )
        return domain.domain.apply(lambda _: origin_of(args.public_access))


def _bucket_options(args: AssetBucketArgs) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        protect=args.protect,
        import_=f"{args.account_id}/{args.adopted}/default" if args.adopted else None,
        ignore_changes=["storage_class"],  # of a bucket that was taken over; ours has Cloudflare's default
    )


def _expiry(rule: str, prefix: str, days: int) -> cloudflare.R2BucketLifecycleRuleArgs:
    return cloudflare.R2BucketLifecycleRuleArgs(
        id=rule,
        enabled=True,
        conditions=cloudflare.R2BucketLifecycleRuleConditionsArgs(prefix=prefix),
        delete_objects_transition=cloudflare.R2BucketLifecycleRuleDeleteObjectsTransitionArgs(
            condition=cloudflare.R2BucketLifecycleRuleDeleteObjectsTransitionConditionArgs(
                type="Age", max_age=days * SECONDS_PER_DAY
            )
        ),
    )


def origin_of(domain: str) -> str:
    """https, except for the emulator's `*.localhost:port`."""
    scheme = "http" if host_of(domain).endswith(".localhost") else "https"
    return f"{scheme}://{domain}"


def host_of(domain: str) -> str:
    """Without the port, which a domain has on the emulator only."""
    return domain.partition(":")[0]
