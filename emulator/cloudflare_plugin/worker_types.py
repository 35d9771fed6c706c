"""Worker resource types of plugin 6.17.0. Source: tests/fixtures/wire/pulumi_cloudflare, cloudflare.md 2.3 to 2.5."""

from __future__ import annotations

from emulator.cloudflare_plugin.schema import Attribute, Call, Fields, Kind, Replace, ResourceType

_ACCOUNT = Attribute(required=True, in_body=False, replace=Replace.ALWAYS)
_WORKERS = "accounts/{account_id}/workers/workers"
_SCRIPT = "accounts/{account_id}/workers/scripts/{script_name}"
_DOMAINS = "accounts/{account_id}/workers/domains"


def _switch(default: bool) -> Attribute:
    return Attribute(kind=Kind.BOOLEAN, optional=True, computed=True, default=default)


def _text(*, sensitive: bool = False) -> Attribute:
    return Attribute(optional=True, sensitive=sensitive)


def _texts() -> Attribute:
    return Attribute(kind=Kind.LIST, optional=True)


_SAMPLING_RATE = Attribute(kind=Kind.NUMBER, optional=True, computed=True, default=1)
_DESTINATIONS = Attribute(kind=Kind.LIST, optional=True, computed=True)
_TRACES = {"destinations": None, "enabled": False, "head_sampling_rate": 1, "persist": True}
_LOGS = {"destinations": None, "enabled": False, "head_sampling_rate": 1, "invocation_logs": True, "persist": True}

_OBSERVABILITY: Fields = {
    "enabled": _switch(False),
    "head_sampling_rate": _SAMPLING_RATE,
    "logs": Attribute(
        kind=Kind.OBJECT,
        optional=True,
        computed=True,
        fields={
            "destinations": _DESTINATIONS,
            "enabled": _switch(False),
            "head_sampling_rate": _SAMPLING_RATE,
            "invocation_logs": _switch(True),
            "persist": _switch(True),
        },
    ),
    "traces": Attribute(
        kind=Kind.OBJECT,
        optional=True,
        computed=True,
        default=_TRACES,
        fields={
            "destinations": _DESTINATIONS,
            "enabled": _switch(False),
            "head_sampling_rate": _SAMPLING_RATE,
            "persist": _switch(True),
        },
    ),
}


def _referring(*names: str) -> Attribute:
    return Attribute(kind=Kind.LIST, computed=True, fields={name: Attribute(computed=True) for name in names})


_NAMESPACE_REFERENCE = ("namespace_id", "namespace_name", "worker_id", "worker_name")

WORKER = ResourceType(
    token="cloudflare:index/worker:Worker",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True),
        "account_id": _ACCOUNT,
        "name": Attribute(required=True),
        "logpush": _switch(False),
        "tags": Attribute(kind=Kind.SET, optional=True, computed=True, default=[]),
        "observability": Attribute(
            kind=Kind.OBJECT,
            optional=True,
            computed=True,
            fields=_OBSERVABILITY,
            default={"enabled": False, "head_sampling_rate": 1, "logs": _LOGS, "traces": _TRACES},
        ),
        "subdomain": Attribute(
            kind=Kind.OBJECT,
            optional=True,
            computed=True,
            default={"enabled": False, "previews_enabled": False},
            fields={
                "enabled": _switch(False),
                "previews_enabled": Attribute(
                    kind=Kind.BOOLEAN, optional=True, computed=True, default_from="enabled"
                ),
            },
        ),
        "tail_consumers": Attribute(
            kind=Kind.SET, optional=True, computed=True, default=[], fields={"name": Attribute(required=True)}
        ),
        "created_on": Attribute(kind=Kind.TIME, computed=True, keeps_state=True),
        "deployed_on": Attribute(kind=Kind.TIME, computed=True, keeps_state=True),
        "updated_on": Attribute(kind=Kind.TIME, computed=True),
        "references": Attribute(
            kind=Kind.OBJECT,
            computed=True,
            fields={
                "dispatch_namespace_outbounds": _referring(*_NAMESPACE_REFERENCE),
                "domains": _referring("id", "certificate_id", "hostname", "zone_id", "zone_name"),
                "durable_objects": _referring(*_NAMESPACE_REFERENCE),
                "queues": _referring("queue_consumer_id", "queue_id", "queue_name"),
                "workers": _referring("id", "name"),
            },
        ),
    },
    create=Call(method="POST", path=_WORKERS),
    read=Call(method="GET", path=_WORKERS + "/{id}", body="none"),
    update=Call(method="PUT", path=_WORKERS + "/{id}"),
    delete=Call(method="DELETE", path=_WORKERS + "/{id}", body="none"),
    imported_by=("account_id", "id"),
)

_BINDING_TYPES = (
    "ai ai_search ai_search_namespace analytics_engine assets browser d1 data_blob dispatch_namespace"
    " durable_object_namespace hyperdrive inherit images json kv_namespace media mtls_certificate plain_text"
    " pipelines queue ratelimit r2_bucket secret_text send_email service text_blob vectorize version_metadata"
    " secrets_store_secret flagship secret_key workflow wasm_module vpc_service vpc_network"
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
    "name": Attribute(required=True),
    "type": Attribute(required=True, one_of=tuple(_BINDING_TYPES.split())),
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

_VERSIONS = _WORKERS + "/{worker_id}/versions"
_VERSION = _VERSIONS + "/{id}"

WORKER_VERSION = ResourceType(
    token="cloudflare:index/workerVersion:WorkerVersion",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "worker_id": Attribute(required=True, in_body=False, replace=Replace.ALWAYS),
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
                "content_type": Attribute(required=True),
                "name": Attribute(required=True),
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
    imported_by=("account_id", "worker_id", "id"),
    import_call=Call(method="GET", path=_VERSION, body="none"),
)

WORKERS_DEPLOYMENT = ResourceType(
    token="cloudflare:index/workersDeployment:WorkersDeployment",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "script_name": Attribute(required=True, in_body=False, replace=Replace.ALWAYS),
        "strategy": Attribute(required=True, one_of=("percentage",), replace=Replace.ALWAYS),
        "versions": Attribute(
            kind=Kind.LIST,
            required=True,
            replace=Replace.ALWAYS,
            fields={
                "percentage": Attribute(kind=Kind.NUMBER, required=True, between=(0.01, 100)),
                "version_id": Attribute(required=True),
            },
        ),
        "annotations": Attribute(
            kind=Kind.OBJECT,
            optional=True,
            computed=True,
            replace=Replace.IF_CONFIGURED,
            fields={
                "workers_message": Attribute(optional=True, wire="workers/message"),
                "workers_triggered_by": Attribute(computed=True, wire="workers/triggered_by"),
            },
        ),
        "author_email": Attribute(computed=True),
        "created_on": Attribute(kind=Kind.TIME, computed=True),
        "source": Attribute(computed=True),
    },
    create=Call(method="POST", path=_SCRIPT + "/deployments"),
    read=Call(method="GET", path=_SCRIPT + "/deployments/{id}", body="none"),
    update=None,
    delete=None,
    imported_by=("account_id", "script_name", "id"),
)

WORKERS_CUSTOM_DOMAIN = ResourceType(
    token="cloudflare:index/workersCustomDomain:WorkersCustomDomain",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True),
        "account_id": _ACCOUNT,
        "hostname": Attribute(required=True, replace=Replace.ALWAYS),
        "service": Attribute(required=True),
        "environment": Attribute(optional=True, computed=True, deprecated=True),
        "zone_id": Attribute(optional=True, computed=True),
        "zone_name": Attribute(optional=True, computed=True),
        "cert_id": Attribute(computed=True),
    },
    create=Call(method="PUT", path=_DOMAINS),
    read=Call(method="GET", path=_DOMAINS + "/{id}", body="none"),
    update=Call(method="PUT", path=_DOMAINS),
    delete=Call(method="DELETE", path=_DOMAINS + "/{id}", body="none"),
    imported_by=("account_id", "id"),
)

WORKERS_CRON_TRIGGER = ResourceType(
    token="cloudflare:index/workersCronTrigger:WorkersCronTrigger",  # noqa: S106
    fields={
        "id": Attribute(computed=True, in_body=False, refreshed=False, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "script_name": Attribute(required=True, in_body=False, replace=Replace.ALWAYS),
        "schedules": Attribute(
            kind=Kind.LIST,
            required=True,
            fields={
                "cron": Attribute(required=True),
                "created_on": Attribute(computed=True),
                "modified_on": Attribute(computed=True),
            },
        ),
    },
    create=Call(method="PUT", path=_SCRIPT + "/schedules", body="schedules"),
    read=Call(method="GET", path=_SCRIPT + "/schedules", body="none"),
    update=Call(method="PUT", path=_SCRIPT + "/schedules", body="schedules"),
    delete=None,
    imported_by=("account_id", "script_name"),
    id_from="script_name",
    destroy_warning=True,
)

WORKER_TYPES = (WORKER, WORKER_VERSION, WORKERS_DEPLOYMENT, WORKERS_CUSTOM_DOMAIN, WORKERS_CRON_TRIGGER)
