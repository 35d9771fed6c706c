"""The table of keys in the README, made from the model: `python -m provider_client.config.documentation`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from provider_client.config.keys import Section, StackConfig, credential_variables, section_of
from provider_client.config.loading import KEYS
from provider_client.providers import PROVIDERS


def key_table() -> str:
    """One row per key, sections with their keys below them, providers' secrets last."""
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    for key, name in KEYS.items():
        rows += _rows(key, StackConfig.model_fields[name])
    for key, variable in credential_variables().items():
        owners = [spec.title for spec in PROVIDERS.values() if variable in {b.name for b in spec.bindings}]
        rows.append(f"| `{key}` 🔒 | | `{variable}` of {', '.join(owners)} |")
    return "\n".join(rows)


def _rows(key: str, field: FieldInfo) -> Iterator[str]:
    section = section_of(field)
    secret = " 🔒" if "SecretStr" in str(field.annotation) else ""
    yield f"| `{key}`{secret} | {'' if section else _default(field)} | {field.description or ''} |"
    if section and issubclass(section, Section):
        for name, nested in section.model_fields.items():
            yield from _rows(f"{key}.{nested.alias or name}", nested)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is None or isinstance(value, SecretStr | BaseModel):
        return ""
    text = json.dumps(value, default=str)
    return f"`{text}`" if value not in ((), {}, "") else ""


if __name__ == "__main__":
    print(key_table())
