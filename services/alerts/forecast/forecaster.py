"""Reads what was counted and forecasts: the shell around the arithmetic, which runs in a thread of its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from schemas.instant import SECOND_US
from services.alerts.forecast import labour
from services.alerts.forecast.outlook import Outlook
from services.alerts.forecast.profile import Count
from services.alerts.forecast.silence import silent
from services.alerts.forecast.slots import HOUR_S, Slot, local_day, slots
from services.alerts.forecast.volume import volume
from services.config.document import Document
from services.config.rule import ALL
from services.fold.calendar import Calendar
from services.fold.hours import Hours
from services.kpi.catalogue import KPIS, Kpi
from services.kpi.reader import KpiReader
from services.kpi.window import DAY_S

MOST_DAYS: Final = 14
_MOST_PAST_DAYS: Final = 84
_REMEMBERED: Final = 256
_CREATED: Final = KPIS["tickets_created"]
_SOLVED: Final = KPIS["tickets_solved"]
_ACTIVE: Final = KPIS["knowledge_contribution"]
"""Its count is how many agents were active."""


class Forecaster:
    """Calls may raise ``NotNow``. What was forecast is remembered for an hour: it is made of full days."""

    def __init__(self, document: Document, reader: KpiReader) -> None:
        self._reader = reader
        self._known: OrderedDict[tuple[str, int, int], Outlook] = OrderedDict()
        self.follow(document)

    def follow(self, document: Document) -> None:
        """Calendar and handling times are those of ``document`` from now on."""
        self._choices = document.forecast
        self.hours, self.timezone = hours(document)
        self._known.clear()

    async def outlook(self, segment: str, days: int, at_us: int) -> Outlook:
        """The forecast of ``segment`` for ``days`` local days, the present one included."""
        at_s = at_us // SECOND_US
        key = (segment, days, at_s // HOUR_S)
        if key not in self._known:
            self._known[key] = await self._made(segment, days, at_s)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]

    async def _made(self, segment: str, days: int, at_s: int) -> Outlook:
        kept_s = next(found.keep_s for found in self._reader.kept if found.width_s == HOUR_S)
        today = local_day(at_s, self.hours)
        past_days = min(kept_s // DAY_S - 1, _MOST_PAST_DAYS)
        past = slots(today - timedelta(days=past_days), past_days, self.hours)
        while past and past[0].start_s < at_s - kept_s + HOUR_S:
            past = [slot for slot in past if slot.day != past[0].day]
        ahead = slots(today, days, self.hours)
        created = await self._counts(_CREATED, segment, past, at_s)
        everything = created if segment == ALL else await self._counts(_CREATED, ALL, past, at_s)
        solved = await self._counts(_SOLVED, segment, past, at_s)
        active = await self._counts(_ACTIVE, segment, past, at_s)
        open_days = frozenset(day for day, spans in enumerate(self.hours.weekly) if spans)
        known = _known(past, created, everything)
        found = await asyncio.to_thread(volume, past, known, ahead, open_days)
        earlier = {(slot.day, slot.hour): count for slot, count in zip(past, known, strict=True)}
        before = [
            count for slot in ahead if (count := earlier.get((slot.day - timedelta(days=7), slot.hour))) is not None
        ]
        return Outlook(
            segment=segment,
            timezone=self.timezone,
            volume=found,
            work=labour.work(self._choices.handle_s(segment), self._choices.part, past, active, solved),
            occupancy=self._choices.part,
            presence=labour.presence(past, active),
            last_week=sum(before) if days <= 7 and len(before) >= len(ahead) - 1 else None,
        )

    async def _counts(self, kpi: Kpi, segment: str, past: Sequence[Slot], at_s: int) -> list[int]:
        if not past:
            return []
        window_s = at_s - past[0].start_s
        points = await self._reader.series(kpi, segment, window_s, HOUR_S, at_s * SECOND_US)
        counts = {start_us // SECOND_US: int(reading["count"]) for start_us, reading in points}
        return [counts.get(slot.start_s, 0) for slot in past]


def hours(document: Document) -> tuple[Hours, str]:
    """The days on which the team works, with the name of their zone: the calendar of the forecast, else that of the
    business, else the first; without any, every day is alike."""
    name = document.forecast.calendar or document.business_calendar or next(iter(document.calendars), None)
    if name is None:
        return Hours.always(), "UTC"
    found = Calendar.from_mapping(name, document.calendars[name]).hours
    return found, found.zone.key


def _known(past: Sequence[Slot], created: Sequence[int], everything: Sequence[int]) -> list[Count]:
    """Nothing is known before the first full day with a ticket, nor of hours in which nothing at all was heard."""
    first = next((slot.day for slot, count in zip(past, created, strict=True) if count), None)
    if first is None:
        return [None] * len(past)
    begun = first + timedelta(days=1) if past and first != past[0].day else first
    unheard = silent(past, everything)
    return [
        None if slot.day < begun or lost else count for slot, count, lost in zip(past, created, unheard, strict=True)
    ]
