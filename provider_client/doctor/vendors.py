"""Each provider's own credentials, by its client's health question: none of them starts a GPU or costs anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from provider_client.clock import SystemClock
from provider_client.doctor.findings import Finding, not_checked, ok, problem, problem_from
from provider_client.doctor.running import Check
from provider_client.doctor.subject import Subject
from provider_client.errors import ExitCode
from provider_client.failures import FailureKind, ProviderError
from provider_client.providers import PROVIDERS, ProviderSpec


def provider_checks(subject: Subject) -> list[Check]:
    return [Check(_label(spec), _finder(subject, spec)) for spec in PROVIDERS.values()]


def _finder(subject: Subject, spec: ProviderSpec) -> Callable[[], Iterator[Finding]]:
    return partial(check_provider, subject, spec)


def _label(spec: ProviderSpec) -> str:
    return f"{spec.name} jobs"


def check_provider(subject: Subject, spec: ProviderSpec) -> Iterator[Finding]:
    check = _label(spec)
    variables = subject.provider_variables()
    required = [binding for binding in spec.bindings if binding.required]
    missing = [binding.name for binding in required if not variables.get(binding.name)]
    named = subject.config is not None and spec.name in subject.config.named_providers
    secrets = [binding.name for binding in required if binding.kind == "secret_text"]
    if set(missing) & set(secrets):
        why = f"{', '.join(missing)} not set: {spec.name} is not deployed"
        yield (
            not_checked(check, why)
            if not named
            else problem(check, why, f"pulumi config set --secret {_key(missing[0])} <value>", ExitCode.CONFIG)
        )
        return
    if missing:  # RunPod's endpoint before it exists
        yield not_checked(check, f"{', '.join(missing)} is known after the first `pulumi up`")
        return
    used = {binding.name: variables.get(binding.name, "") for binding in spec.bindings if binding.kind != "json"}
    provider = spec.connect(spec.settings.from_environment(used), subject.http, SystemClock())
    try:
        health = provider.health()
    except ProviderError as error:
        yield problem_from(check, error, _fix(error, secrets[0]))
        return
    if health.healthy:
        yield ok(check, health.detail)
    else:
        yield problem(check, health.detail, f"see {spec.help_url}")


def _fix(error: ProviderError, secret: str) -> str:
    if error.failure.kind is FailureKind.AUTH:
        return f"pulumi config set --secret {_key(secret)} <value>"
    if error.failure.kind is FailureKind.UNAVAILABLE:
        return "check the network and the address, then run it again"
    return ""


def _key(variable: str) -> str:
    first, *rest = variable.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)
