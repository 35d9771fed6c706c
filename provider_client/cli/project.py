"""The Pulumi project on disk, read without Pulumi: its folder, its stack files, and a `.env` beside them."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from provider_client import NAMESPACE
from provider_client.errors import ConfigError


def find_project_dir(start: Path) -> Path:
    """The nearest folder upwards with a Pulumi.yaml, else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / "Pulumi.yaml").is_file()), start)


def stack_file(project_dir: Path, stack: str) -> Path:
    """Where Pulumi keeps the stack's configuration; `org/project/stack` names count by their last word."""
    folder = _read_yaml(project_dir / "Pulumi.yaml").get("stackConfigDir") or "."
    return project_dir / str(folder) / f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"


def read_stack_config(project_dir: Path, stack: str) -> dict[str, Any]:
    """The stack's configuration without the project's namespace; encrypted values stay `{secure: ...}`."""
    config = _read_yaml(stack_file(project_dir, stack)).get("config")
    prefix = f"{NAMESPACE}:"
    entries = config.items() if isinstance(config, Mapping) else ()
    return {str(key).removeprefix(prefix): value for key, value in entries if str(key).startswith(prefix)}


def stacks(project_dir: Path) -> list[str]:
    """The stacks that have a file here."""
    folder = stack_file(project_dir, "any").parent
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in folder.glob("Pulumi.*.yaml"))


def name(project_dir: Path) -> str:
    """The project's name, part of every state path."""
    return str(_read_yaml(project_dir / "Pulumi.yaml").get("name") or NAMESPACE)


def backend_url(project_dir: Path, environment: Mapping[str, str]) -> str | None:
    """PULUMI_BACKEND_URL, else `backend.url` of Pulumi.yaml, else the one that `pulumi login` chose."""
    backend = _read_yaml(project_dir / "Pulumi.yaml").get("backend")
    in_project = backend.get("url") if isinstance(backend, Mapping) else None
    logins = (_read_json(home / "credentials.json").get("current") for home in _pulumi_homes(environment))
    chosen = environment.get("PULUMI_BACKEND_URL") or in_project or next(filter(None, logins), None)
    return str(chosen) if chosen else None


def selected_stack(project_dir: Path, environment: Mapping[str, str]) -> str | None:
    """What `pulumi stack select` wrote down for this project, read without asking any backend.

    `$PULUMI_HOME/workspaces/<project>-<sha1 of Pulumi.yaml's path>-workspace.json` holds one stack per backend
    (seen with Pulumi 3.259); None where that leaves a doubt.
    """
    path = project_dir / "Pulumi.yaml"
    digest = hashlib.sha1(str(path).encode(), usedforsecurity=False).hexdigest()
    file = Path("workspaces", f"{name(project_dir)}-{digest}-workspace.json")
    by_backend = [_read_json(home / file).get("stacks") for home in _pulumi_homes(environment)]
    backend = environment.get("PULUMI_BACKEND_URL")
    chosen = {
        stack
        for stacks in by_backend
        if isinstance(stacks, dict)
        for url, stack in stacks.items()
        if isinstance(stack, str) and backend in (None, "", url)
    }
    return chosen.pop().rsplit("/", 1)[-1] if len(chosen) == 1 else None


def _pulumi_homes(environment: Mapping[str, str]) -> list[Path]:
    """PULUMI_HOME, else ~/.pulumi; a Pulumi that was built with cgo takes the account's folder for ~, not HOME."""
    if environment.get("PULUMI_HOME"):
        return [Path(environment["PULUMI_HOME"])]
    try:
        account = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user that has no entry
        account = ""
    return [Path(home) / ".pulumi" for home in dict.fromkeys((environment.get("HOME"), account)) if home]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def read_dotenv(path: Path) -> dict[str, str]:
    """`KEY=value` lines; `export`, comments and one pair of quotes are understood, nothing is expanded."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    values = {}
    for line in lines:
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and key.strip().isidentifier():
            values[key.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return value.split(" #", 1)[0].rstrip()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path.name} is not readable YAML{line}.", fix=f"mend {path.name}") from error
    return document if isinstance(document, dict) else {}
