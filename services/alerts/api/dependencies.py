"""What routes share: who may ask, which parameters there are, and the parts that answers come from."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import Counter
from redis.asyncio import Redis

from services.alerts.alerting import Alerting
from services.alerts.board.live import Live
from services.alerts.feed import Feed
from services.alerts.forecast.forecaster import Forecaster
from services.alerts.memories import Memories
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
    """How many live streams are open, and how many may be."""

    def __init__(self, most: int) -> None:
        self.open = 0
        self.most = most


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


_bearer = HTTPBearer(auto_error=False, description="One of `api_tokens`. Not needed when none is configured.")


def authorised(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
) -> None:
    """Refuses a request without one of the configured tokens. Takes the same time for every wrong one."""
    tokens = context(request).document.api_tokens
    if not tokens:
        return
    presented = given.credentials.encode("utf-8", "surrogateescape") if given is not None else b""
    fitting = [hmac.compare_digest(token.get_secret_value().encode(), presented) for token in tokens]
    if not any(fitting):
        raise Problem(
            401,
            "unauthorized",
            "Unauthorized",
            "Send one of the configured api_tokens as 'Authorization: Bearer <token>'.",
            headers={"WWW-Authenticate": "Bearer"},
        )


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


Parts = Annotated[Context, Depends(context)]
Now = Annotated[datetime, Depends(now)]
Reader = Annotated[Redis, Depends(reader)]
Configuration = Annotated[Document, Depends(document)]
GUARDS = [Depends(authorised), Depends(known_parameters)]
"""For ``include_router(router, dependencies=GUARDS)``: every route under /v1 has them."""
