import pytest

from provider_client.rollout.messages import MAX_BYTES, DeploymentMessage, MessageKind, current_actor


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"from": "runpod", "to": "scenario", "actor": "alice", "at": "2026-11-23T06:00:00Z"},
        {"reason": 'it\'s out of memory, "again" = bad'},
        {"reason": "картинки пустые"},
    ],
)
def test_a_message_is_read_back_as_it_was_written(fields: dict[str, str]) -> None:
    message = DeploymentMessage(MessageKind.ROLLBACK, fields)
    assert DeploymentMessage.parse(message.format()) == message


def test_a_rollback_begins_with_its_mark() -> None:
    text = DeploymentMessage(MessageKind.ROLLBACK, {"to": "scenario", "reason": "two words"}).format()
    assert text == "switchback:rollback to=scenario reason='two words'"


@pytest.mark.parametrize(
    "text", ["", "hotfix", "switchback:", "switchback:dance to=me", "switchback:up reason='open", "Switchback:up"]
)
def test_a_message_that_is_not_ours_is_none(text: str) -> None:
    assert DeploymentMessage.parse(text) is None


@pytest.mark.parametrize("reason", ["x" * 5000, "é" * 5000, "'" * 5000])
def test_a_long_message_is_cut_in_its_longest_value_alone(reason: str) -> None:
    text = DeploymentMessage(MessageKind.UP, {"to": "runpod", "reason": reason}).format()
    assert len(text.encode()) <= MAX_BYTES
    parsed = DeploymentMessage.parse(text)
    assert parsed is not None
    assert parsed.fields["to"] == "runpod"
    assert parsed.fields["reason"].endswith("…")


def test_a_message_stays_on_one_line_and_drops_empty_values() -> None:
    text = DeploymentMessage(MessageKind.UP, {"reason": "one\ntwo\x1b[31m", "commit": ""}).format()
    assert text == "switchback:up reason='one two [31m'"


def test_the_pipeline_names_the_actor() -> None:
    assert current_actor({"GITHUB_ACTOR": "octocat"}) == "octocat"
    assert current_actor({"GITHUB_ACTOR": "octocat", "SWITCHBACK_ACTOR": "alice"}) == "alice"
    assert current_actor({}) != ""
