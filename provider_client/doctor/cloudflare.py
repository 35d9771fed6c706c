"""Cloudflare: the token and what it may read, the account, whether the names are free. Nothing is written."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx

from provider_client.doctor.findings import Finding, not_checked, ok, problem, problem_from, refused
from provider_client.doctor.running import CALL_SECONDS
from provider_client.doctor.subject import Subject
from provider_client.errors import AuthError, ExitCode, SwitchbackError

TOKEN = re.compile(r"[0-9A-Za-z_-]{40,80}")  # what the official resource plugin accepts from configuration
SET_TOKEN = "pulumi config set --secret cloudflare:apiToken <token>"  # noqa: S105 - a command
SET_ACCOUNT = "pulumi config set accountId <the 32 digits in the dashboard's address>"
NO_TOKEN = "there is no Cloudflare API token"  # noqa: S105 - a sentence


def check_token(subject: Subject) -> Iterator[Finding]:
    """Its form, whether it is active. Cloudflare tells nobody what a token may do: the other checks try reading."""
    token = subject.cloudflare_token
    if not token:
        fix = f"{SET_TOKEN} (or export CLOUDFLARE_API_TOKEN)"
        yield problem("cloudflare", NO_TOKEN, fix, ExitCode.CONFIG)
        return
    if not TOKEN.fullmatch(token):
        what = (
            f"the API token is malformed: {len(token)} characters where 40 to 80 of A-Z a-z 0-9 _ - are expected"
        )
        yield problem("cloudflare", what, SET_TOKEN, ExitCode.CONFIG)
        return
    yield _token_status(subject, token)


def _token_status(subject: Subject, token: str) -> Finding:
    """A user's token is verified at one address, one that the account owns at another (Cloudflare's API reference)."""
    base_url = subject.cloudflare_base_url.rstrip("/")
    answers = []
    for owner in ("user", f"accounts/{subject.account_id or 'unknown'}"):
        try:
            answer = subject.http.get(
                f"{base_url}/{owner}/tokens/verify",
                headers={"Authorization": f"Bearer {token}"},
                timeout=CALL_SECONDS,
            )
            if answer.status_code not in (401, 403, 404):
                status = answer.raise_for_status().json()["result"]["status"]
                break
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            what = f"Cloudflare's API at {httpx.URL(base_url).host} gave no usable answer ({type(error).__name__})"
            fix = "check the network and CLOUDFLARE_BASE_URL; www.cloudflarestatus.com shows outages"
            return problem("cloudflare", what, fix)
        answers.append(answer.status_code)
    else:
        what = f"Cloudflare does not accept the API token (HTTP {answers[0]})"
        return problem("cloudflare", what, SET_TOKEN, ExitCode.AUTH)
    if status == "active":
        return ok("cloudflare", "the API token is active")
    return problem("cloudflare", f"the API token is {status}, not active", SET_TOKEN, ExitCode.AUTH)


def check_worker(subject: Subject) -> Iterator[Finding]:
    """Workers Scripts Read on this account, and the Worker's name."""
    missing = _missing("worker", subject)
    if missing:
        yield missing
        return
    name = subject.config.resolved_worker_name if subject.config else ""
    api = subject.cloudflare()
    try:
        found = api.worker(name or "switchback-doctor")
        ours = found is not None and any(version.is_ours for version in api.versions(name))
    except SwitchbackError as error:
        yield _unreadable("worker", "Workers Scripts", subject, error)
        return
    yield _readable("worker", "Workers Scripts")
    adopted = subject.config.adopt_worker_id if subject.config else None
    if found and adopted == found.id:
        yield ok("worker", f"the Worker {name} exists and is taken over")
    elif found and name:
        take_over = f"pulumi config set adoptWorkerId {found.id}"
        yield _taken(subject, "worker", "Worker", name, "workerName", marked=ours, take_over=take_over)
    elif adopted:
        what = f"adoptWorkerId is set, but there is no Worker {name}"
        yield problem("worker", what, "pulumi config rm adoptWorkerId", ExitCode.CONFIG)
    elif name:
        yield ok("worker", f"the name {name} is free")


def check_bucket(subject: Subject) -> Iterator[Finding]:
    """Workers R2 Storage Read on this account, and the bucket's name."""
    missing = _missing("bucket", subject)
    if missing:
        yield missing
        return
    name = subject.config.resolved_bucket_name if subject.config else ""
    try:
        exists = subject.cloudflare().has_bucket(name or "switchback-doctor")
    except SwitchbackError as error:
        yield _unreadable("bucket", "Workers R2 Storage", subject, error)
        return
    yield _readable("bucket", "Workers R2 Storage")
    adopted = subject.config.adopt_bucket if subject.config else None
    if exists and adopted:
        yield ok("bucket", f"the bucket {name} exists and is taken over")
    elif exists and name:
        take_over = f"pulumi config set adoptBucket {name}"
        yield _taken(subject, "bucket", "bucket", name, "assetBucket", marked=False, take_over=take_over)
    elif adopted:
        what = f"adoptBucket is set, but there is no bucket {name}"
        yield problem("bucket", what, "pulumi config rm adoptBucket", ExitCode.CONFIG)
    elif name:
        yield ok("bucket", f"the name {name} is free")


def _missing(check: str, subject: Subject) -> Finding | None:
    if not subject.cloudflare_token or not TOKEN.fullmatch(subject.cloudflare_token):
        return not_checked(check, "needs a usable Cloudflare API token")
    if not subject.account_id:
        return not_checked(check, "needs the account id", SET_ACCOUNT)
    return None


def _readable(check: str, permission: str) -> Finding:
    return ok(check, f"the token may read {permission} (whether it may write shows at `pulumi up` alone)")


def _unreadable(check: str, permission: str, subject: Subject, error: SwitchbackError) -> Finding:
    if refused(error):
        what = f"the token may not read {permission} of account {subject.account_id}, or that is not its account"
        fix = f"give it {permission} Write in the dashboard (My Profile, API Tokens), or {SET_ACCOUNT}"
        return problem(check, what, fix, ExitCode.AUTH)
    return problem_from(check, error, SET_TOKEN if isinstance(error, AuthError) else "")


def _taken(
    subject: Subject, check: str, what: str, name: str, key: str, *, marked: bool, take_over: str
) -> Finding:
    """A name in use is fine when this stack's state has it; a mark of ours alone may be another stack's."""
    if subject.owned is None:
        why = f"the {what} {name} exists; whether this stack made it is not known ({subject.owned_error})"
        return not_checked(check, why)
    ours = subject.owned.workers if check == "worker" else subject.owned.buckets
    if name in ours:
        return ok(check, f"the {what} {name} is this stack's own")
    whose = "made by another Switchback stack, or by this one before its state was lost" if marked else "not ours"
    fix = f"pulumi config set {key} <another name>, or take it over: {take_over}"
    return problem(check, f"the {what} {name} exists already ({whose}): `up` would fail", fix)
