"""The stack's configuration as Pulumi holds it, made a StackConfig; user errors without a traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import pulumi

from provider_client.config import NAMESPACE, StackConfig, load
from provider_client.errors import ConfigError


def load_config() -> StackConfig:
    """Raises pulumi.RunError, which the engine prints as a sentence."""
    try:
        values, secret_keys = project_values(os.environ)
        return load(values, stack=pulumi.get_stack(), secret_keys=secret_keys)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None


def project_values(environment: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Keys of our namespace and which of them are stored encrypted.

    Read from PULUMI_CONFIG, where the language host puts them, because pulumi.Config cannot list its keys, and a
    misspelt key must not pass unseen.
    """
    values: dict[str, str] = json.loads(environment.get("PULUMI_CONFIG", "{}"))
    secrets: list[str] = json.loads(environment.get("PULUMI_CONFIG_SECRET_KEYS", "[]"))
    prefix = f"{NAMESPACE}:"
    own = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    return own, {key.removeprefix(prefix) for key in secrets if key.startswith(prefix)}
