"""Worker resource types of plugin 6.17.0. Source: tests/fixtures/wire/pulumi_cloudflare, cloudflare.md 2.3, 2.5."""

from __future__ import annotations

from emulator.cloudflare_plugin.schema import Attribute, Call, Fields, Kind, Replace, ResourceType
from emulator.cloudflare_plugin.worker_version_type import WORKER_VERSION

_ACCOUNT = Attribute(optional=True, in_body=False, replace=Replace.ALWAYS)
_SCRIPT_NAME = Attribute(
    required=True,
    in_body=False,
    replace=Replace.ALWAYS,
    description="Name of the script, used in URLs and route configuration.",
)
_WORKERS = "accounts/{account_id}/workers/workers"
_SCRIPT = "accounts/{account_id}/workers/scripts/{script_name}"
_DOMAINS = "accounts/{account_id}/workers/domains"


def _switch(default: bool) -> Attribute:
    return Attribute(kind=Kind.BOOLEAN, optional=True, computed=True, default=default)


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
        "name": Attribute(required=True, description="Name of the Worker."),
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
            kind=Kind.SET,
            optional=True,
            computed=True,
            default=[],
            fields={"name": Attribute(required=True, description="Name of the consumer Worker.")},
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
    imported_by={"account_id": "account_id", "id": "worker_id"},
)

WORKERS_DEPLOYMENT = ResourceType(
    token="cloudflare:index/workersDeployment:WorkersDeployment",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "script_name": _SCRIPT_NAME,
        "strategy": Attribute(
            required=True,
            one_of=("percentage",),
            replace=Replace.ALWAYS,
            description='Available values: "percentage".',
        ),
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
    imported_by={"account_id": "account_id", "script_name": "script_name", "id": "deployment_id"},
)

_HOSTNAME = (
    "Hostname of the domain. Can be either the zone apex or a subdomain of the zone. Requests to this hostname will be"
    " routed to the configured Worker."
)
_SERVICE = (
    "Name of the Worker associated with the domain."  # one sentence per line
    " Requests to the configured hostname will be routed to this Worker."
)

WORKERS_CUSTOM_DOMAIN = ResourceType(
    token="cloudflare:index/workersCustomDomain:WorkersCustomDomain",  # noqa: S106
    fields={
        "id": Attribute(computed=True, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "hostname": Attribute(required=True, replace=Replace.ALWAYS, description=_HOSTNAME),
        "service": Attribute(required=True, replace=Replace.ALWAYS, description=_SERVICE),
        "environment": Attribute(optional=True, computed=True, deprecated=True, replace=Replace.IF_CONFIGURED),
        "zone_id": Attribute(optional=True, computed=True, replace=Replace.IF_CONFIGURED),
        "zone_name": Attribute(optional=True, computed=True, replace=Replace.IF_CONFIGURED),
        "cert_id": Attribute(computed=True),
    },
    create=Call(method="PUT", path=_DOMAINS),
    read=Call(method="GET", path=_DOMAINS + "/{id}", body="none"),
    update=None,
    delete=Call(method="DELETE", path=_DOMAINS + "/{id}", body="none"),
    imported_by={"account_id": "account_id", "id": "domain_id"},
)

WORKERS_CRON_TRIGGER = ResourceType(
    token="cloudflare:index/workersCronTrigger:WorkersCronTrigger",  # noqa: S106
    fields={
        "id": Attribute(computed=True, in_body=False, refreshed=False, keeps_state=True, replace=Replace.ALWAYS),
        "account_id": _ACCOUNT,
        "script_name": _SCRIPT_NAME,
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
    imported_by={"account_id": "account_id", "script_name": "script_name"},
    id_from="script_name",
    destroy_warning=True,
)

WORKER_TYPES = (WORKER, WORKER_VERSION, WORKERS_DEPLOYMENT, WORKERS_CUSTOM_DOMAIN, WORKERS_CRON_TRIGGER)
