"""What the last `switchback status` saw, so that a rollback works when project, state and Git are out of reach.

Kept under the user's config folder, readable by the user alone. Never holds a secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

KEYS = ("account_id", "worker_name", "gateway_url", "base_url")


def remembered_file(environment: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/switchback/remembered.json`, by default under ~/.config."""
    home = environment.get("HOME") or str(Path.home())
    root = environment.get("XDG_CONFIG_HOME") or str(Path(home) / ".config")
    return Path(root) / "switchback" / "remembered.json"


def load(environment: Mapping[str, str], project_dir: Path, stack: str | None) -> dict[str, str]:
    """The targets of this project's stack. Away from any project: of the only stack (of this name) that is known."""
    entries = _read(remembered_file(environment))
    if (project_dir / "Pulumi.yaml").is_file():
        return entries.get(_key(project_dir, stack), {})
    fitting = [entry for key, entry in entries.items() if stack is None or key.endswith(f"#{stack}")]
    return fitting[0] if len(fitting) == 1 else {}


def save(environment: Mapping[str, str], project_dir: Path, stack: str, values: Mapping[str, str]) -> Path:
    """Remember the targets of one stack; other stacks' entries stay. Written whole or not at all."""
    path = remembered_file(environment)
    entries = _read(path)
    entries[_key(project_dir, stack)] = {key: values[key] for key in KEYS if values.get(key)}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=2, sort_keys=True)
    temporary.replace(path)
    return path


def _key(project_dir: Path, stack: str | None) -> str:
    return f"{project_dir}#{stack}"


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {
        key: {name: text for name, text in entry.items() if name in KEYS and isinstance(text, str)}
        for key, entry in entries.items()
        if isinstance(entry, dict)
    }
