"""What every command is given: the stack, the project, the settings, a way to speak."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from provider_client import NAMESPACE
from provider_client.cli import project
from provider_client.cli.pulumi_command import PulumiCommand
from provider_client.cli.settings import Settings, Sources
from provider_client.clock import SystemClock
from provider_client.cloudflare import CloudflareApi
from provider_client.errors import Cancelled, ConfigError, SwitchbackError
from provider_client.http import open_client
from provider_client.rollout import remembered

if TYPE_CHECKING:
    from rich.console import Console

FIRST_WORD_SECONDS, NEXT_WORD_SECONDS = 2.0, 10.0
PIPED_WIDTH = 200  # a table in a log or a pipe is not folded


class Context:
    """One run of one command. Closes the connections that it opened."""

    def __init__(
        self,
        *,
        flags: Mapping[str, Any],
        environment: Mapping[str, str],
        project_dir: Path,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.flags = flags
        self.project_dir = project_dir
        self.json = bool(flags.get("json"))
        self.quiet = bool(flags.get("quiet"))
        self.yes = bool(flags.get("yes"))
        self.color = not (flags.get("no_color") or environment.get("NO_COLOR"))
        self._process_environment = environment
        self._dotenv = project.read_dotenv(project_dir / ".env")
        self.environment: Mapping[str, str] = {**self._dotenv, **environment}
        self._transport = transport
        self._exit = ExitStack()
        self._warned: set[str] = set()

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace, environment: Mapping[str, str]) -> Context:
        return cls(
            flags=vars(arguments), environment=environment, project_dir=project.find_project_dir(Path.cwd())
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @cached_property
    def http(self) -> httpx.Client:
        """One client for everything the command asks."""
        return self._exit.enter_context(open_client(transport=self._transport))

    @cached_property
    def console(self) -> Console:
        """Results for a person, on stdout."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else PIPED_WIDTH
        return Console(no_color=not self.color, highlight=False, soft_wrap=True, width=width)

    @cached_property
    def pulumi(self) -> PulumiCommand:
        return PulumiCommand(self.project_dir, self.environment)

    def say(self, text: str, *, style: str | None = None) -> None:
        """One result for a person. Other people's words (a reason, an API's message) are never taken for markup."""
        self.console.print(text, markup=False, style=style)

    def say_table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns; a terminal too narrow for them gets what does not fit folded, never cut."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(table)

    def progress(self, line: str) -> None:
        """What happens meanwhile, on stderr; silent with --quiet."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[None]:
        """Says that it still waits, after two seconds and then every ten."""
        over = threading.Event()
        if self.quiet:
            yield
            return

        def tell() -> None:
            seconds, pause = 0.0, FIRST_WORD_SECONDS
            while not over.wait(pause):
                seconds, pause = seconds + pause, NEXT_WORD_SECONDS
                self.progress(f"waiting for {for_what}, {seconds:.0f} s ...")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()

    def confirm(self, question: str) -> None:
        """Go on only after a yes. --yes agrees beforehand; --json and a pipe are never asked and count as no."""
        if self.yes:
            return
        if self.json or not sys.stdin.isatty():
            raise ConfigError(f"Not done without agreement: {question}", fix="add --yes")
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise Cancelled("Nothing was changed.")

    def find_stack(self, *, ask_pulumi: bool = True) -> str | None:
        """--stack, SWITCHBACK_STACK, PULUMI_STACK, else the one that `pulumi stack select` chose."""
        named = self.flags.get("stack") or next(
            (
                self.environment[name]
                for name in ("SWITCHBACK_STACK", "PULUMI_STACK")
                if self.environment.get(name)
            ),
            None,
        )
        if named:
            return str(named)
        offline = project.selected_stack(self.project_dir, self.environment)
        return offline or (self._selected_stack if ask_pulumi else None)

    @property
    def stack(self) -> str:
        """The stack's name; raises ConfigError where none is chosen."""
        stack = self.find_stack()
        if stack is None:
            raise ConfigError(
                "No stack is chosen. Looked at: --stack; environment and .env SWITCHBACK_STACK, PULUMI_STACK; "
                "Pulumi's workspace file; `pulumi stack --show-name`.",
                fix=self.doubt(None) or "add --stack <name>, or pulumi stack select <name>",
            )
        return stack

    def settings(self, *, use_pulumi: bool = True) -> Settings:
        """The settings; with `use_pulumi=False` no Pulumi process is started, so its backend may be down."""
        stack = self.find_stack(ask_pulumi=use_pulumi)
        return Settings(
            Sources(
                flags=self.flags,
                environment=self._process_environment,
                dotenv=self._dotenv,
                stack_file=lambda: self._stack_file(stack),
                outputs=lambda: self._outputs(stack) if use_pulumi else ("(stack outputs not asked)", {}),
                remembered=lambda: self._remembered(stack),
                default_worker=lambda: f"{NAMESPACE}-{stack.rsplit('/', 1)[-1]}" if stack else None,
                doubt=lambda: self.doubt(stack),
            )
        )

    def cloudflare(self, settings: Settings, *, deadline_seconds: float = 30.0) -> CloudflareApi:
        return CloudflareApi(
            settings.account_id,
            settings.cloudflare_token,
            http=self.http,
            base_url=settings.base_url,
            clock=SystemClock(),
            deadline_seconds=deadline_seconds,
            token_source=settings.origin("cloudflare_token"),
        )

    def stack_config(self, stack: str | None) -> dict[str, Any]:
        """The plain values of the stack's file; empty without a stack."""
        return project.read_stack_config(self.project_dir, stack) if stack else {}

    def stack_output(self, name: str) -> str:
        """One of the stack's outputs; "" where there is no stack, no Pulumi or no such output."""
        value = self._outputs(self.find_stack())[1].get(name)
        return value if isinstance(value, str) else ""

    @cached_property
    def _selected_stack(self) -> str | None:
        if not (self.project_dir / "Pulumi.yaml").is_file():
            return None
        try:
            return self.pulumi.selected_stack()
        except ConfigError:  # no pulumi here: an answer as good as "none selected"
            return None

    def _stack_file(self, stack: str | None) -> tuple[str, Mapping[str, Any]]:
        if stack is None:
            return "stack file (no stack chosen)", {}
        place = project.stack_file(self.project_dir, stack).name
        try:
            return place, self.stack_config(stack)
        except ConfigError as error:  # an emergency must not end at a broken file whose values may not matter
            self._warn_once(f"warning: {error.message} Its values are not used.")
            return f"{place} ({error.message})", {}

    def _warn_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            self.progress(line)

    def doubt(self, stack: str | None) -> str:
        """What to do first where there is no project here, or no such stack in it."""
        if not (self.project_dir / "Pulumi.yaml").is_file():
            return "run it in the project's folder (there is no Pulumi.yaml here or above)"
        stacks = project.stacks(self.project_dir)
        if stack is None or stack.rsplit("/", 1)[-1] in stacks or not stacks:
            return ""
        return f"choose a stack that is there with --stack: {', '.join(stacks)}"

    def _outputs(self, stack: str | None) -> tuple[str, Mapping[str, Any]]:
        if stack is None:
            return "stack outputs (no stack chosen)", {}
        return self._cached_outputs(stack)

    def _cached_outputs(self, stack: str) -> tuple[str, Mapping[str, Any]]:
        cache: dict[str, tuple[str, Mapping[str, Any]]] = self.__dict__.setdefault("_outputs_by_stack", {})
        if stack not in cache:
            try:
                cache[stack] = ("stack output", self.pulumi.outputs(stack))
            except (SwitchbackError, ValueError) as error:
                reason = error.message if isinstance(error, SwitchbackError) else "not JSON"
                cache[stack] = (f"stack output ({reason})", {})
        return cache[stack]

    def _remembered(self, stack: str | None) -> tuple[str, Mapping[str, Any]]:
        values = remembered.load(self.environment, self.project_dir, stack)
        return "what `switchback status` remembered:", values
