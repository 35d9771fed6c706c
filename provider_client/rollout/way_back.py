"""Whether the way back is open: the target version is asked for its own health before traffic depends on it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import httpx

from provider_client.cloudflare import Deployment, WorkerVersion
from provider_client.models import Health
from provider_client.rollout.traffic import OVERRIDE_HEADER

CHECK_SECONDS = 1.5
PASSING_KINDS = ("RATE_LIMITED", "TIMEOUT", "COLD_START", "UNKNOWN")


class WayBack(StrEnum):
    """CLOSED is known to be bad; UNKNOWN is no answer, which must not stop an emergency."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TargetCheck:
    state: WayBack
    detail: str


@dataclass(frozen=True)
class Question:
    """Where to ask one version for its health, and the headers that reach it."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


def health_questions(
    version: WorkerVersion, active: Deployment | None, worker: str, gateway_url: str | None
) -> list[Question]:
    """The override header where the version is deployed (0 % is enough), else its preview host."""
    questions = []
    if gateway_url and active and any(share.version_id == version.id for share in active.versions):
        override = (OVERRIDE_HEADER, f'{worker}="{version.id}"')
        questions.append(Question(gateway_url, (override,)))
    preview = version.urls[0] if version.urls else preview_url(gateway_url, worker, version.id)
    return [*questions, Question(preview)] if preview else questions


def preview_url(gateway_url: str | None, worker: str, version_id: str) -> str | None:
    """A version's preview host is the gateway's workers.dev host with the id's first 8 digits in front."""
    if gateway_url is None:
        return None
    url = httpx.URL(gateway_url)
    return str(url.copy_with(host=f"{version_id[:8]}-{url.host}")) if url.host.startswith(f"{worker}.") else None


def gateway_url_of(version: WorkerVersion) -> str | None:
    """The other way round: the gateway's address from a version's preview URL."""
    if not version.urls:
        return None
    url = httpx.URL(version.urls[0])
    prefix = f"{version.id[:8]}-"
    return (
        str(url.copy_with(host=url.host.removeprefix(prefix))).rstrip("/") if url.host.startswith(prefix) else None
    )


def check_target(
    questions: Sequence[Question],
    *,
    provider: str,
    version_id: str,
    token: str,
    http: httpx.Client,
    seconds: float = CHECK_SECONDS,
) -> TargetCheck:
    """Ask the target itself, within `seconds` of wall time whatever the network does."""
    if not questions:
        return TargetCheck(WayBack.UNKNOWN, "the version has no address of its own (version previews are off)")
    question = questions[0]
    headers = dict(question.headers) | ({"Authorization": f"Bearer {token}"} if token else {})
    params = {"deep": "1"} if token else {}

    def ask() -> httpx.Response:
        url = f"{question.url.rstrip('/')}/health"
        return http.get(url, headers=headers, params=params, timeout=seconds)

    answer = _within(ask, seconds)
    if isinstance(answer, str):
        return TargetCheck(WayBack.UNKNOWN, answer)
    return judge_health(answer, provider=provider, version_id=version_id)


def judge_health(answer: httpx.Response, *, provider: str, version_id: str) -> TargetCheck:
    """What one health answer of the target proves."""
    try:
        health = Health.model_validate_json(answer.content)
    except ValueError:
        return TargetCheck(WayBack.UNKNOWN, f"HTTP {answer.status_code} without a readable health answer")
    if health.version.id != version_id:
        return TargetCheck(WayBack.UNKNOWN, f"another version answered ({health.version.id or 'unknown'})")
    if health.provider != provider:
        return TargetCheck(WayBack.CLOSED, f"it says its provider is {health.provider}, not {provider}")
    if health.status == "ok":
        return TargetCheck(WayBack.OPEN, "its health is ok")
    failing = {
        name: found for name, found in health.checks.items() if isinstance(found, dict) and not found.get("ok")
    }
    reasons = "; ".join(f"{name}: {found.get('detail', 'failing')}" for name, found in sorted(failing.items()))
    detail = f"its health is {health.status}" + (f" ({reasons})" if reasons else "")
    bad = health.status == "misconfigured" or any(_is_proof(name, found) for name, found in failing.items())
    return TargetCheck(WayBack.CLOSED if bad else WayBack.UNKNOWN, detail)


def _is_proof(name: str, found: dict[str, object]) -> bool:
    """Storage is shared with the live version, and a busy or slow provider may be fine in a second."""
    return name != "storage" and found.get("kind") not in PASSING_KINDS


def _within(ask: Callable[[], httpx.Response], seconds: float) -> httpx.Response | str:
    """A thread of its own, because no time-out of a socket bounds name resolution."""
    answers: queue.SimpleQueue[httpx.Response | str] = queue.SimpleQueue()

    def put_answer() -> None:
        try:
            answers.put(ask())
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:  # RuntimeError: client closed meanwhile
            answers.put(f"no answer ({type(error).__name__})")

    threading.Thread(target=put_answer, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:g} s"
