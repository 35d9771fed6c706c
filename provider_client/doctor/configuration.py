"""The stack's configuration by itself: every problem of it at once, the image's name, what verification may cost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider_client.doctor.findings import Finding, not_checked, ok, problem, problem_from, warning
from provider_client.doctor.subject import Subject
from provider_client.errors import ConfigError, ExitCode
from provider_client.verification.configured import configured_plan
from provider_client.verification.plan import Stage, VerificationPlan
from provider_client.verification.spending import Ledger

CHECK = "config"
FIX = re.compile(r"(?:\. )?(?:Set it|Remove it|Store it encrypted): (?P<fix>.+)$")
# distribution/reference, the grammar of image names: [host[:port]/]path[:tag][@digest]
IMAGE = re.compile(
    r"(?P<name>[A-Za-z0-9.-]+(?::\d+)?(?:/[a-z0-9._/-]+)|[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def check_configuration(subject: Subject) -> Iterator[Finding]:
    if subject.config is not None:
        yield ok(CHECK, f"stack {subject.stack}: every key is known and valid")
        return
    error = subject.config_error
    lines = error.message.splitlines() if error else []
    listed = [line.strip().removeprefix("- ") for line in lines[1:]]
    if isinstance(error, ConfigError) and listed:
        yield from (_as_problem(line) for line in listed)
    elif error is not None:
        yield problem_from(CHECK, ConfigError(error.message, fix=error.fix))


def _as_problem(line: str) -> Finding:
    """The loader's sentence ends in the command that mends it."""
    found = FIX.search(line)
    what = line[: found.start()] if found else line
    return problem(CHECK, what, found["fix"] if found else "", ExitCode.CONFIG)


def check_image(subject: Subject) -> Iterator[Finding]:
    """Only its form: whether RunPod can pull it is known when a worker starts."""
    runpod = subject.config.runpod if subject.config else None
    if runpod is None or runpod.mode != "managed" or not runpod.image:
        return
    fix = "pulumi config set --path runpod.image <registry>/<name>:<tag>"
    found = IMAGE.fullmatch(runpod.image)
    if found is None:
        yield problem("image", f"{runpod.image!r} is not the name of an image", fix, ExitCode.CONFIG)
    elif re.search(r"(^|\.)example\.(com|org|net)(:\d+)?/", runpod.image):
        yield problem("image", f"{runpod.image} is the example's name, not yours", fix, ExitCode.CONFIG)
    elif found["tag"] in (None, "latest") and not found["digest"]:
        what = f"{runpod.image} has no fixed tag: when it moves, workers run what was never verified"
        yield warning("image", what, fix)
    else:
        yield ok("image", f"{runpod.image} has the form of an image's name (a pull is tried by RunPod alone)")


def check_budget(subject: Subject) -> Iterator[Finding]:
    """What the verifications of one `up` are expected to cost, against the caps."""
    if subject.config is None:
        yield not_checked("budget", "the configuration cannot be used, see above")
        return
    wanted = subject.config.verification
    if not wanted.required:
        yield warning(
            "budget", "verification is skipped by configuration", "pulumi config rm --path verification.required"
        )
        return
    provider = subject.config.image_generation_provider
    stages: list[tuple[Stage, int]] = [("candidate", wanted.candidate_assets), ("live", wanted.live_assets)]
    plans = [
        configured_plan(subject.config, stage=stage, provider=provider, assets=assets)
        for stage, assets in stages
        if assets
    ]
    yield from _against_caps(plans, Ledger(subject.project_dir / ".switchback" / "spending.json").spent_today())


def _against_caps(plans: list[VerificationPlan], spent_today: float) -> Iterator[Finding]:
    estimates = [plan.estimate_usd for plan in plans]
    known = [usd for usd in estimates if usd is not None]
    if len(known) != len(estimates):
        why = "what an image costs is not known: pulumi config set --path scenario.costPerImageUsd <usd>"
        yield not_checked("budget", why)
        return
    first = plans[0]
    for key, usd, cap in (
        ("maxSpendUsd", max(known), first.max_spend_usd),
        ("maxSpendUsdPerDay", spent_today + sum(known), first.max_spend_usd_per_day),
    ):
        if cap is not None and usd > cap:
            what = f"verification is expected to cost ${usd:.2f}, more than verification.{key} (${cap:.2f})"
            fix = f"pulumi config set --path verification.{key} {usd:.2f}, or plan fewer assets"
            yield problem("budget", what, fix, ExitCode.CONFIG)
            return
    images = sum(len(plan.assets) for plan in plans)
    said = f"verification of one `up` makes {images} images for about ${sum(known):.2f}"
    if first.max_spend_usd is None:
        yield warning("budget", f"{said}; there is no cap", "pulumi config set --path verification.maxSpendUsd 2")
    else:
        yield ok("budget", f"{said}, cap ${first.max_spend_usd:.2f} a run")
