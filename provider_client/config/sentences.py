"""The parts of the sentences about a wrong key: what it must be, what it was meant to be, the command that mends it."""

from __future__ import annotations

import re
from collections.abc import Collection

from provider_client import NAMESPACE
from provider_client.gpu_catalog import nearest_names

HOST_NAME = "a host name such as images.example.com"
PATTERNS = {
    "accountId": "the 32 hexadecimal digits that the Cloudflare dashboard shows in its address",
    "workerName": "2 to 54 lower-case letters, digits and dashes, beginning and ending with a letter or digit",
    "adoptBucket": "the name of a bucket",
    "customDomain": HOST_NAME,
    "assetPublicAccess": f"worker, r2dev, or {HOST_NAME}",
    "assetBucket": "3 to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit",
}
TOKEN_LISTS = ("gatewayTokens", "jobSigningKeys")


def key_named(path: str) -> str:
    """As Pulumi shows it."""
    return f"{NAMESPACE}:{path}"


def did_you_mean(name: str, names: Collection[str], *, inside: str = "") -> str:
    """Empty when nothing is spelled like it."""
    near = nearest_names(name, sorted(names))
    return f" Did you mean {inside}{near[0]}?" if near else ""


def set_command(path: str, value: str = "<value>", *, secret: bool = False) -> str:
    if path in TOKEN_LISTS:
        return f"pulumi config set --secret --path '{path}[0]' \"$(openssl rand -hex 32)\""
    options = [*(["--secret"] if secret else []), *(["--path"] if "." in path or "[" in path else [])]
    return " ".join(["pulumi config set", *options, _quoted(path), value])


def remove_command(path: str, *, is_path: bool | None = None) -> str:
    """`is_path`: whether dots and brackets lead into an object; by default they do."""
    leads = "." in path or "[" in path if is_path is None else is_path
    return f"pulumi config rm {'--path ' if leads else ''}{_quoted(path)}"


def _quoted(path: str) -> str:
    return path if re.fullmatch(r"[\w.-]+", path) else f"'{path}'"
