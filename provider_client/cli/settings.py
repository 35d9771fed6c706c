"""Where a setting comes from: flag, environment, .env, stack file, stack outputs, what status remembered.

A setting is looked for when it is asked for, so a command that needs no stack output never starts Pulumi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from provider_client.cloudflare import DEFAULT_BASE_URL
from provider_client.errors import ConfigError

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """Every place that may hold one setting, in order, and the command that sets it."""

    flag: str | None = None
    environment: tuple[str, ...] = ()
    config_key: str | None = None
    output: str | None = None
    remembered: bool = False
    fix: str = ""


SETTINGS: Mapping[str, Setting] = {
    "account_id": Setting(
        flag="account_id",
        environment=("SWITCHBACK_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"),
        config_key="accountId",
        remembered=True,
        fix="pulumi config set accountId <account id>, or export CLOUDFLARE_ACCOUNT_ID",
    ),
    "worker_name": Setting(
        flag="worker",
        environment=("SWITCHBACK_WORKER_NAME",),
        config_key="workerName",
        remembered=True,
        fix="name the stack with --stack, or the Worker with --worker or SWITCHBACK_WORKER_NAME",
    ),
    "gateway_url": Setting(
        flag="url",
        environment=("SWITCHBACK_URL",),
        output="apiUrl",
        remembered=True,
        fix="give --url, or export SWITCHBACK_URL=https://<worker>.<subdomain>.workers.dev",
    ),
    "cloudflare_token": Setting(
        environment=("CLOUDFLARE_API_TOKEN",),
        fix="export CLOUDFLARE_API_TOKEN=<token with the permission Workers Scripts Write>",
    ),
    "gateway_token": Setting(
        environment=("SWITCHBACK_GATEWAY_TOKEN",),
        fix="export SWITCHBACK_GATEWAY_TOKEN=<one of the stack's gatewayTokens>",
    ),
    "base_url": Setting(
        environment=("CLOUDFLARE_BASE_URL",), config_key="baseUrls.cloudflare", remembered=True, fix="unset it"
    ),
}


@dataclass(frozen=True)
class Sources:
    """The places themselves. The last three are read on first use."""

    flags: Values
    environment: Mapping[str, str]
    dotenv: Mapping[str, str]
    stack_file: Callable[[], tuple[str, Values]]
    outputs: Callable[[], tuple[str, Values]]
    remembered: Callable[[], tuple[str, Values]]
    default_worker: Callable[[], str | None]
    doubt: Callable[[], str] = lambda: ""  # what to do first, where the stack or the project is not there at all


class Settings:
    """Settings by name. A property raises ConfigError with every place looked at; `find` returns None instead."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def __repr__(self) -> str:
        return "Settings(...)"

    @property
    def account_id(self) -> str:
        return self._required("account_id")

    @property
    def worker_name(self) -> str:
        return self._required("worker_name")

    @property
    def gateway_url(self) -> str:
        return self._required("gateway_url").rstrip("/")

    @property
    def cloudflare_token(self) -> str:
        return self._required("cloudflare_token")

    @property
    def gateway_token(self) -> str:
        return self._required("gateway_token")

    @property
    def base_url(self) -> str:
        return (self.find("base_url") or DEFAULT_BASE_URL).rstrip("/")

    def find(self, name: str) -> str | None:
        """The setting, or None where no place holds it."""
        value = next((value for _, value in self._places(name) if value), None)
        if value is None and name == "worker_name":
            return self._sources.default_worker()
        if value is not None and name in ("gateway_url", "base_url"):
            return _checked_url(value, name)
        return value

    def origin(self, name: str) -> str:
        """The place that the setting comes from, such as ".env CLOUDFLARE_API_TOKEN"; "" where none holds it."""
        return next((place for place, value in self._places(name) if value), "")

    def _required(self, name: str) -> str:
        value = self.find(name)
        if value is not None:
            return value
        looked_at = "; ".join(self._looked_at(name))
        doubt = self._sources.doubt()
        raise ConfigError(
            f"{name.replace('_', ' ').capitalize()} is not set. Looked at: {looked_at}.",
            fix=f"{doubt}; or {SETTINGS[name].fix}" if doubt else SETTINGS[name].fix,
        )

    def _looked_at(self, name: str) -> Iterator[str]:
        """The places in a person's words: what is looked up in the environment is looked up in .env as well."""
        variables = SETTINGS[name].environment
        for place, _ in self._places(name):
            if place == f"environment {variables[0]}":
                yield f"environment and .env {', '.join(variables)}"
            elif not place.startswith(("environment ", ".env ")):
                yield place

    def _places(self, name: str) -> Iterator[tuple[str, str | None]]:
        setting, sources = SETTINGS[name], self._sources
        if setting.flag:
            yield f"--{setting.flag.replace('_', '-')}", _text(sources.flags.get(setting.flag))
        for variable in setting.environment:
            yield f"environment {variable}", _text(sources.environment.get(variable))
        for variable in setting.environment:
            yield f".env {variable}", _text(sources.dotenv.get(variable))
        if setting.config_key:
            place, values = sources.stack_file()
            yield f"{place} {setting.config_key}", _text(_dig(values, setting.config_key))
        if setting.output:
            place, values = sources.outputs()
            yield f"{place} {setting.output}", _text(values.get(setting.output))
        if setting.remembered:
            place, values = sources.remembered()
            yield f"{place} {name}", _text(values.get(name))


def _text(value: object) -> str | None:
    """Only text counts: an encrypted value of a stack file is a mapping."""
    return value.strip() or None if isinstance(value, str) else None


def _dig(values: Values, path: str) -> object:
    found: object = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _checked_url(value: str, name: str) -> str:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            f"{name.replace('_', ' ')} is not an address: {value!r}",
            fix="it must begin with https:// (or http://)",
        )
    return value
