"""Where a setting comes from, in which order, and what an error says when it is nowhere."""

from __future__ import annotations

import hashlib
import json
import pwd
import stat
import threading
from pathlib import Path

import pytest

from provider_client.cli import project
from provider_client.cli.context import Context
from provider_client.errors import ConfigError
from provider_client.rollout import remembered

ACCOUNT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: image-generation\nruntime: python\n")
    (tmp_path / "Pulumi.prod.yaml").write_text(
        "config:\n"
        f"  image-generation:accountId: {ACCOUNT}\n"
        "  image-generation:imageGenerationProvider: runpod\n"
        "  image-generation:scenarioApiKey:\n    secure: v1:notreadable\n"
        "  image-generation:baseUrls:\n    cloudflare: http://127.0.0.1:1/client/v4/\n"
        "  cloudflare:apiToken:\n    secure: v1:notreadable\n"
    )
    return tmp_path


def context(folder: Path, environment: dict[str, str] | None = None, **flags: object) -> Context:
    home = {"HOME": str(folder / "home"), "PATH": ""}
    return Context(flags=flags, environment={**home, **(environment or {})}, project_dir=folder)


def test_a_flag_beats_the_environment_which_beats_dotenv_which_beats_the_stack_file(folder: Path) -> None:
    (folder / ".env").write_text("SWITCHBACK_ACCOUNT_ID=from-dotenv\n")
    environment = {"CLOUDFLARE_ACCOUNT_ID": "from-environment"}
    assert context(folder, environment, stack="prod", account_id="from-flag").settings().account_id == "from-flag"
    assert context(folder, environment, stack="prod").settings().account_id == "from-environment"
    assert context(folder, stack="prod").settings().account_id == "from-dotenv"
    (folder / ".env").unlink()
    assert context(folder, stack="prod").settings().account_id == ACCOUNT


def test_the_workers_name_follows_the_stack(folder: Path) -> None:
    assert context(folder, stack="prod").settings().worker_name == "image-generation-prod"
    assert context(folder, stack="org/image-generation/prod").settings().worker_name == "image-generation-prod"
    assert context(folder, {"SWITCHBACK_WORKER_NAME": "mine"}, stack="prod").settings().worker_name == "mine"


def test_the_base_url_may_come_from_the_stack_file(folder: Path) -> None:
    assert context(folder, stack="prod").settings().base_url == "http://127.0.0.1:1/client/v4"
    assert context(folder, stack="dev").settings().base_url == "https://api.cloudflare.com/client/v4"


def test_a_missing_value_names_every_place_and_the_fix(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = context(folder, stack="dev").settings(use_pulumi=False).account_id
    for place in (
        "--account-id",
        "CLOUDFLARE_ACCOUNT_ID",
        ".env",
        "Pulumi.dev.yaml accountId",
        "switchback status",
    ):
        assert place in caught.value.message
    assert "pulumi config set accountId" in caught.value.fix


def test_a_setting_that_is_no_address_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="not an address"):
        _ = context(folder, stack="prod", url="gateway.example.com").settings().gateway_url


def test_a_broken_stack_file_does_not_stop_an_emergency(folder: Path) -> None:
    (folder / "Pulumi.prod.yaml").write_text("config: [")
    settings = context(folder, {"CLOUDFLARE_ACCOUNT_ID": ACCOUNT}, stack="prod").settings(use_pulumi=False)
    assert (settings.account_id, settings.worker_name) == (ACCOUNT, "image-generation-prod")


def test_what_status_saw_serves_a_machine_without_the_project(folder: Path, tmp_path: Path) -> None:
    environment = {"HOME": str(folder / "home")}
    values = {
        "account_id": ACCOUNT,
        "worker_name": "w",
        "gateway_url": "https://g.example",
        "token": "dummy-secret",
    }
    path = remembered.save(environment, folder, "prod", values)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "dummy-secret" not in path.read_text()
    assert context(folder, stack="prod").settings(use_pulumi=False).gateway_url == "https://g.example"
    elsewhere = Context(flags={}, environment=environment, project_dir=tmp_path / "elsewhere")
    assert elsewhere.settings(use_pulumi=False).worker_name == "w"
    another = tmp_path / "another"
    another.mkdir()
    (another / "Pulumi.yaml").write_text("name: image-generation\n")
    strange = Context(flags={"stack": "prod"}, environment=environment, project_dir=another)
    assert strange.settings(use_pulumi=False).find("gateway_url") is None, (
        "a project never uses another one's gateway"
    )
    remembered.save(environment, folder, "staging", {**values, "worker_name": "other"})
    assert elsewhere.settings(use_pulumi=False).find("worker_name") is None
    assert context(folder, stack="prod").settings(use_pulumi=False).worker_name == "w"


def test_the_stack_is_the_one_pulumi_has_selected(folder: Path) -> None:
    assert context(folder, {"SWITCHBACK_STACK": "prod"}).stack == "prod"
    assert context(folder, {"PULUMI_STACK": "dev"}).stack == "dev"
    assert context(folder, {"PULUMI_STACK": "dev"}, stack="prod").stack == "prod"
    with pytest.raises(ConfigError, match="No stack is chosen"):
        _ = context(folder).stack


@pytest.mark.parametrize(
    ("stacks", "backend", "expected"),
    [
        ({"file:///state": "organization/image-generation/dev"}, "file:///state", "dev"),
        ({"file:///state": "organization/image-generation/dev"}, None, "dev"),
        ({"file:///state": "organization/image-generation/dev"}, "file:///other", None),
        ({"file:///state": "a/b/dev", "file:///other": "a/b/prod"}, None, None),
    ],
)
def test_pulumis_workspace_file_is_read_as_recorded(
    folder: Path, stacks: dict[str, str], backend: str | None, expected: str | None
) -> None:
    environment = {"HOME": str(folder / "home")} | ({"PULUMI_BACKEND_URL": backend} if backend else {})
    write_workspace(folder / "home", folder, stacks)
    assert project.selected_stack(folder, environment) == expected


def test_the_selection_is_found_where_a_pulumi_built_with_cgo_writes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the account's folder for its home, whatever HOME says; two that disagree leave a doubt."""
    entry = pwd.struct_passwd(("alice", "x", 1, 1, "", str(folder / "account"), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    environment = {"HOME": str(folder / "home")}
    write_workspace(folder / "account", folder, {"file:///state": "organization/image-generation/dev"})
    (folder / "account/.pulumi/credentials.json").write_text('{"current": "file:///state"}')
    assert project.selected_stack(folder, environment) == "dev"
    assert project.backend_url(folder, environment) == "file:///state"
    write_workspace(folder / "home", folder, {"file:///state": "organization/image-generation/prod"})
    assert project.selected_stack(folder, environment) is None


def write_workspace(home: Path, folder: Path, stacks: dict[str, str]) -> None:
    digest = hashlib.sha1(str(folder / "Pulumi.yaml").encode()).hexdigest()
    file = home / ".pulumi" / "workspaces" / f"image-generation-{digest}-workspace.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"stacks": stacks}))


def test_dotenv_lines_are_read_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# comment\nexport A=1\nB = 'two words' # note\nC=\"x#y\"\nD=plain # note\nnot a line\n2BAD=x\nE=\nF=a=b\n"
    )
    assert project.read_dotenv(tmp_path / ".env") == {
        "A": "1",
        "B": "two words",
        "C": "x#y",
        "D": "plain",
        "E": "",
        "F": "a=b",
    }
    assert project.read_dotenv(tmp_path / "none") == {}


def test_the_project_is_found_from_below(folder: Path) -> None:
    below = folder / "infra" / "worker"
    below.mkdir(parents=True)
    assert project.find_project_dir(below) == folder


def test_it_says_where_a_setting_came_from(folder: Path) -> None:
    settings = context(folder, {"SWITCHBACK_URL": "http://one.example"}, stack="prod").settings(use_pulumi=False)
    assert settings.origin("gateway_url") == "environment SWITCHBACK_URL"
    assert context(folder, stack="dev").settings(use_pulumi=False).origin("cloudflare_token") == ""


def test_a_stack_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = context(folder, stack="nope").settings(use_pulumi=False).gateway_url
    assert caught.value.fix.startswith("choose a stack that is there with --stack: prod")


def test_outside_of_the_project_the_folder_is_the_first_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = context(tmp_path).stack
    assert "no Pulumi.yaml here or above" in caught.value.fix


def test_a_long_wait_says_what_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provider_client.cli.context.FIRST_WORD_SECONDS", 0.0)
    told = threading.Event()
    patient = context(folder)
    monkeypatch.setattr(patient, "progress", lambda line: (print(line), told.set()))
    with patient.waiting("Cloudflare"):
        assert told.wait(5)
    assert capsys.readouterr().out == "waiting for Cloudflare, 0 s ...\n"
    with context(folder, quiet=True).waiting("Cloudflare"):
        pass
    assert capsys.readouterr().err == ""
