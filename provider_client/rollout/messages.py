"""The message of a deployment: our audit trail, kept by Cloudflare itself.

`switchback:rollback from=runpod to=scenario actor=alice at=2026-11-23T06:00:00Z reason='out of memory'`
It is readable in Cloudflare's dashboard, survives the loss of Pulumi's state, and tells a later `pulumi up`
that a person moved the traffic on purpose. Quoting is that of a POSIX shell.
"""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

MAX_BYTES = 1000  # Cloudflare cuts a longer message
_PREFIX = "switchback:"


class MessageKind(StrEnum):
    UP = "up"
    ROLLBACK = "rollback"
    RESTORE = "restore"


@dataclass(frozen=True)
class DeploymentMessage:
    """Why a deployment exists. Usual fields: from, to, actor, at, reason, commit, verification."""

    kind: MessageKind
    fields: Mapping[str, str] = field(default_factory=dict)

    def format(self) -> str:
        """At most 1000 bytes: the longest value is cut first."""
        fields = {key: one_line(value) for key, value in self.fields.items() if value}
        while len((text := _join(self.kind, fields)).encode()) > MAX_BYTES:
            longest = max(fields, key=lambda key: len(fields[key]))
            fields[longest] = fields[longest][: int(len(fields[longest]) * 0.9)].rstrip("…") + "…"
        return text

    @classmethod
    def parse(cls, text: str) -> DeploymentMessage | None:
        """None for a message that is not ours."""
        if not text.startswith(_PREFIX):
            return None
        try:
            kind, *words = shlex.split(text.removeprefix(_PREFIX))
            return cls(MessageKind(kind), dict(word.split("=", 1) for word in words if "=" in word))
        except ValueError:
            return None


def current_actor(environment: Mapping[str, str]) -> str:
    """Who acts: the pipeline's actor where there is one, else the user of this machine."""
    for name in ("SWITCHBACK_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if environment.get(name):
            return environment[name]
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"


def utc_now() -> str:
    """The present as `2026-11-23T06:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def one_line(value: str) -> str:
    """Without line ends and control characters, which could forge a message or steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())


def _join(kind: MessageKind, fields: Mapping[str, str]) -> str:
    return " ".join([f"{_PREFIX}{kind}", *(f"{key}={shlex.quote(value)}" for key, value in fields.items())])
