"""A stack's configuration with its secrets, as `pulumi up` will see it: held in memory, never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_client import NAMESPACE
from provider_client.cli.context import Context
from provider_client.errors import SwitchbackError


@dataclass(frozen=True)
class StackValues:
    """`values` are the keys of our namespace as texts (objects as JSON). `incomplete` says why secrets are missing."""

    values: Mapping[str, str] = field(repr=False)
    secret_keys: frozenset[str] = frozenset()
    cloudflare_token: str | None = field(default=None, repr=False)
    incomplete: SwitchbackError | None = None

    def section(self, key: str) -> dict[str, Any]:
        """An object's own values; empty when it is absent or no object."""
        try:
            found = json.loads(self.values.get(key, "{}"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def base_url(self, vendor: str) -> str | None:
        address = self.section("baseUrls").get(vendor)
        return address if isinstance(address, str) else None


def read_stack_values(context: Context, stack: str) -> StackValues:
    """Decrypted by Pulumi itself; where it cannot, the plain values of the stack's file and the reason."""
    try:
        answer = json.loads(context.pulumi.ask("config", "--show-secrets", "--json", "--stack", stack))
    except SwitchbackError as error:
        return StackValues(_plain(context.stack_config(stack)), incomplete=error)
    except ValueError:  # its text might quote a secret
        unreadable = SwitchbackError(
            "`pulumi config --json` gave no readable answer.", fix="check pulumi's version"
        )
        return StackValues(_plain(context.stack_config(stack)), incomplete=unreadable)
    prefix = f"{NAMESPACE}:"
    own = {key.removeprefix(prefix): entry for key, entry in answer.items() if key.startswith(prefix)}
    return StackValues(
        values={key: str(entry.get("value", "")) for key, entry in own.items()},
        secret_keys=frozenset(key for key, entry in own.items() if entry.get("secret")),
        cloudflare_token=(answer.get("cloudflare:apiToken") or {}).get("value"),
    )


def _plain(config: Mapping[str, Any]) -> dict[str, str]:
    """The texts that Pulumi would give, without what is encrypted."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
        if '"secure"' not in json.dumps(value, default=str)
    }
