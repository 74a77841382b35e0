"""Calendars of schedules at their addresses: one worker fetches each in its turn, every process follows.

The last good copy lies in Redis: when the address is away, or answers something else, its shifts still count, and
``/readyz`` and the metrics say since when. Nothing about an address is in a log or a metric.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Gauge
from redis.asyncio import Redis
from structlog.stdlib import BoundLogger

from schemas.failure import NotNow
from schemas.instant import SECOND_US, to_rfc3339
from services.alerts import keys
from services.alerts.notify.fetch import Failed, Fetched, fetch
from services.alerts.notify.outbound import fingerprint
from services.config.document import Document
from services.config.duration import seconds
from services.config.rota import MOST_BYTES, Rota, RotaInvalid
from services.config.schedule import RemoteCalendar
from services.operate.health import Health, Note
from services.state.client import away

_LOOK_S: Final = 2.0
_AGAIN_US: Final = 60 * SECOND_US
"""After a failure, where the document does not ask for it sooner anyway."""
_FETCHING_MS: Final = 60_000

Fetch = Callable[[RemoteCalendar, str | None, str | None], Awaitable[Fetched | Failed]]


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one calendar. ``address`` is a digest of where it is, ``version`` of what it said when it was
    good the last time (``good_us``); ``problem`` is why it was not the last time that somebody tried (``tried_us``)."""

    address: str
    tried_us: int
    good_us: int | None = None
    version: str | None = None
    etag: str | None = None
    modified: str | None = None
    problem: str | None = None


_kept: Final = msgspec.json.Decoder(Kept)


async def over_the_network(calendar: RemoteCalendar, etag: str | None, modified: str | None) -> Fetched | Failed:
    """How calendars are fetched."""
    url = calendar.url.get_secret_value()
    return await fetch(url, etag, modified, most_bytes=MOST_BYTES, allow_private=calendar.allow_private)


class CalendarMeasures:
    """The metric objects, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.good = Gauge(
            "deskpulse_calendar_success_timestamp_seconds",
            "When the calendar of a schedule was read at its address last.",
            ("schedule",),
            registry=registry,
        )


class Calendars:
    """``take`` hears the calendars, by schedule, whenever one changed. Without ``fetch`` this process only follows."""

    def __init__(
        self,
        document: Document,
        writer: Redis,
        reader: Redis,
        take: Callable[[Mapping[str, Rota]], None],
        now_us: Callable[[], int],
        health: Health,
        *,
        fetch: Fetch | None = None,
        measures: CalendarMeasures | None = None,
    ) -> None:
        self._writer: Any = writer
        self._reader: Any = reader
        self._take = take
        self._now_us = now_us
        self._fetch = fetch
        self._measures = measures
        self._health = health
        self._rotas: dict[str, Rota] = {}
        self._versions: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._log: BoundLogger = structlog.get_logger("calendars")
        self.follow(document)
        health.check("calendars", lambda: Note(" ".join(self._notes.values())) if self._notes else None)

    def follow(self, document: Document) -> None:
        """The schedules are those of ``document`` from the next look on."""
        self._remote = {
            name: schedule.calendar
            for name, schedule in document.schedules.items()
            if isinstance(schedule.calendar, RemoteCalendar)
        }
        self._people = frozenset(document.people)

    async def run(self, stop: asyncio.Event) -> None:
        """A look every two seconds until ``stop``."""
        while not stop.is_set():
            self._health.beat("calendars", 120.0)
            try:
                await self.look()
            except NotNow as wait:
                self._log.warning("calendars_wait", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)

    async def begin(self) -> None:
        """Takes the copies that there are, so that nobody is asked for before they count."""
        with suppress(NotNow):
            await self._follow()

    async def look(self) -> None:
        """Fetches what is due, and takes what changed. Raises ``NotNow``; repeating it is harmless."""
        if not self._remote and not self._rotas and not self._notes:
            return
        if self._fetch is not None:
            known = await self._known()
            due = [name for name, calendar in self._remote.items() if self._is_due(calendar, known.get(name))]
            await asyncio.gather(*(self._fetched(name, self._remote[name], known.get(name)) for name in due))
        await self._follow()

    async def _known(self) -> dict[str, Kept]:
        """What is kept of the calendars at the addresses that the document has now."""
        if not self._remote:
            return {}
        with away():
            stored = await self._reader.hgetall(keys.CALENDARS)
        found = {name.decode(): _kept.decode(value) for name, value in stored.items()}
        return {name: found[name] for name, one in self._remote.items() if _is_of(found.get(name), one)}

    def _is_due(self, calendar: RemoteCalendar, kept: Kept | None) -> bool:
        if kept is None:
            return True
        pause_us = seconds(calendar.refresh) * SECOND_US
        return self._now_us() - kept.tried_us >= (pause_us if kept.problem is None else min(pause_us, _AGAIN_US))

    async def _fetched(self, name: str, calendar: RemoteCalendar, kept: Kept | None) -> None:
        assert self._fetch is not None
        with away():
            if not await self._writer.set(keys.fetching(name), "1", nx=True, px=_FETCHING_MS):
                return
        try:
            usable = kept is not None and kept.version is not None
            asked = (kept.etag, kept.modified) if kept is not None and usable else (None, None)
            found = await self._fetch(calendar, *asked)
            at_us = self._now_us()
            before = kept or Kept(address=_address(calendar), tried_us=at_us)
            after, text = await asyncio.to_thread(_after, before, found, at_us)
            with away():
                pipeline = self._writer.pipeline(transaction=True)
                pipeline.hset(keys.CALENDARS, name, msgspec.json.encode(after))
                if text is not None:
                    pipeline.hset(keys.CALENDAR_TEXTS, name, text)
                await pipeline.execute()
            if after.problem != before.problem:
                self._log.log(30 if after.problem else 20, "calendar_read", schedule=name, problem=after.problem)
        finally:
            with away():
                await self._writer.delete(keys.fetching(name))

    async def _follow(self) -> None:
        known, changed = await self._known(), False
        for name in self._rotas.keys() - {name for name, kept in known.items() if kept.version is not None}:
            del self._rotas[name]
            self._versions.pop(name, None)
            changed = True
        for name, kept in known.items():
            if kept.version is not None and kept.version != self._versions.get(name):
                with away():
                    text = await self._reader.hget(keys.CALENDAR_TEXTS, name)
                if text is None or _version(text) != kept.version:
                    continue  # another process is just changing it
                with suppress(RotaInvalid):  # whoever kept it could read it; the one before counts on
                    self._rotas[name] = await asyncio.to_thread(Rota, text)
                self._versions[name] = kept.version
                changed = True
                self._log.info("calendar_taken", schedule=name)
            if self._measures is not None and kept.good_us is not None:
                self._measures.good.labels(name).set(kept.good_us / SECOND_US)
        self._notes = {name: note for name in self._remote if (note := self._note(name, known.get(name)))}
        if changed:
            self._take(self._rotas)

    def _note(self, name: str, kept: Kept | None) -> str | None:
        if kept is None or (kept.problem is None and name not in self._rotas):
            return f"The calendar of schedule {name} was not read yet."
        if kept.problem is not None:
            since = f"its copy of {to_rfc3339(kept.good_us)} counts" if kept.good_us else "there is no copy yet"
            return f"The calendar of schedule {name} cannot be read ({kept.problem}); {since}."
        strangers = sorted(self._rotas[name].names() - self._people)
        if strangers:
            named = ", ".join(strangers[:5])
            return f"The calendar of schedule {name} names nobody of `people`: {named}. Their shifts do not count."
        return None


def _after(before: Kept, found: Fetched | Failed, at_us: int) -> tuple[Kept, bytes | None]:
    """What is known after an attempt, and the text when there is a new one."""
    if isinstance(found, Failed):
        return msgspec.structs.replace(before, tried_us=at_us, problem=found.problem), None
    if found.body is None:
        if before.version is None:
            return msgspec.structs.replace(before, tried_us=at_us, problem="HTTP 304 to the first question"), None
        return msgspec.structs.replace(before, tried_us=at_us, good_us=at_us, problem=None), None
    try:
        Rota(found.body)
    except RotaInvalid as exc:
        return msgspec.structs.replace(before, tried_us=at_us, problem=str(exc)), None
    version = _version(found.body)
    after = Kept(
        address=before.address,
        tried_us=at_us,
        good_us=at_us,
        version=version,
        etag=found.etag,
        modified=found.modified,
    )
    return after, found.body if version != before.version else None


def _is_of(kept: Kept | None, calendar: RemoteCalendar) -> bool:
    return kept is not None and kept.address == _address(calendar)


def _address(calendar: RemoteCalendar) -> str:
    return fingerprint(calendar.url.get_secret_value())


def _version(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
