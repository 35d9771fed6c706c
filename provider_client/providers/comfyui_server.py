"""Following one prompt: on a server of one's own, and on Comfy Cloud, which differs in exactly this.

Sources: recordings of ComfyUI 0.25.0 and 0.3.64; docs.comfy.org for Comfy Cloud's API v1 (not called live).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from provider_client.providers.session import Session

Entry = Mapping[str, Any]


class ComfyServer(Protocol):
    """What a provider asks about one prompt. `finished` fails as the run failed."""

    session: Session

    def knows(self, job: str) -> bool: ...

    def finished(self, job: str) -> Entry | None: ...

    def where(self, job: str) -> str: ...

    def cancel(self, job: str) -> None: ...


class SelfHosted:
    """GET /history/{id} is `{}` for a prompt that waits, runs, was deleted or never came: the queue tells which."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def knows(self, job: str) -> bool:
        return self._is_queued(job) or bool(self.session.get(f"/history/{job}"))

    def finished(self, job: str) -> Entry | None:
        history = self.session.get(f"/history/{job}")
        if not history and not self._is_queued(job):
            history = self.session.get(f"/history/{job}")  # it may have ended between the two questions
            if not history:
                lost = "the server no longer knows the prompt: it was deleted, or the server restarted"
                self.session.fail(self.session.signal("deadline:lost", lost), job)
        if not history:
            return None
        entry: Entry = self.session.field(history, job)
        if (entry.get("status") or {}).get("status_str") == "error":  # old servers give no status
            self.session.fail(entry, job)
        return entry

    def where(self, job: str) -> str:
        return "running" if job in self._listed("queue_running") else "queued"

    def cancel(self, job: str) -> None:
        """Interrupts only what runs: a server that ignores the id would end somebody else's run."""
        self.session.post("/queue", json={"delete": [job]})
        if self.where(job) == "running":
            self.session.post("/interrupt", json={"prompt_id": job})

    def _is_queued(self, job: str) -> bool:
        return job in self._listed("queue_running", "queue_pending")

    def _listed(self, *lists: str) -> set[str]:
        """Ids of prompts; an entry is [number, id, graph, …]."""
        queue = self.session.get("/queue")
        return {str(entry[1]) for name in lists for entry in self.session.field(queue, name)}


class ComfyCloud(SelfHosted):
    """Status, details and history each have a route of their own; the words for the end differ between pages."""

    SUCCEEDED = frozenset({"success", "completed"})
    FAILED = frozenset({"error", "failed", "non_retryable_error"})

    def knows(self, job: str) -> bool:
        return self.session.find(f"/job/{job}/status") is not None

    def finished(self, job: str) -> Entry | None:
        status = self._status(job)
        if status in self.SUCCEEDED:
            history = self.session.get(f"/history_v2/{job}")
            entry: Entry = history.get(job, history)
            return entry
        if status == "lost":
            self.session.fail(self.session.signal("deadline:lost", "Comfy Cloud lost the job"), job)
        if status == "cancelled":
            self.session.fail(self.session.signal("interrupted", "the job was cancelled"), job)
        if status in self.FAILED:
            self.session.fail(self.session.get(f"/jobs/{job}"), job)
        return None

    def where(self, job: str) -> str:
        status = self._status(job)
        return "running" if status in ("running", "executing", "in_progress") else status

    def _status(self, job: str) -> str:
        return self.session.state(self.session.get(f"/job/{job}/status"))
