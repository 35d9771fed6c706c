"""R2 resource types of plugin 6.17.0. Source: tests/fixtures/wire/pulumi_cloudflare and cloudflare.md section 2.8."""

from __future__ import annotations

from emulator.cloudflare_plugin.schema import Attribute, Call, Fields, Kind, Replace, ResourceType

_BUCKETS = "accounts/{account_id}/r2/buckets"
_BUCKET = _BUCKETS + "/{bucket_name}"
_HEADERS = {"cf-r2-jurisdiction": "{jurisdiction}"}

_ACCOUNT = Attribute(optional=True, in_body=False, replace=Replace.ALWAYS)
_BUCKET_NAME = Attribute(required=True, in_body=False, replace=Replace.ALWAYS, description="Name of the bucket.")
_JURISDICTION = Attribute(
    optional=True,
    computed=True,
    default="default",
    one_of=("default", "eu", "fedramp"),
    in_body=False,
    refreshed=False,
)
_OF_BUCKET: Fields = {"account_id": _ACCOUNT, "bucket_name": _BUCKET_NAME, "jurisdiction": _JURISDICTION}

BUCKET = ResourceType(
    token="cloudflare:index/r2Bucket:R2Bucket",  # noqa: S106
    fields={
        "id": Attribute(computed=True, in_body=False, refreshed=False, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "creation_date": Attribute(computed=True, keeps_state=True),
        "jurisdiction": _JURISDICTION,
        "location": Attribute(
            optional=True,
            computed=True,
            never_moves=True,
            one_of=("apac", "eeur", "enam", "weur", "wnam", "oc"),
            wire="locationHint",
            answer_wire="location",
        ),
        "name": Attribute(required=True, replace=Replace.ALWAYS, description="Name of the bucket."),
        "storage_class": Attribute(
            optional=True,
            computed=True,
            default="Standard",
            one_of=("Standard", "InfrequentAccess"),
            wire="storageClass",
            answer_wire="storage_class",
        ),
    },
    create=Call(method="POST", path=_BUCKETS, headers=_HEADERS),
    read=Call(method="GET", path=_BUCKETS + "/{name}", headers=_HEADERS, body="none"),
    update=Call(
        method="PATCH",
        path=_BUCKETS + "/{name}",
        headers={**_HEADERS, "cf-r2-storage-class": "{storage_class}"},
        body="none",
    ),
    delete=Call(method="DELETE", path=_BUCKETS + "/{name}", headers=_HEADERS, body="none"),
    imported_by={"account_id": "account_id", "name": "bucket_name", "jurisdiction": "jurisdiction"},
    id_from="name",
)

CORS = ResourceType(
    token="cloudflare:index/r2BucketCors:R2BucketCors",  # noqa: S106
    fields={
        **_OF_BUCKET,
        "rules": Attribute(
            kind=Kind.LIST,
            optional=True,
            fields={
                "allowed": Attribute(
                    kind=Kind.OBJECT,
                    required=True,
                    description="Object specifying allowed origins, methods and headers for this CORS rule.",
                    fields={
                        "methods": Attribute(
                            kind=Kind.LIST, required=True, one_of=("GET", "PUT", "POST", "DELETE", "HEAD")
                        ),
                        "origins": Attribute(kind=Kind.LIST, required=True),
                        "headers": Attribute(kind=Kind.LIST, optional=True),
                    },
                ),
                "id": Attribute(optional=True),
                "expose_headers": Attribute(kind=Kind.LIST, optional=True, wire="exposeHeaders"),
                "max_age_seconds": Attribute(kind=Kind.NUMBER, optional=True, wire="maxAgeSeconds"),
            },
        ),
    },
    create=Call(method="PUT", path=_BUCKET + "/cors", headers=_HEADERS),
    read=Call(method="GET", path=_BUCKET + "/cors", headers=_HEADERS, body="none"),
    update=Call(method="PUT", path=_BUCKET + "/cors", headers=_HEADERS),
    delete=Call(method="DELETE", path=_BUCKET + "/cors", headers=_HEADERS, body="none"),
)

_AGE: Fields = {
    "max_age": Attribute(kind=Kind.INTEGER, required=True, wire="maxAge"),
    "type": Attribute(required=True, one_of=("Age",), description='Available values: "Age".'),
}
_AGE_OR_DATE: Fields = {
    "max_age": Attribute(kind=Kind.INTEGER, optional=True, wire="maxAge"),
    "type": Attribute(required=True, one_of=("Age", "Date"), description='Available values: "Age", "Date".'),
    "date": Attribute(kind=Kind.DATE, optional=True),
}


def _transition(wire: str, condition: Fields) -> Attribute:
    return Attribute(
        kind=Kind.OBJECT,
        optional=True,
        fields={"condition": Attribute(kind=Kind.OBJECT, optional=True, fields=condition)},
        wire=wire,
    )


_LIFECYCLE_RULE: Fields = {
    "id": Attribute(required=True, description="Unique identifier for this rule."),
    "conditions": Attribute(
        kind=Kind.OBJECT,
        required=True,
        fields={"prefix": Attribute(required=True)},
        description="Conditions that apply to all transitions of this rule.",
    ),
    "enabled": Attribute(kind=Kind.BOOLEAN, required=True, description="Whether or not this rule is in effect."),
    "abort_multipart_uploads_transition": _transition("abortMultipartUploadsTransition", _AGE),
    "delete_objects_transition": _transition("deleteObjectsTransition", _AGE_OR_DATE),
    "storage_class_transitions": Attribute(
        kind=Kind.LIST,
        optional=True,
        fields={
            "condition": Attribute(kind=Kind.OBJECT, required=True, fields=_AGE_OR_DATE),
            "storage_class": Attribute(required=True, one_of=("InfrequentAccess",), wire="storageClass"),
        },
        wire="storageClassTransitions",
    ),
}

LIFECYCLE = ResourceType(
    token="cloudflare:index/r2BucketLifecycle:R2BucketLifecycle",  # noqa: S106
    fields={**_OF_BUCKET, "rules": Attribute(kind=Kind.LIST, optional=True, fields=_LIFECYCLE_RULE)},
    create=Call(method="PUT", path=_BUCKET + "/lifecycle", headers=_HEADERS),
    read=Call(method="GET", path=_BUCKET + "/lifecycle", headers=_HEADERS, body="none"),
    update=Call(method="PUT", path=_BUCKET + "/lifecycle", headers=_HEADERS),
    delete=None,
    destroy_warning=True,
)

MANAGED_DOMAIN = ResourceType(
    token="cloudflare:index/r2ManagedDomain:R2ManagedDomain",  # noqa: S106
    fields={
        **_OF_BUCKET,
        "enabled": Attribute(kind=Kind.BOOLEAN, required=True),
        "bucket_id": Attribute(computed=True, wire="bucketId"),
        "domain": Attribute(computed=True),
    },
    create=Call(method="PUT", path=_BUCKET + "/domains/managed", headers=_HEADERS),
    read=None,
    update=Call(method="PUT", path=_BUCKET + "/domains/managed", headers=_HEADERS),
    delete=None,
    destroy_warning=True,
)

_CUSTOM_DOMAIN = _BUCKET + "/domains/custom/{domain}"

CUSTOM_DOMAIN = ResourceType(
    token="cloudflare:index/r2CustomDomain:R2CustomDomain",  # noqa: S106
    fields={
        **_OF_BUCKET,
        "domain": Attribute(
            required=True, replace=Replace.ALWAYS, description="Name of the custom domain to be added."
        ),
        "zone_id": Attribute(
            required=True, replace=Replace.ALWAYS, wire="zoneId", description="Zone ID of the custom domain."
        ),
        "enabled": Attribute(kind=Kind.BOOLEAN, required=True),
        "min_tls": Attribute(optional=True, one_of=("1.0", "1.1", "1.2", "1.3"), wire="minTLS"),
        "ciphers": Attribute(kind=Kind.LIST, optional=True),
        "zone_name": Attribute(computed=True, wire="zoneName"),
        "status": Attribute(
            kind=Kind.OBJECT,
            computed=True,
            fields={"ownership": Attribute(computed=True), "ssl": Attribute(computed=True)},
        ),
    },
    create=Call(method="POST", path=_BUCKET + "/domains/custom", headers=_HEADERS),
    read=Call(method="GET", path=_CUSTOM_DOMAIN, headers=_HEADERS, body="none"),
    update=Call(method="PUT", path=_CUSTOM_DOMAIN, headers=_HEADERS),
    delete=Call(method="DELETE", path=_CUSTOM_DOMAIN, headers=_HEADERS, body="none"),
    missing_name_follow_up="zone_name",
)

R2_TYPES = (BUCKET, CORS, LIFECYCLE, MANAGED_DOMAIN, CUSTOM_DOMAIN)
