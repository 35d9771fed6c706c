"""The WorkerVersion type of plugin 6.17.0. Source: tests/fixtures/wire/pulumi_cloudflare, cloudflare.md 2.4."""

from __future__ import annotations

from emulator.cloudflare_plugin.schema import Attribute, Call, Fields, Kind, Replace, ResourceType


def _text(*, sensitive: bool = False) -> Attribute:
    return Attribute(optional=True, sensitive=sensitive)


def _texts() -> Attribute:
    return Attribute(kind=Kind.LIST, optional=True)


_BINDING_TYPES = (
    "ai",
    "ai_search",
    "ai_search_namespace",
    "analytics_engine",
    "assets",
    "browser",
    "d1",
    "data_blob",
    "dispatch_namespace",
    "durable_object_namespace",
    "hyperdrive",
    "inherit",
    "images",
    "json",
    "kv_namespace",
    "media",
    "mtls_certificate",
    "plain_text",
    "pipelines",
    "queue",
    "ratelimit",
    "r2_bucket",
    "secret_text",
    "send_email",
    "service",
    "text_blob",
    "vectorize",
    "version_metadata",
    "secrets_store_secret",
    "flagship",
    "secret_key",
    "workflow",
    "wasm_module",
    "vpc_service",
    "vpc_network",
)
_BINDING_TYPE = "The kind of resource that the binding provides. Available values: " + (
    ", ".join(f'"{name}"' for name in _BINDING_TYPES) + "."
)
_PLAIN_BINDING_TEXTS = (
    "app_id bucket_name certificate_id dataset destination_address dispatch_namespace entrypoint environment"
    " id index_name instance_name namespace network_id old_name part pipeline queue_name secret_name service"
    " service_id store_id tunnel_id version_id workflow_name"
)
_OF_DURABLE_OBJECT = Attribute(optional=True, computed=True, unknown_only_for_type="durable_object_namespace")
_KEY_FORMATS = ("raw", "pkcs8", "spki", "jwk")
_KEY_USAGES = ("encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey")

_BINDING: Fields = {
    "name": Attribute(required=True, description="A JavaScript variable name for the binding."),
    "type": Attribute(required=True, one_of=_BINDING_TYPES, description=_BINDING_TYPE),
    **{name: _text() for name in _PLAIN_BINDING_TEXTS.split()},
    "algorithm": Attribute(kind=Kind.JSON, optional=True),
    "allowed_destination_addresses": _texts(),
    "allowed_sender_addresses": _texts(),
    "class_name": _OF_DURABLE_OBJECT,
    "database_id": Attribute(optional=True, computed=True),
    "format": Attribute(optional=True, one_of=_KEY_FORMATS),
    "json": Attribute(kind=Kind.JSON, optional=True),
    "jurisdiction": Attribute(optional=True, one_of=("eu", "fedramp", "fedramp-high")),
    "key_base64": _text(sensitive=True),
    "key_jwk": Attribute(kind=Kind.JSON, optional=True, sensitive=True),
    "namespace_id": _OF_DURABLE_OBJECT,
    "outbound": Attribute(
        kind=Kind.OBJECT,
        optional=True,
        fields={
            "params": Attribute(kind=Kind.LIST, optional=True, fields={"name": Attribute(required=True)}),
            "worker": Attribute(
                kind=Kind.OBJECT,
                optional=True,
                fields={"entrypoint": _text(), "environment": _text(), "service": _text()},
            ),
        },
    ),
    "script_name": _OF_DURABLE_OBJECT,
    "simple": Attribute(
        kind=Kind.OBJECT,
        optional=True,
        fields={
            "limit": Attribute(kind=Kind.NUMBER, required=True),
            "period": Attribute(kind=Kind.INTEGER, required=True),
        },
    ),
    "text": _text(sensitive=True),
    "usages": Attribute(kind=Kind.SET, optional=True, one_of=_KEY_USAGES),
}

_PLACEMENT: Fields = {
    "mode": Attribute(optional=True, one_of=("smart", "targeted")),
    "region": _text(),
    "hostname": _text(),
    "host": _text(),
    "target": Attribute(
        kind=Kind.LIST,
        optional=True,
        fields={"region": _text(), "hostname": _text(), "host": _text()},
        property_name="targets",
    ),
}

_VERSIONS = "accounts/{account_id}/workers/workers/{worker_id}/versions"
_VERSION = _VERSIONS + "/{id}"

WORKER_VERSION = ResourceType(
    token="cloudflare:index/workerVersion:WorkerVersion",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": Attribute(optional=True, in_body=False, replace=Replace.ALWAYS),
        "worker_id": Attribute(
            required=True,
            in_body=False,
            replace=Replace.ALWAYS,
            description="Identifier for the Worker, which can be ID or name.",
        ),
        "annotations": Attribute(
            kind=Kind.OBJECT,
            optional=True,
            computed=True,
            replace=Replace.IF_CONFIGURED_PART_CHANGED,
            fields={
                "workers_message": Attribute(optional=True, wire="workers/message"),
                "workers_tag": Attribute(optional=True, wire="workers/tag"),
                "workers_triggered_by": Attribute(computed=True, wire="workers/triggered_by"),
            },
        ),
        "bindings": Attribute(
            kind=Kind.LIST, optional=True, fields=_BINDING, replace=Replace.IF_BINDING_CHANGED, sent_by_name=True
        ),
        "compatibility_date": Attribute(optional=True, replace=Replace.ALWAYS),
        "compatibility_flags": Attribute(
            kind=Kind.SET, optional=True, computed=True, replace=Replace.IF_CONFIGURED
        ),
        "containers": Attribute(
            kind=Kind.SET, optional=True, replace=Replace.ALWAYS, fields={"class_name": Attribute(required=True)}
        ),
        "created_on": Attribute(kind=Kind.TIME, computed=True),
        "limits": Attribute(
            kind=Kind.OBJECT,
            optional=True,
            computed=True,
            replace=Replace.IF_CONFIGURED,
            fields={
                "cpu_ms": Attribute(kind=Kind.INTEGER, optional=True),
                "subrequests": Attribute(kind=Kind.INTEGER, optional=True),
            },
        ),
        "main_module": Attribute(optional=True, replace=Replace.ALWAYS),
        "main_script_base64": Attribute(computed=True),
        "migration_tag": Attribute(computed=True),
        "modules": Attribute(
            kind=Kind.SET,
            optional=True,
            replace=Replace.ALWAYS,
            fields={
                "content_base64": _text(),
                "content_file": Attribute(optional=True, in_body=False, refreshed=False),
                "content_sha256": Attribute(computed=True, in_body=False, refreshed=False),
                "content_type": Attribute(required=True, description="The content type of the module."),
                "name": Attribute(required=True, description="The name of the module."),
            },
        ),
        "number": Attribute(kind=Kind.INTEGER, computed=True),
        "placement": Attribute(kind=Kind.OBJECT, optional=True, fields=_PLACEMENT, replace=Replace.ALWAYS),
        "source": Attribute(computed=True),
        "startup_time_ms": Attribute(kind=Kind.INTEGER, computed=True),
        "urls": Attribute(kind=Kind.LIST, computed=True),
        "usage_model": Attribute(
            optional=True,
            computed=True,
            default="standard",
            deprecated=True,
            one_of=("standard", "bundled", "unbound"),
            replace=Replace.IF_CONFIGURED,
        ),
    },
    create=Call(method="POST", path=_VERSIONS),
    read=Call(method="GET", path=_VERSION, query="include=modules", body="none"),
    update=None,
    delete=None,
    stored_without_call=("modules",),
    imported_by={"account_id": "account_id", "worker_id": "worker_id", "id": "version_id"},
    import_call=Call(method="GET", path=_VERSION, body="none"),
)
