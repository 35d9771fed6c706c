"""The plugin's configuration: where the API is, and which credentials it gets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

SECRET_KEYS: Final = ("apiKey", "apiToken", "apiUserServiceKey")
_TOKEN_FORM: Final = re.compile(r"[0-9A-Za-z\-_]{40,80}")
_OFFICIAL_BASE_URL: Final = "https://api.cloudflare.com/client/v4"
_MALFORMED: Final = (
    "could not validate provider configuration: Invalid Attribute Value. Attribute api_token API tokens must only"
    " contain characters a-z, A-Z, 0-9, hyphens and underscores."
)


class NotLoopbackError(ValueError):
    """The API's address is not on this machine."""

    def __init__(self, base_url: str) -> None:
        super().__init__(
            f"This is the emulator's stand-in Cloudflare plugin: it only talks to an emulated API on this machine,"
            f" and {base_url} is not on it (baseUrl or CLOUDFLARE_BASE_URL). For the real Cloudflare install the"
            " official plugin, pulumi plugin install resource cloudflare 6.17.0, and take"
            " emulator/cloudflare_plugin/bin off PATH."
        )


@dataclass(frozen=True, slots=True)
class Configuration:
    """What requests need: the base URL, the headers that authorize them, the account where a resource names none."""

    base_url: str
    authorization: Mapping[str, str]
    account_id: str = ""


def configuration(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Configuration:
    """Return the configuration from provider arguments, else the environment; NotLoopbackError for another machine."""
    base_url = _setting("baseUrl", "CLOUDFLARE_BASE_URL", arguments, environment) or _OFFICIAL_BASE_URL
    if not is_loopback(base_url):
        raise NotLoopbackError(_without_credentials(base_url))
    return Configuration(
        base_url, _authorization(arguments, environment), environment.get("CLOUDFLARE_ACCOUNT_ID", "")
    )


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine: 127.0.0.0/8, ::1, localhost or a name under it."""
    try:
        place = urlsplit(url)
        host = (place.hostname or "").rstrip(".")
    except ValueError:
        return False
    if place.scheme not in ("http", "https"):
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_problem(token: Any, provider_name: str) -> str | None:
    """Return why a token from configuration is refused. One from the environment is never looked at."""
    if not isinstance(token, str) or _TOKEN_FORM.fullmatch(token):
        return None
    hint = (
        "Check `pulumi config get cloudflare:apiToken`."
        if provider_name.startswith("default")
        else f"Examine values at '{provider_name}.apiToken'."
    )
    return f"{_MALFORMED} {hint}"


def _authorization(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    token = _setting("apiToken", "CLOUDFLARE_API_TOKEN", arguments, environment)
    key = _setting("apiKey", "CLOUDFLARE_API_KEY", arguments, environment)
    email = _setting("email", "CLOUDFLARE_EMAIL", arguments, environment)
    service_key = _setting("apiUserServiceKey", "CLOUDFLARE_API_USER_SERVICE_KEY", arguments, environment)
    headers = {
        "authorization": f"Bearer {token}" if token else "",
        "x-auth-key": key,
        "x-auth-email": email,
        "x-auth-user-service-key": service_key,
    }
    return {name: value for name, value in headers.items() if value}


def _setting(key: str, variable: str, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    value = arguments.get(key)
    return value if isinstance(value, str) and value else environment.get(variable, "")


def _without_credentials(url: str) -> str:
    try:
        place = urlsplit(url)
    except ValueError:
        return "the given address"
    return f"{place.scheme}://{place.hostname}{place.path}"
