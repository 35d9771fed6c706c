"""After a rollback by API: what brings the stack's configuration, and then Git, in line with what is live. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provider_client.errors import ConfigError
from provider_client.rollout.phases import Declared, Observed


@dataclass(frozen=True)
class ReconcilePlan:
    """Pulumi's words, in order; `config` changes the stack file, `up` then has no traffic to move."""

    provider: str
    config: tuple[tuple[str, ...], ...]
    up: tuple[str, ...]

    def commands(self) -> list[str]:
        return [f"pulumi {' '.join(words)}" for words in (*self.config, self.up)]


def plan_reconcile(declared: Declared, live: Observed, stack: str) -> ReconcilePlan:
    """What to set so that the configuration says what is live. Raises ConfigError where nothing is live."""
    if live.provider is None or live.provider == "unknown":
        raise ConfigError("There is nothing live to reconcile with.", fix="pulumi up")
    of_stack = ("--stack", stack)
    config: list[tuple[str, ...]] = []
    if declared.provider != live.provider:
        config.append(("config", "set", "imageGenerationProvider", live.provider, *of_stack))
    if declared.candidate == live.provider:
        config.append(("config", "rm", "candidateProvider", *of_stack))
    if declared.candidate_percent > 0 and not _has_candidate_traffic(live):
        config.append(("config", "set", "candidatePercent", "0", *of_stack))
    return ReconcilePlan(live.provider, tuple(config), ("up", "--yes", "--skip-preview", *of_stack))


def git_note(changed_files: Sequence[str] | None, stack_file: str, provider: str) -> str:
    """What Git still needs. `changed_files` are those that differ from the last commit, None outside of Git."""
    if changed_files is None:
        return f"{stack_file} is not in a Git work tree: carry the change to where it is kept."
    if stack_file not in changed_files:
        return f"Git agrees: {stack_file} has no change of its own."
    return (
        f"Git does not know yet: git commit -m 'Serve {provider}, as live since the rollback' -- {stack_file}, "
        "then push it or open a pull request; until then the next deploy from Git would ask for the old provider."
    )


def _has_candidate_traffic(live: Observed) -> bool:
    return sum(share.percent > 0 for share in live.split) > 1
