"""The modules of a Worker: ours with what is generated, or a team's own as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.worker_bundle import MAIN_MODULE, MODULE_TYPES, source_digest, worker_modules
from provider_client.errors import ConfigError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / MAIN_MODULE).write_text("export default {};")
    return tmp_path


def test_our_worker_has_its_sources_and_the_generated_modules() -> None:
    names = [module.name for module in worker_modules()]
    assert {MAIN_MODULE, "generated/workflows.js", "generated/failure_kinds.js"} <= set(names)
    assert names == sorted(names)


@pytest.mark.parametrize("suffix", sorted(MODULE_TYPES))
def test_an_own_module_is_uploaded_byte_by_byte_as_what_its_name_says(bundle: Path, suffix: str) -> None:
    (bundle / "lib").mkdir()
    (bundle / "lib" / f"one{suffix}").write_bytes(b"\x00\xff")
    (module,) = [module for module in worker_modules(bundle) if module.name != MAIN_MODULE]
    assert (module.name, module.content_type) == (f"lib/one{suffix}", MODULE_TYPES[suffix])
    assert module.content == b"\x00\xff"


def test_what_is_not_for_the_worker_stays_at_home(bundle: Path) -> None:
    """Source maps, notes and hidden files are no modules."""
    for name in ("index.js.map", "README.md", ".DS_Store"):
        (bundle / name).touch()
    assert [module.name for module in worker_modules(bundle)] == [MAIN_MODULE]


def test_what_cannot_be_a_worker_is_an_error_with_the_way_on(bundle: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        worker_modules(bundle / "missing")
    (bundle / "font.ttf").touch()
    with pytest.raises(ConfigError, match=r"font\.ttf, which is no module"):
        worker_modules(bundle)
    (bundle / MAIN_MODULE).unlink()
    with pytest.raises(ConfigError, match=r"has no index\.js"):
        worker_modules(bundle)


def test_the_digest_knows_names_types_and_contents(bundle: Path) -> None:
    """Equal for equal Workers, another for any difference."""
    before = source_digest(worker_modules(bundle))
    assert before == source_digest(reversed(worker_modules(bundle)))
    (bundle / MAIN_MODULE).rename(bundle / "other.js")
    (bundle / MAIN_MODULE).write_text("export default { };")
    assert before != source_digest(worker_modules(bundle))
