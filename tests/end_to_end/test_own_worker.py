"""A Worker of the user's own instead of ours: the same versions, bindings and proofs."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from demo.emulated import EmulatedCloud
from demo.project import Project
from tests.end_to_end.conftest import expect_success

pytestmark = pytest.mark.engine

BUNDLE = Path(__file__).parent / "own_worker"


@pytest.fixture
def own(project: Project) -> Project:
    """The project with a bundle of twelve lines, beside Pulumi.yaml."""
    shutil.copytree(BUNDLE, project.directory / "dist")
    project.set("workerBundle", "dist")
    return project


def test_an_own_worker_is_deployed_switched_and_verified(
    own: Project, cloud: EmulatedCloud, http: httpx.Client
) -> None:
    """It offers no operation, so health and the version header are what is proven, and nothing is paid."""
    expect_success(own.pulumi("up", "--skip-preview"))
    url = own.expect("pulumi", "stack", "output", "apiUrl").strip()
    assert http.get(url).text == "a Worker of our own\n"
    uploaded = cloud.summary()["cloudflare"]["versions"]
    own.set("imageGenerationProvider", "runpod")
    expect_success(own.pulumi("up", "--skip-preview"))
    assert http.get(f"{url}/health").json()["provider"] == "runpod"
    assert cloud.summary()["cloudflare"]["versions"] == uploaded, "a switch uploads nothing"
    verified = own.run(["switchback", "verify"])
    assert verified.code == 0, verified.output
    assert cloud.paid() == 0
    expect_success(own.pulumi("preview", "--expect-no-changes"))


def test_an_own_worker_without_the_version_header_is_refused(own: Project, cloud: EmulatedCloud) -> None:
    """By what later proofs would rest on nothing; no traffic was moved."""
    index = own.directory / "dist" / "index.js"
    index.write_text(index.read_text().replace(', "Switchback-Version": version.id', ""))
    ended = own.pulumi("up", "--skip-preview")
    assert ended.code != 0
    assert "Switchback-Version" in ended.output
    assert cloud.summary()["cloudflare"]["active"] == {}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda bundle: shutil.rmtree(bundle), "there is no such directory"),
        (lambda bundle: (bundle / "index.js").unlink(), "has no index.js"),
        (lambda bundle: (bundle / "notes.docx").touch(), "notes.docx, which is no module"),
    ],
    ids=["no directory", "no main module", "no module"],
)
def test_a_bundle_that_cannot_be_deployed_is_refused_at_preview(own: Project, spoil: object, words: str) -> None:
    assert callable(spoil)
    spoil(own.directory / "dist")
    ended = own.pulumi("preview")
    assert ended.code != 0
    assert words in ended.output
    assert "Traceback" not in ended.output
