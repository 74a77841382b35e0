"""The document while a service runs: a changed one takes effect when it is whole and valid, else the old one stays.

The file is looked at every two seconds by its content, so that it does not matter how it is replaced (a ConfigMap swaps
symbolic links), and at once on SIGHUP. Secrets come from the environment as it was at the start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.config.document import ConfigInvalid, Document, parse
from services.operate.health import Health, Note

LOOK_S: Final = 2.0

Take = Callable[[], Sequence[str]]
"""Puts a prepared document to use. Returns what of it takes effect only after a restart."""
Prepare = Callable[[Document], Take]
"""Makes ready what a service needs of a document, changing nothing yet. Raises ``ConfigInvalid``."""

log = structlog.get_logger("config")


class Outcome(StrEnum):
    """What became of a changed document; metric label."""

    TAKEN = "taken"
    REFUSED = "refused"


class Measures:
    """What an operator sees of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "deskpulse_config_reloads_total",
            "Changed configuration documents, by outcome: taken or refused.",
            ["outcome"],
            registry=registry,
        )
        for outcome in Outcome:
            self.outcomes.labels(outcome.value)
        self.info = Gauge(
            "deskpulse_config_info",
            "1 for the document in use, by the beginning of the SHA-256 of its file.",
            ["hash"],
            registry=registry,
        )


class Reload:
    """Follows the file of a document. Without a file it only says that there is none to follow.

    A change by itself takes effect once two looks in a row find the same: half-written files are often valid.
    """

    def __init__(
        self,
        file: Path | None,
        document: Document,
        prepare: Prepare,
        registry: CollectorRegistry,
        health: Health,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._file = file
        self._prepare = prepare
        self._environment = dict(os.environ if environment is None else environment)
        self._document = document
        # The file may have changed since it was read for the start, so the first look is at its content.
        self._tried, self._seen = "", self._hash()
        self._note: str | None = None
        self._asked = asyncio.Event()
        self._measures = Measures(registry)
        self._measures.info.labels(self._seen[:12]).set(1)
        health.check("configuration", lambda: Note(self._note) if self._note else None)

    async def run(self, stop: asyncio.Event) -> None:
        """Follows the file until ``stop``."""
        if self._file is None:
            await stop.wait()
            return
        stopping = asyncio.ensure_future(stop.wait())
        try:
            with _hung_up(self._asked.set):
                while not stop.is_set():
                    asked = asyncio.ensure_future(self._asked.wait())
                    await asyncio.wait({asked, stopping}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                    asked.cancel()
                    at_once = self._asked.is_set()
                    self._asked.clear()
                    if not stop.is_set():
                        await self.look(at_once=at_once)
        finally:
            stopping.cancel()

    async def look(self, *, at_once: bool = False) -> Outcome | None:
        """Looks at the file; ``None`` when there is nothing to do (yet)."""
        found = await asyncio.to_thread(self._hash)
        settled, self._seen = found == self._seen, found
        if not at_once and (found == self._tried or not settled):
            return None
        self._tried = found
        try:
            document, take = await asyncio.to_thread(self._prepared)
        except ConfigInvalid as exc:
            return self._refused(exc.problems)
        self._measures.info.clear()
        self._measures.info.labels(found[:12]).set(1)
        if document == self._document:
            self._note = None
            return None
        self._document = document
        restart = list(take())
        self._note = f"These changes take effect after a restart: {', '.join(restart)}." if restart else None
        self._measures.outcomes.labels(Outcome.TAKEN.value).inc()
        log.info("config_taken", hash=found[:12], after_a_restart=restart)
        return Outcome.TAKEN

    def _prepared(self) -> tuple[Document, Take]:
        assert self._file is not None
        try:
            text = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigInvalid([f"{self._file}: cannot be read ({type(exc).__name__})"]) from None
        document = parse(text, self._environment)
        return document, self._prepare(document)

    def _refused(self, problems: Sequence[str]) -> Outcome:
        for problem in problems:
            log.error("config_refused", problem=problem)
        self._note = f"The changed document is refused ({problems[0]}); the one before stays in use."
        self._measures.outcomes.labels(Outcome.REFUSED.value).inc()
        return Outcome.REFUSED

    def _hash(self) -> str:
        try:
            return hashlib.sha256(self._file.read_bytes() if self._file is not None else b"").hexdigest()
        except OSError:
            return "unreadable"


@contextmanager
def _hung_up(tell: Callable[[], None]) -> Iterator[None]:
    """``tell`` on SIGHUP, where there is such a thing."""
    loop, which = asyncio.get_running_loop(), getattr(signal, "SIGHUP", None)
    listening = False
    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows has none; only the main thread may listen
        if which is not None:
            loop.add_signal_handler(which, tell)
            listening = True
    try:
        yield
    finally:
        if listening and which is not None:
            loop.remove_signal_handler(which)
