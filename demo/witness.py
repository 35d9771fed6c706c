"""A client that never stops asking while the story goes on, and counts what it was told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType

import httpx

PAUSE_SECONDS = 0.05


class Witness:
    """Asks the gateway's /health in a loop; `answers` counts the answering providers, `errors` the rest."""

    def __init__(self, gateway_url: str) -> None:
        url = httpx.URL(gateway_url)
        # the emulator's *.localhost names are loopback, which not every system resolver knows
        self._url = url.copy_with(host="127.0.0.1", path="/health")
        self._host = url.netloc.decode()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answers: Counter[str] = Counter()
        self.errors: list[str] = []

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=10, headers={"Host": self._host}) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get(self._url)
                    answer.raise_for_status()
                    self.answers[answer.json()["provider"]] += 1
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                time.sleep(PAUSE_SECONDS)

    def summary(self) -> str:
        told = ", ".join(f"{count} by {provider}" for provider, count in self.answers.items())
        return f"{self.answers.total()} requests meanwhile, {len(self.errors)} errors ({told})"
