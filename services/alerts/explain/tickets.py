"""The tickets that show what an alert of a rule says: those whose promises are broken or in danger, the worst first.

Read from the lists of timers, which are in order of their deadlines: the first page is the worst there is, however many
tickets are open. Tickets without a promise are in no such list, and are not named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.alert import Evidence
from schemas.sla import SlaMetric
from schemas.state import Ticket, TimerState
from services.config.document import Source
from services.config.rule import ALL
from services.config.segment import values as segment_values
from services.kpi.catalogue import Kpi
from services.state.timers import TimerList

MOST: Final = 5
_LOOKED_AT: Final = 100
_MOST_NEWEST: Final = 2000
_PAGE: Final = 500
_ANY: Final = tuple(SlaMetric)
_METRICS: Final[Mapping[str, tuple[SlaMetric, ...]]] = {
    "first_response_time": (SlaMetric.FIRST_RESPONSE,),
    "next_response_time": (SlaMetric.NEXT_RESPONSE,),
    "resolution_time": (SlaMetric.RESOLUTION,),
    "requester_wait_time": (SlaMetric.REQUESTER_WAIT,),
    "agent_work_time": (SlaMetric.AGENT_WORK,),
    **dict.fromkeys(
        (
            *("backlog", "unassigned_backlog", "oldest_ticket_age", "open_breached", "net_flow"),
            *("sla_attainment", "sla_breach_rate"),
        ),
        _ANY,
    ),
}
"""The promises that tell of a KPI; of other KPIs no ticket is evidence."""


class Worst:
    """Calls may raise ``NotNow``."""

    def __init__(self, timers: TimerList) -> None:
        self._timers = timers

    async def of(self, kpi: Kpi, statistic: str, segment: str, sources: Mapping[str, Source]) -> tuple[Evidence, ...]:
        """Up to :data:`MOST` tickets of ``segment``: broken promises, the longest overdue first, then those in danger,
        the soonest first."""
        metrics = _METRICS.get(kpi.name, ())
        named = [metric for metric in metrics if statistic.startswith(f"by_metric.{metric.value}.")] or metrics
        wanted = {} if segment == ALL else segment_values(segment)
        found: dict[tuple[str, str], Evidence] = {}
        if not named:
            return ()
        for state in (TimerState.BREACHED, TimerState.AT_RISK):
            page = await self._timers.page(
                [state],
                metric=named[0] if len(named) == 1 else None,
                team=wanted.get("team") or None,
                limit=_LOOKED_AT,
            )
            for listed in page.timers:
                ticket = listed.ticket
                if len(found) < MOST and all(holds(ticket, name, value) for name, value in wanted.items()):
                    found[ticket.source, ticket.ticket_id] = Evidence(
                        ticket.source, ticket.ticket_id, _url(sources, ticket)
                    )
            if len(found) >= MOST:
                break
        return tuple(found.values())

    async def newest(self, segment: str, sources: Mapping[str, Source]) -> tuple[Evidence, ...]:
        """Up to :data:`MOST` open tickets of ``segment``: those that were reopened or escalated first, then the newest.
        Of each list of timers only the first :data:`_MOST_NEWEST` are looked at."""
        wanted = {} if segment == ALL else segment_values(segment)
        found: dict[tuple[str, str], Ticket] = {}
        for state in (TimerState.BREACHED, TimerState.RUNNING, TimerState.PAUSED):
            cursor: str | None = None
            for _ in range(0, _MOST_NEWEST, _PAGE):
                page = await self._timers.page([state], limit=_PAGE, cursor=cursor)
                for listed in page.timers:
                    ticket = listed.ticket
                    if all(holds(ticket, name, value) for name, value in wanted.items()):
                        found[ticket.source, ticket.ticket_id] = ticket
                cursor = page.cursor
                if cursor is None:
                    break
        ranked = sorted(
            found.values(),
            key=lambda ticket: (not ticket.reopens and ticket.escalated is None, -(ticket.created_us or 0)),
        )
        return tuple(Evidence(one.source, one.ticket_id, _url(sources, one)) for one in ranked[:MOST])


def holds(ticket: Ticket, dimension: str, value: str) -> bool:
    """Whether the ticket has this value; an empty one means none."""
    if dimension == "source":
        return ticket.source == value
    if dimension == "tag":
        return value in ticket.who.tags
    return (getattr(ticket.who, dimension) or "") == value


def _url(sources: Mapping[str, Source], ticket: Ticket) -> str | None:
    source = sources.get(ticket.source)
    return source.link(ticket.ticket_id) if source is not None else None
