"""What the configuration promises about a sample, computed as the metrics worker will. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.instant import SECOND_US, from_datetime
from schemas.state import Ticket
from schemas.ticket import Kind, TicketEvent
from services.config.document import Document
from services.fold import sla
from services.fold.fact import fact
from services.fold.rules import Rules
from services.fold.ticket import fold
from services.ingest.delivery import Delivery
from services.ingest.normalise import normalise
from services.ingest.sample import TAG, Case, Maker, Post
from services.ingest.source import Ready

_MINUTE_US: Final = 60 * SECOND_US
JUST_NOW_US: Final = _MINUTE_US
"""How old the ticket of a sample is. Not nothing, since some vendors tell times in seconds: it must be older than its
own deletion."""
_AGES_US: Final = tuple(
    minutes * _MINUTE_US
    for minutes in (2, 6, 16, 31, 61, 121, 241, 481, 961, *(day * 1440 for day in (1, 2, 3, 4, 5, 7, 10, 14, 21, 28)))
)


@dataclass(frozen=True, slots=True)
class Prospect:
    """A sample and what is to come of it: its events, with the ids that they will have, and the ticket they fold to."""

    case: Case
    opened: Post
    removed: Post | None
    events: tuple[TicketEvent, ...]
    ticket: Ticket

    @property
    def ticket_id(self) -> str:
        return self.ticket.ticket_id

    def broken(self, at_us: int) -> list[str]:
        """The promises that are broken at ``at_us``, ``metric of policy``."""
        timers = [sla.latched(timer, at_us) for timer in self.ticket.timers]
        return [f"{timer.metric.value} of {timer.policy}" for timer in timers if timer.breached_us is not None]


def prospect(source: Ready, maker: Maker, rules: Rules, at: datetime, age_us: int = JUST_NOW_US) -> Prospect:
    """The sample of a ticket that was opened ``age_us`` before ``at``. Raises :class:`Invalid` when the source's
    configuration does not understand it."""
    at_us = from_datetime(at)
    case = Case(opened_us=at_us - age_us, sent_us=at_us)
    sample = maker(case)
    events = told(source, sample.opened, at)
    ticket_id = next((event.ticket_id for event in events), "")
    facts = sorted((fact(event) for event in events), key=lambda one: one.order)
    return Prospect(case, sample.opened, sample.removed, tuple(events), fold(source.name, ticket_id, facts, rules)[0])


def broken(source: Ready, maker: Maker, rules: Rules, at: datetime) -> Prospect | None:
    """The youngest sample of which a promise is already broken; ``None`` when no age up to four weeks breaks one."""
    for age_us in _AGES_US:
        found = prospect(source, maker, rules, at, age_us)
        if found.broken(from_datetime(at)):
            return found
    return None


def told(source: Ready, post: Post, at: datetime) -> Sequence[TicketEvent]:
    """The events that ``post`` becomes when it is taken at ``at``. Raises :class:`Invalid`."""
    headers: Mapping[str, str] = post.headers
    return normalise(Delivery(source.name, source.vendor, headers, post.body, at), source.settings)


def deletion(found: Prospect, at: datetime, event_id: str) -> TicketEvent:
    """The canonical event that takes the ticket out, for vendors that have no webhook for it."""
    first = found.events[0]
    return TicketEvent(
        event_id=event_id,
        source=first.source,
        vendor=first.vendor,
        ticket_id=first.ticket_id,
        kind=Kind.DELETED,
        occurred_at=at,
        received_at=at,
    )


def segment(document: Document, ticket: Ticket) -> tuple[str, bool]:
    """The narrowest segment in which the sample counts, and whether it is the samples' own."""
    if ("tag",) in document.segments and TAG in ticket.who.tags:
        return f"tag:{TAG}", True
    return (f"source:{ticket.source}", False) if ("source",) in document.segments else ("all", False)


def window(document: Document, age_us: int) -> str:
    """The shortest window that will still hold the ticket's opening in a few minutes, else the longest."""
    lengths = sorted((length, name) for name, length in document.windows_s.items())
    holding = [name for length, name in lengths if length * SECOND_US > age_us + 5 * _MINUTE_US]
    return holding[0] if holding else lengths[-1][1]


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The numbers of an answer of ``/v1/kpis`` that differ: KPI, or ``kpi.measure``, with before and after."""
    old, new = _numbers(before), _numbers(after)
    return {name: (old.get(name, 0), new.get(name, 0)) for name in new if old.get(name, 0) != new.get(name, 0)}


def _numbers(kpis: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, said in kpis.items():
        for measure in ("count", "value"):
            if isinstance(said, dict) and isinstance(said.get(measure), int):
                found[name] = said[measure]
    return found
