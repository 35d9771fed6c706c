"""The modules that are uploaded: complete, in order, and with a digest that tells Workers apart."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

import provider_client
from infra.worker_bundle import MAIN_MODULE, source_digest, worker_modules

DATA = Path(provider_client.__file__).parent


def test_modules_are_sorted_and_begin_at_the_main_module() -> None:
    names = [module.name for module in worker_modules()]
    assert names == sorted(names)
    assert MAIN_MODULE in names


def test_every_import_is_a_module_of_the_bundle() -> None:
    """No bundler, no dependency: what is imported is uploaded."""
    modules = {module.name: module.content.decode() for module in worker_modules()}
    for name, text in modules.items():
        for imported in re.findall(r'^(?:import|\} from|export .* from).*?"(.+?)";$', text, re.MULTILINE):
            target = PurePosixPath(name).parent / imported
            parts: list[str] = []
            for part in target.parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert "/".join(parts) in modules, f"{name} imports {imported}"


def test_generated_modules_carry_the_clients_data() -> None:
    modules = {module.name: module.content.decode() for module in worker_modules()}

    def exported(name: str) -> object:
        return json.loads(modules[f"generated/{name}.js"].removeprefix("export default ").removesuffix(";\n"))

    assert exported("failure_kinds") == json.loads((DATA / "failure_kinds.json").read_text())
    workflows = {path.stem: json.loads(path.read_text()) for path in (DATA / "workflows").glob("*.json")}
    assert exported("workflows") == workflows


def test_the_digest_is_of_contents_and_not_of_order() -> None:
    modules = worker_modules()
    assert source_digest(modules) == source_digest(list(reversed(modules))) == source_digest(worker_modules())
    assert source_digest(modules[1:]) != source_digest(modules)


def test_a_teams_own_bundle_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "index.js").write_text("export default {};")
    (tmp_path / "lib" / "a.js").write_text("export const a = 1;")
    (tmp_path / "README.md").write_text("not a module")
    assert [module.name for module in worker_modules(tmp_path)] == ["index.js", "lib/a.js"]
