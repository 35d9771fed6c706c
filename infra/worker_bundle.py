"""The Worker as the modules that are uploaded: its sources, and what is generated from the client's data.

The graphs and the failure kinds live in provider_client, where Python reads them; here they become modules, so
that both languages always go by the same data.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import provider_client
from provider_client.errors import ConfigError

SOURCES = Path(__file__).parent / "worker" / "src"
DATA = Path(provider_client.__file__).parent
MAIN_MODULE = "index.js"
CONTENT_TYPE = "application/javascript+module"
# what wrangler makes of a file by its name (its default module rules), as the upload API names it
MODULE_TYPES: Mapping[str, str] = {
    ".js": CONTENT_TYPE,
    ".mjs": CONTENT_TYPE,
    ".cjs": "application/javascript",
    ".wasm": "application/wasm",
    ".txt": "text/plain",
    ".html": "text/plain",
    ".sql": "text/plain",
    ".bin": "application/octet-stream",
}
NOT_UPLOADED = frozenset({".map", ".md"})


@dataclass(frozen=True)
class WorkerModule:
    """One ES module; `name` is its path as the others import it."""

    name: str
    content_type: str
    content: bytes


def worker_modules(directory: Path | None = None) -> list[WorkerModule]:
    """Every module of the Worker, sorted by name.

    `directory` is a team's own bundle (stack key workerBundle): its files are taken as they are, nothing is added.
    Raises ConfigError when it is no directory, has no main module, or holds a file of a type that is no module's.
    """
    found = chain(_source_modules(), _generated_modules()) if directory is None else _bundled_modules(directory)
    return sorted(found, key=lambda module: module.name)


def source_digest(modules: Iterable[WorkerModule]) -> str:
    """SHA-256 over names and contents: equal for equal Workers, whatever the order."""
    digest = hashlib.sha256()
    for module in sorted(modules, key=lambda module: module.name):
        for part in (module.name.encode(), module.content_type.encode(), module.content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _source_modules() -> Iterator[WorkerModule]:
    for path in SOURCES.rglob("*.js"):
        yield _module(path.relative_to(SOURCES).as_posix(), path.read_text(encoding="utf-8"))


def _bundled_modules(directory: Path) -> Iterator[WorkerModule]:
    if not directory.is_dir():
        raise ConfigError(
            f"workerBundle names {directory.name}, and there is no such directory ({directory})",
            fix="pulumi config set workerBundle <directory, relative to Pulumi.yaml>, or build your Worker first",
        )
    if not (directory / MAIN_MODULE).is_file():
        raise ConfigError(
            f"workerBundle {directory.name} has no {MAIN_MODULE}, which has to be its main module ({directory})",
            fix=f"build your Worker into it with the entry point {MAIN_MODULE}: an ES module with a default export",
        )
    for path in directory.rglob("*"):
        name = path.relative_to(directory)
        if path.is_file() and path.suffix not in NOT_UPLOADED and not name.parts[0].startswith("."):
            yield WorkerModule(name.as_posix(), _content_type(name), path.read_bytes())


def _content_type(name: Path) -> str:
    try:
        return MODULE_TYPES[name.suffix]
    except KeyError:
        raise ConfigError(
            f"workerBundle holds {name.as_posix()}, which is no module: Cloudflare takes {', '.join(MODULE_TYPES)}",
            fix="keep only the built modules in that directory",
        ) from None


def _generated_modules() -> Iterator[WorkerModule]:
    workflows = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DATA.glob("workflows/*.json"))}
    failure_kinds = json.loads((DATA / "failure_kinds.json").read_text("utf-8"))
    yield _module("generated/failure_kinds.js", _exported(failure_kinds))
    yield _module("generated/workflows.js", _exported(workflows))


def _exported(document: object) -> str:
    return f"export default {json.dumps(document, sort_keys=True, separators=(',', ':'))};\n"


def _module(name: str, text: str) -> WorkerModule:
    return WorkerModule(name, CONTENT_TYPE, text.encode())


def upload_form(modules: Iterable[WorkerModule]) -> list[dict[str, str]]:
    """The modules as Cloudflare's API takes them."""
    return [
        {
            "name": module.name,
            "content_type": module.content_type,
            "content_base64": base64.b64encode(module.content).decode("ascii"),
        }
        for module in modules
    ]


if __name__ == "__main__":  # for provider_client, which may not import infra: `switchback verify --local`
    print(json.dumps(upload_form(worker_modules())))  # noqa: T201
