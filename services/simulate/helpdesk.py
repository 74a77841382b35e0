"""The simulated helpdesk itself: posts the webhooks of its tickets to an ingest endpoint, as Zendesk would."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, takewhile
from random import Random
from typing import Final
from zlib import crc32

import httpx
import structlog

from schemas.instant import SECOND_US
from services.simulate import zendesk
from services.simulate.day import Happening, Rhythm, happenings
from services.simulate.delivery import Delivery, deliveries
from services.simulate.life import DEMO_FATES
from services.simulate.pace import Pace, WallPace
from services.simulate.scenario import DEMO, Scenario

_log = structlog.get_logger("simulate")

ATTEMPTS: Final = 8
"""How often one webhook is posted before it is given up."""
GREETINGS: Final = 3
"""How often it is posted when nobody ever answered."""
LONGEST_WAIT_S: Final = 60.0
_TIMEOUT_S: Final = 12.0
_GRACE_S: Final = 0.5
_PROGRESS_US: Final = 5 * SECOND_US
_LANE_LENGTH: Final = 64
_BUSY: Final = frozenset({429, 503})
_TICKETS_SINCE_US: Final = 1_735_689_600 * SECOND_US


class Ended(StrEnum):
    """Why a simulation ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    SIGNATURE_REFUSED = "signature_refused"
    SOURCE_UNKNOWN = "source_unknown"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to simulate and where to post it.

    ``rate`` is webhooks per second on average; ``duration_s`` of ``None`` goes on until stopped. ``demo`` shows
    everything within a minute: the first tickets are chosen for it, and the load does not follow the hour of the
    day. ``day_s`` is how long a simulated day takes (``None``: no days).
    ``duplicates`` and ``out_of_order`` are shares of the webhooks. The same ``seed`` and ``first_ticket`` give
    the same tickets; without ``first_ticket`` numbers go on from the time, so that every run has new tickets.

    Raises ``ValueError`` for a rate, duration or share that makes no sense.
    """

    base_url: str
    secret: str = field(repr=False)
    source: str = "zendesk"
    rate: float = 4.0
    duration_s: float | None = None
    seed: int = 0
    demo: bool = False
    time_scale: float = 90.0
    day_s: float | None = 86_400.0
    duplicates: float = 0.01
    out_of_order: float = 0.01
    concurrency: int = 16
    first_ticket: int | None = None

    def __post_init__(self) -> None:
        positive = {"rate": self.rate, "time_scale": self.time_scale, "concurrency": self.concurrency}
        if self.duration_s is not None:
            positive["duration"] = self.duration_s
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"{name} must be more than 0")
        for name, share in (("duplicates", self.duplicates), ("out_of_order", self.out_of_order)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share between 0 and 1")


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the webhooks.

    ``sent`` is how many were posted at least once; of the ``accepted`` (2xx) ``duplicates`` were redelivered on
    purpose, and ``dead_lettered`` the endpoint could not make sense of, by its own answer. ``refused`` counts
    final refusals by HTTP status; ``unanswered`` were given up without an answer. ``retries`` are the posts beyond
    the first.
    """

    ended: Ended
    tickets: int = 0
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    retries: int = 0
    unanswered: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)


async def run(settings: Simulation, stop: asyncio.Event, *, pace: Pace | None = None) -> Summary:
    """Simulate until the duration is over, ``stop`` is set, or the endpoint will clearly take nothing.

    Webhooks of one ticket are posted one after the other, in the order of the plan, also when one has to wait
    for a busy endpoint (429 and 503 with ``Retry-After``). An endpoint or a machine that is too slow for the rate makes
    the run longer, nothing is left out. Ends within a second of ``stop``.
    """
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        return await _Run(settings, stop, pace or WallPace(), client).whole()


def story(settings: Simulation, now_us: int) -> Iterator[Happening]:
    """Everything that happens in the helpdesk, in order, until the duration is over. Pure."""
    end_us = None if settings.duration_s is None else now_us + int(settings.duration_s * SECOND_US)
    first = _first_ticket(now_us, settings.rate) if settings.first_ticket is None else settings.first_ticket
    stream = happenings(
        Random(settings.seed),  # noqa: S311 - dice of a simulation
        DEMO if settings.demo else Scenario(time_scale=settings.time_scale),
        Rhythm(settings.rate, now_us, settings.duration_s, None if settings.demo else settings.day_s),
        first_ticket=first,
        weigh=zendesk.weight,
        fates=DEMO_FATES if settings.demo else (),
    )
    return stream if end_us is None else takewhile(lambda happening: happening.at_us < end_us, stream)


def plan(happened: Iterable[Happening], settings: Simulation) -> Iterator[Delivery]:
    """The requests that tell what ``happened``, in the order in which they are to be sent. Pure and lazy."""
    return deliveries(
        _told(happened),
        Random(settings.seed + 1),  # noqa: S311 - dice of a simulation
        duplicates=settings.duplicates,
        out_of_order=settings.out_of_order,
    )


def _told(happened: Iterable[Happening]) -> Iterator[tuple[int, zendesk.Webhook]]:
    account = zendesk.Account()
    tickets: dict[str, zendesk.Ticket] = {}
    for happening in happened:
        ticket_id, step = happening.ticket_id, happening.step
        ticket = tickets.get(ticket_id) or zendesk.Ticket(ticket_id, happening.life, happening.created_us)
        for webhook in zendesk.webhooks(account, ticket, happening.number, step, happening.at_us):
            yield happening.at_us, webhook
        tickets[ticket_id] = ticket.after(step)
        if happening.number + 1 == len(happening.life.steps):
            del tickets[ticket_id]


def _first_ticket(start_us: int, rate: float) -> int:
    """A number that no earlier run has reached: it counts faster than any run makes tickets."""
    unit_us = SECOND_US // 100 if rate <= 8 else 100
    return (start_us - _TICKETS_SINCE_US) // unit_us


class _Run:
    """One simulation under way."""

    def __init__(self, settings: Simulation, stop: asyncio.Event, pace: Pace, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._stop = stop
        self._pace = pace
        self._client = client
        self._url = f"{settings.base_url.rstrip('/')}/webhooks/{settings.source}"
        self._account = zendesk.Account()
        self._over = asyncio.Event()
        self._ended: Ended | None = None
        self._lanes: list[asyncio.Queue[Delivery | None]] = [
            asyncio.Queue(_LANE_LENGTH) for _ in range(settings.concurrency)
        ]
        self._invocations = count(1)
        self._counts: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        self._open_tickets = 0
        self._answered = False
        self._reported_us = pace.now_us()

    async def whole(self) -> Summary:
        _log.info("simulation_started", url=self._url, rate=self._settings.rate, demo=self._settings.demo)
        work = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stop.wait())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({work, stopping, over}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self._end(Ended.STOPPED)
                await asyncio.wait({work}, timeout=_GRACE_S)
        finally:
            for task in (work, stopping, over):
                task.cancel()
            results = await asyncio.gather(work, stopping, over, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]
        summary = self._summary()
        _log.info("simulation_ended", **self._figures(), ended=summary.ended.value)
        return summary

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._drive(lane))
            await self._schedule()

    async def _schedule(self) -> None:
        happened = story(self._settings, self._pace.now_us())
        for delivery in plan(map(self._watched, happened), self._settings):
            wait_s = (delivery.at_us - self._pace.now_us()) / SECOND_US
            if wait_s > 0:
                await self._pace.rest(wait_s, self._over)
            if self._over.is_set():
                break
            lane = crc32(delivery.webhook.ticket_id.encode()) % len(self._lanes)
            await self._lanes[lane].put(delivery)
        for queue in self._lanes:
            if not (self._over.is_set() and queue.full()):
                await queue.put(None)

    def _watched(self, happening: Happening) -> Happening:
        self._open_tickets = happening.open_tickets
        return happening

    async def _drive(self, lane: asyncio.Queue[Delivery | None]) -> None:
        while not self._over.is_set():
            delivery = await lane.get()
            if delivery is None:
                return
            behind_us = self._pace.now_us() - delivery.at_us
            await self._deliver(delivery)
            self._report(behind_us)

    async def _deliver(self, delivery: Delivery) -> None:
        invocation = next(self._invocations)
        body = delivery.webhook.body
        self._counts["sent"] += 1
        self._counts["tickets"] += delivery.webhook.type == "ticket.created" and not delivery.redelivery
        status: int | None = None
        for attempt in range(1, ATTEMPTS + 1):
            headers = zendesk.headers(self._account, self._settings.secret, invocation, self._pace.now_us(), body)
            wait_s = min(LONGEST_WAIT_S, 0.25 * 2**attempt)
            try:
                response = await self._client.post(self._url, content=body, headers=headers)
            except httpx.TransportError:
                status = None
                if not self._answered and attempt == GREETINGS:
                    return self._end(Ended.UNREACHABLE)
            else:
                self._answered = True
                status = response.status_code
                if response.is_success:
                    self._counts["accepted"] += 1
                    self._counts["duplicates"] += delivery.redelivery
                    self._counts["dead_lettered"] += _dead_lettered(response)
                    return None
                if status == 401:
                    self._refused[status] += 1
                    return self._end(Ended.SIGNATURE_REFUSED)
                if status == 404:
                    self._refused[status] += 1
                    return self._end(Ended.SOURCE_UNKNOWN)
                if status not in _BUSY:
                    break
                wait_s = _retry_after_s(response, otherwise_s=wait_s)
            if attempt < ATTEMPTS:
                await self._pace.rest(wait_s, self._over)
                if self._over.is_set():
                    break
                self._counts["retries"] += 1
        if status is None:
            self._counts["unanswered"] += 1
        else:
            self._refused[status] += 1
        return None

    def _end(self, why: Ended) -> None:
        if self._ended is not None:
            return
        self._ended = why
        self._over.set()
        source = self._settings.source
        explained = {
            Ended.SIGNATURE_REFUSED: f"the endpoint refused the signature: it has another secret for '{source}'",
            Ended.SOURCE_UNKNOWN: f"the endpoint knows no source '{source}'; name one of its configuration",
            Ended.UNREACHABLE: "nobody answers there; start Deskpulse first, or name its ingest address",
        }
        if why in explained:
            _log.error("simulation_impossible", url=self._url, reason=why.value, explanation=explained[why])

    def _report(self, behind_us: int) -> None:
        now_us = self._pace.now_us()
        if now_us - self._reported_us >= _PROGRESS_US:
            self._reported_us = now_us
            behind_s = round(behind_us / SECOND_US, 1)
            _log.info("simulation_progress", **self._figures(), open_tickets=self._open_tickets, behind_s=behind_s)

    def _figures(self) -> dict[str, object]:
        names = ("tickets", "sent", "accepted", "duplicates", "dead_lettered", "retries", "unanswered")
        refused = {str(status): number for status, number in sorted(self._refused.items())}
        return {**{name: self._counts[name] for name in names}, "refused": refused}

    def _summary(self) -> Summary:
        return Summary(
            ended=self._ended or Ended.COMPLETED,
            tickets=self._counts["tickets"],
            sent=self._counts["sent"],
            accepted=self._counts["accepted"],
            duplicates=self._counts["duplicates"],
            dead_lettered=self._counts["dead_lettered"],
            retries=self._counts["retries"],
            unanswered=self._counts["unanswered"],
            refused=dict(self._refused),
        )


def _retry_after_s(response: httpx.Response, *, otherwise_s: float) -> float:
    """Seconds of ``Retry-After``; a date or nonsense there counts as absent."""
    try:
        asked_s = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return otherwise_s
    return min(LONGEST_WAIT_S, max(0.0, asked_s)) if asked_s == asked_s else otherwise_s


def _dead_lettered(response: httpx.Response) -> bool:
    try:
        said = response.json()
    except ValueError:
        return False
    return isinstance(said, dict) and bool(said.get("dead_lettered"))
