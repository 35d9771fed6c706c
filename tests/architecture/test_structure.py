"""The rules of the house that a reader relies on: who imports whom, how big things get, what names are free."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"infra", "provider_client", "emulator", "demo", "tests", "benchmarks", "toolchain"}
MAY_IMPORT = {
    "infra": {"infra", "provider_client"},
    "provider_client": {"provider_client"},
    "emulator": {"emulator"},
    "demo": {"demo"},  # drives pulumi, switchback and the emulator as a user would: as processes
}
FORBIDDEN_LIBRARIES = {"provider_client": {"pulumi", "pulumi_cloudflare", "aiohttp", "moto", "boto3"}}
LONGEST_FILE = 350
LONGEST_FUNCTION = 60


def python_files(root: str) -> list[Path]:
    return sorted((ROOT / root).rglob("*.py"))


def imported_roots(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").partition(".")[0]


@pytest.mark.parametrize("root", MAY_IMPORT)
def test_imports_go_one_way(root: str) -> None:
    """infra → provider_client; emulator and demo → nothing of ours; no relative imports anywhere."""
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(root)
        for name in imported_roots(path)
        if name == "." or name in OURS - MAY_IMPORT[root] or name in FORBIDDEN_LIBRARIES.get(root, set())
    }
    assert wrong == set()


def source_files() -> list[Path]:
    python = [path for root in OURS for path in python_files(root)]
    return python + sorted((ROOT / "infra/worker/src").rglob("*.js"))


def test_no_file_is_too_long() -> None:
    """A file over 350 lines is two files."""
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in source_files()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    """A function over 60 lines is several functions."""
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in source_files()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in found.items() if lines > LONGEST_FUNCTION} == {}


def test_nothing_under_infra_shadows_a_module() -> None:
    """Pulumi runs infra/ as a directory, which puts it first on sys.path: a file secrets.py there would win."""
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) - OURS
    names = {path.stem for path in (ROOT / "infra").iterdir() if not path.name.startswith("_")}
    assert names & taken == set()


def test_the_program_is_short() -> None:
    """infra/__main__.py is a doorway: what it does, it calls."""
    assert len((ROOT / "infra/__main__.py").read_text().splitlines()) <= 30


def test_no_local_path_or_registry_is_named() -> None:
    """What is committed names no machine's path and no package registry."""
    pattern = re.compile(r"/root/|/home/\w|/tmp/bash|registry\.npmjs|pypi\.org|pythonhosted|proxy\.golang")
    texts = [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".yaml", ".lock"}
    ]
    skipped = {".venv", ".git", ".switchback"}
    wrong = [
        str(path.relative_to(ROOT))
        for path in texts
        if not skipped & set(path.relative_to(ROOT).parts)
        and path != Path(__file__)
        and pattern.search(path.read_text(errors="replace"))
    ]
    assert wrong == []
