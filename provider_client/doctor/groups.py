"""All quick checks of a stack, in the order in which they are shown. A new provider is checked without a line here."""

from __future__ import annotations

from functools import partial

from provider_client.doctor import cloudflare, configuration, runpod, tools
from provider_client.doctor.running import Check
from provider_client.doctor.subject import Subject
from provider_client.doctor.vendors import provider_checks


def quick_checks(subject: Subject) -> list[Check]:
    """Each ends within seconds and costs nothing."""
    groups = (
        ("tools", tools.check_tools),
        ("config", configuration.check_configuration),
        ("image", configuration.check_image),
        ("budget", configuration.check_budget),
        ("cloudflare", cloudflare.check_token),
        ("worker", cloudflare.check_worker),
        ("bucket", cloudflare.check_bucket),
        ("runpod", runpod.check_account),
        ("gpu", runpod.check_gpus),
    )
    return [*(Check(name, partial(find, subject)) for name, find in groups), *provider_checks(subject)]
