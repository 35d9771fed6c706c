"""`switchback doctor`: what would go wrong at `pulumi up`, with the command that mends each thing."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

from provider_client.cli.context import Context
from provider_client.cli.stack_values import StackValues, read_stack_values
from provider_client.config.keys import StackConfig
from provider_client.config.loading import load
from provider_client.doctor import Finding, Level, Subject, exit_code, quick_checks, run_checks
from provider_client.doctor.commands import run_command
from provider_client.doctor.subject import Owned, owned_by
from provider_client.errors import ConfigError, ExitCode, SwitchbackError
from provider_client.redaction import redact

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red", Level.NOT_CHECKED: "dim"}
PLURAL = (Level.WARNING, Level.PROBLEM)
LEVEL_WIDTH, CHECK_WIDTH, NARROWEST, WIDEST = 12, 14, 40, 110


def run(arguments: argparse.Namespace, context: Context) -> ExitCode:
    del arguments
    subject = examine(context)
    findings = [
        _without_secrets(one, subject) for one in run_checks(quick_checks(subject), still_running=_teller(context))
    ]
    if not context.json:
        _print(context, findings)
    for ended in _commands(context, subject):
        finding = _without_secrets(ended, subject)
        findings.append(finding)
        if not context.json:
            _print(context, [finding])
    code = exit_code(findings)
    if context.json:
        print(json.dumps(_as_json(context.stack, findings, code), indent=2))
    else:
        context.console.print()
        context.console.print(_summary(findings), style="bold")
    return code


def examine(context: Context) -> Subject:
    """Two questions to Pulumi at once; everything else is asked by the checks."""
    stack = context.stack
    with ThreadPoolExecutor(2) as pool:
        asked_values = pool.submit(read_stack_values, context, stack)
        asked_owned = pool.submit(_owned, context, stack)
        values, (owned, owned_error) = asked_values.result(), asked_owned.result()
    config, config_error = _config(stack, values)
    settings = context.settings(use_pulumi=False)
    return Subject(
        stack=stack,
        project_dir=context.project_dir,
        http=context.http,
        environment=context.environment,
        values=values.values,
        config=config,
        config_error=config_error,
        cloudflare_token=values.cloudflare_token or settings.find("cloudflare_token"),
        cloudflare_base_url=values.base_url("cloudflare") or settings.base_url,
        account_id=config.account_id if config else settings.find("account_id"),
        owned=owned,
        owned_error=owned_error,
    )


def _config(stack: str, values: StackValues) -> tuple[StackConfig | None, SwitchbackError | None]:
    if values.incomplete is not None:
        return None, _with_fix(values.incomplete, stack)
    try:
        return load(values.values, stack=stack.rsplit("/", 1)[-1], secret_keys=values.secret_keys), None
    except ConfigError as error:
        return None, error


def _with_fix(error: SwitchbackError, stack: str) -> SwitchbackError:
    """Pulumi's two usual reasons for not giving a stack's configuration, with what helps."""
    if "no stack named" in error.message:
        return ConfigError(f"There is no stack {stack}.", fix=f"pulumi stack init {stack}")
    if "passphrase" in error.message:
        return ConfigError(error.message, fix="export PULUMI_CONFIG_PASSPHRASE=<the stack's passphrase>")
    return error


def _owned(context: Context, stack: str) -> tuple[Owned | None, str]:
    try:
        return owned_by(json.loads(context.pulumi.ask("stack", "export", "--stack", stack))), ""
    except SwitchbackError as error:
        return None, error.message
    except ValueError:
        return None, "`pulumi stack export` gave no readable answer"


def _commands(context: Context, subject: Subject) -> Iterator[Finding]:
    for command in subject.config.pre_switch_commands if subject.config else ():
        context.progress(redact(f"running `{command}`", subject.secrets()))
        yield run_command(
            command,
            project_dir=context.project_dir,
            environment=context.environment,
            secrets=subject.secrets(),
        )


def _teller(context: Context) -> Callable[[list[str], float], None]:
    def tell(names: list[str], seconds: float) -> None:
        context.progress(f"still checking after {seconds:.0f} s: {', '.join(names)}")

    return tell


def _without_secrets(finding: Finding, subject: Subject) -> Finding:
    """Vendors' words are quoted in findings, and nobody knows what a vendor quotes."""
    secrets = subject.secrets()
    return replace(finding, what=redact(finding.what, secrets), fix=redact(finding.fix, secrets))


def _print(context: Context, findings: Sequence[Finding]) -> None:
    from rich.text import Text

    indent = " " * (LEVEL_WIDTH + CHECK_WIDTH)
    width = max(NARROWEST, min(context.console.width, WIDEST) - len(indent))
    for finding in findings:
        line = Text(f"{finding.level:<{LEVEL_WIDTH}}", style=STYLES[finding.level])
        body = [
            part
            for text in finding.what.splitlines()
            for part in textwrap.wrap(text, width, break_long_words=False)
        ]
        if finding.fix and finding.level is not Level.OK:
            body += [f"fix: {finding.fix}"]  # not folded: it is there to be copied
        line.append(f"{finding.check:<{CHECK_WIDTH}}" + f"\n{indent}".join(body), style="default")
        context.console.print(line)


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    told = ", ".join(
        f"{counts[level]} {level}{'s' if level in PLURAL and counts[level] > 1 else ''}"
        for level in Level
        if counts[level]
    )
    ready = "not ready for `pulumi up`" if counts[Level.PROBLEM] else "nothing stands against `pulumi up`"
    return f"{ready}: {told}"


def _as_json(stack: str, findings: Sequence[Finding], code: ExitCode) -> dict[str, object]:
    return {
        "schema": 1,
        "stack": stack,
        "ready": code is ExitCode.OK,
        "findings": [
            {**asdict(finding), "level": str(finding.level), "exit_code": int(finding.exit_code)}
            for finding in findings
        ],
        "exit_code": int(code),
    }
