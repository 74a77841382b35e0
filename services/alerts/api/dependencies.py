"""What routes share: who asks, which parameters there are, and the parts that answers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from prometheus_client import Counter
from redis.asyncio import Redis

from schemas.failure import NotNow
from services.alerts.access.access import Access
from services.alerts.access.identity import Identity
from services.alerts.alerting import Alerting
from services.alerts.board.live import Live
from services.alerts.feed import Feed
from services.alerts.forecast.forecaster import Forecaster
from services.alerts.memories import Memories
from services.alerts.report.composer import Composer
from services.alerts.report.shelf import ReportShelf
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.silences import SilenceBook
from services.alerts.store import RedisStore
from services.config.document import Document
from services.kpi.reader import KpiReader
from services.operate.problem import Problem
from services.state.recompute import Recomputes
from services.state.tickets import Tickets
from services.state.timers import TimerList


class Streams:
    """How many live streams are open, in all and of each caller, and how many may be in all."""

    def __init__(self, most: int) -> None:
        self.open = 0
        self.most = most
        self._of: defaultdict[str, int] = defaultdict(int)

    def of(self, caller: str) -> int:
        """How many this caller has open."""
        return self._of.get(caller, 0)

    def opened(self, caller: str) -> None:
        """One more."""
        self.open += 1
        self._of[caller] += 1

    def closed(self, caller: str) -> None:
        """One less."""
        self.open -= 1
        self._of[caller] -= 1
        if self._of[caller] <= 0:
            del self._of[caller]


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the query API, made once in ``services.alerts.app``."""

    document: Document
    redis: Redis
    store: RedisStore
    alerting: Alerting
    feed: Feed
    now: Callable[[], datetime]
    kpis: KpiReader
    timers: TimerList
    tickets: Tickets
    streams: Streams
    rules: RuleBook
    silences: SilenceBook
    link_uses: Counter
    memories: Memories
    sight: Sight
    recomputes: Recomputes
    forecasts: Forecaster
    composer: Composer
    reports: ReportShelf
    live: Live


def context(request: Request) -> Context:
    """The parts that this app was built with."""
    found: Context = request.app.state.context
    return found


def now(request: Request) -> datetime:
    """The present."""
    return context(request).now()


def reader(request: Request) -> Redis:
    """A Redis client for reads."""
    return context(request).redis


def document(request: Request) -> Document:
    """The configuration document."""
    return context(request).document


def identity(request: Request) -> Identity:
    """Who asks; the gate found out."""
    found: Identity = request.state.identity
    return found


class Agents:
    """Whether who asks may see numbers about single agents."""

    def __init__(self, request: Request) -> None:
        self._access: Access = request.app.state.access
        self._who = identity(request)
        self.shown = self._access.sees_agents(self._who)

    def need(self, what: str) -> None:
        """Raises :class:`Problem` (403) when they may not; ``what`` is what was asked for."""
        if not self.shown:
            raise self._access.lacking(self._who, self._access.agents_visible_to(), f"{what} is about single agents,")


def known_parameters(request: Request) -> None:
    """Refuses query parameters that the route does not have, and says which it has: a misspelt filter must not
    quietly answer with everything."""
    fields = get_flat_params(request.scope["route"].dependant)
    known = sorted(field.alias for field in fields if isinstance(field.field_info, Query))
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        there = ", ".join(known) or "none"
        raise Problem(
            400,
            "unknown-parameter",
            "Unknown parameter",
            f"There is no parameter {', '.join(repr(name) for name in unknown)} here. There is: {there}.",
            unknown=unknown,
            known=known,
        )


async def readable_state(request: Request) -> None:
    """Refuses to read state of a version that this process does not know (``services.state.forms``)."""
    if (refusal := request.app.state.refusal()) is not None:
        raise NotNow(refusal)


Parts = Annotated[Context, Depends(context)]
Now = Annotated[datetime, Depends(now)]
Reader = Annotated[Redis, Depends(reader)]
Configuration = Annotated[Document, Depends(document)]
Who = Annotated[Identity, Depends(identity)]
SeesAgents = Annotated[Agents, Depends(Agents)]
GUARDS = [Depends(known_parameters), Depends(readable_state)]
"""For ``include_router(router, dependencies=GUARDS)``: every route under /v1 has them. Who may ask is decided before,
by ``services.alerts.access.table``."""
