"""The simulated helpdesk against a real HTTP server: signed, in order for each ticket, patient, and gone when told."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.instant import to_datetime
from services.config.document import load
from services.ingest.delivery import Delivery
from services.ingest.normalise import normalise
from services.ingest.source import ready
from services.ingest.verify import Outcome, verify
from services.simulate.helpdesk import ATTEMPTS, Ended, Simulation, plan, run, story
from services.simulate.zendesk import signature
from tests.support.wait import eventually

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-the-test"
DEMO_CONFIG = Path(__file__).parents[2] / "deploy" / "config" / "demo.yaml"
START_US = 1_790_000_000_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return str(json.loads(self.body)["id"])

    @property
    def ticket_id(self) -> str:
        return str(json.loads(self.body)["detail"]["id"])


@dataclass
class Endpoint:
    """An HTTP/1.1 server that answers what ``answer`` says for each request: a status and its headers."""

    answer: Callable[[Request], tuple[int, dict[str, str]]]
    url: str = ""
    taken: list[Request] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    silent: bool = False
    body: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                await self._reply(Request(first.split()[1], headers, body), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.seen.append(request)
        await asyncio.sleep(0)
        status, headers = self.answer(request)
        if status == 200:
            self.taken.append(request)
        if self.silent:
            await asyncio.Event().wait()
        headers = {**headers, "content-length": str(len(self.body))}
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + self.body)
        self.under_way -= 1
        await writer.drain()


@asynccontextmanager
async def endpoint(answer: Callable[[Request], tuple[int, dict[str, str]]]) -> AsyncIterator[Endpoint]:
    place = Endpoint(answer)
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(place.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield place
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


class QuickPace:
    """A clock that jumps to whatever is waited for, so that a simulated minute takes no time."""

    def __init__(self) -> None:
        self.at_us = START_US
        self.rests: list[float] = []

    def now_us(self) -> int:
        return self.at_us

    async def rest(self, seconds: float, over: asyncio.Event) -> None:
        self.rests.append(seconds)
        self.at_us += max(1, int(seconds * 1_000_000))
        await asyncio.sleep(0)


def simulation(url: str, **changes: Any) -> Simulation:
    fixed: dict[str, Any] = {
        "base_url": url,
        "secret": SECRET,
        "rate": 20.0,
        "duration_s": 20.0,
        "time_scale": 600.0,
        "duplicates": 0.0,
        "out_of_order": 0.0,
        "first_ticket": 1,
    }
    return Simulation(**{**fixed, **changes})


def ok(request: Request) -> tuple[int, dict[str, str]]:
    return 200, {}


def planned(settings: Simulation) -> dict[str, list[str]]:
    """The event ids of each ticket, in the order in which the plan sends them."""
    events: dict[str, list[str]] = defaultdict(list)
    for delivery in plan(story(settings, START_US), settings):
        events[delivery.webhook.ticket_id].append(delivery.webhook.event_id)
    return events


def received(place: Endpoint) -> dict[str, list[str]]:
    events: dict[str, list[str]] = defaultdict(list)
    for request in place.taken:
        events[request.ticket_id].append(request.event_id)
    return events


async def test_every_webhook_of_the_plan_arrives_signed_and_in_order_for_its_ticket() -> None:
    async with endpoint(ok) as place:
        settings = simulation(place.url, concurrency=8)
        summary = await run(settings, asyncio.Event(), pace=QuickPace())

    assert summary.ended is Ended.COMPLETED
    assert received(place) == planned(settings)
    assert summary.sent == summary.accepted == len(place.taken) > 300
    assert summary.tickets == len(planned(settings))
    assert (summary.refused, summary.duplicates, summary.retries, summary.unanswered) == ({}, 0, 0, 0)
    assert 1 < place.most_under_way <= 8
    for request in place.taken:
        assert request.path == "/webhooks/zendesk"
        timestamp = request.headers["x-zendesk-webhook-signature-timestamp"]
        assert request.headers["x-zendesk-webhook-signature"] == signature(SECRET, timestamp, request.body)
    assert len({request.headers["x-zendesk-webhook-invocation-id"] for request in place.taken}) == summary.sent


async def test_redeliveries_have_the_same_event_id_and_are_counted() -> None:
    async with endpoint(ok) as place:
        settings = simulation(place.url, duplicates=0.1, out_of_order=0.1)
        summary = await run(settings, asyncio.Event(), pace=QuickPace())

    ids = [request.event_id for request in place.taken]
    assert summary.duplicates == len(ids) - len(set(ids)) > 10
    assert received(place) == planned(settings)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_endpoint_is_asked_again_when_it_said_and_nothing_of_that_ticket_overtakes(status: int) -> None:
    refusals: dict[str, int] = defaultdict(int)

    def often_busy(request: Request) -> tuple[int, dict[str, str]]:
        event_id = request.event_id
        if int(event_id[0], 16) < 4 and refusals[event_id] < 2:
            refusals[event_id] += 1
            return status, {"Retry-After": "7"}
        return 200, {}

    pace = QuickPace()
    async with endpoint(often_busy) as place:
        settings = simulation(place.url)
        summary = await run(settings, asyncio.Event(), pace=pace)

    assert received(place) == planned(settings)
    assert summary.accepted == summary.sent == len(place.taken)
    assert summary.retries == sum(refusals.values()) == pace.rests.count(7.0) > 100
    invocations = defaultdict(set)
    for request in place.seen:
        invocations[request.event_id].add(request.headers["x-zendesk-webhook-invocation-id"])
    assert all(len(ids) == 1 for ids in invocations.values()), "a retry is the same invocation"


async def test_a_webhook_that_is_never_taken_is_given_up_and_the_others_go_on() -> None:
    def never_the_first(request: Request) -> tuple[int, dict[str, str]]:
        return (503, {}) if request.ticket_id == "1" else (200, {})

    async with endpoint(never_the_first) as place:
        settings = simulation(place.url, duration_s=5.0)
        summary = await run(settings, asyncio.Event(), pace=QuickPace())

    lost = len(planned(settings)["1"])
    assert summary.ended is Ended.COMPLETED
    assert summary.refused == {503: lost}
    assert summary.retries == lost * (ATTEMPTS - 1)
    assert summary.accepted == summary.sent - lost > 20


async def test_refusals_that_are_final_are_counted_by_status_and_not_repeated() -> None:
    def refusing_some(request: Request) -> tuple[int, dict[str, str]]:
        return (422, {}) if request.ticket_id == "2" else (200, {})

    async with endpoint(refusing_some) as place:
        settings = simulation(place.url, duration_s=5.0)
        summary = await run(settings, asyncio.Event(), pace=QuickPace())

    assert summary.refused == {422: len(planned(settings)["2"])}
    assert summary.retries == 0
    assert len(place.seen) == summary.sent


async def test_what_the_endpoint_dead_letters_is_told_though_it_was_accepted() -> None:
    async with endpoint(ok) as place:
        place.body = b'{"accepted":0,"dead_lettered":1}'
        summary = await run(simulation(place.url, duration_s=2.0), asyncio.Event(), pace=QuickPace())

    assert summary.dead_lettered == summary.accepted > 10


async def test_ingest_itself_takes_the_whole_of_a_demo_and_counts_each_event_once() -> None:
    environment = {"ZENDESK_SECRET": SECRET, "GENERIC_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLSwM"}
    source = ready(load(DEMO_CONFIG, environment))["zendesk"]
    clock = QuickPace()
    events: set[str] = set()

    def as_ingest_does(request: Request) -> tuple[int, dict[str, str]]:
        verdict = verify(
            source.scheme, request.headers, request.body, source.secrets, clock.now_us(), source.tolerance_s
        )
        if verdict.outcome is not Outcome.ACCEPTED:
            return 401, {}
        delivery = Delivery("zendesk", "zendesk", request.headers, request.body, to_datetime(clock.now_us()))
        events.update(event.event_id for event in normalise(delivery, source.settings))
        return 200, {}

    async with endpoint(as_ingest_does) as place:
        settings = simulation(place.url, demo=True, rate=4.0, duration_s=30.0, duplicates=0.05, out_of_order=0.05)
        summary = await run(settings, asyncio.Event(), pace=clock)

    assert summary.ended is Ended.COMPLETED
    assert summary.refused == {}
    assert len(events) == summary.accepted - summary.duplicates > 100


@pytest.mark.parametrize(("status", "ended"), [(401, Ended.SIGNATURE_REFUSED), (404, Ended.SOURCE_UNKNOWN)])
async def test_it_ends_at_once_when_the_endpoint_will_take_nothing(status: int, ended: Ended) -> None:
    with capture_logs() as lines:
        async with endpoint(lambda request: (status, {})) as place:
            summary = await run(simulation(place.url, duration_s=None), asyncio.Event(), pace=QuickPace())

    assert summary.ended is ended
    assert summary.accepted == 0
    assert set(summary.refused) == {status}
    assert len(place.seen) <= 32, "no more than was under way"
    [told] = [line for line in lines if line["event"] == "simulation_impossible"]
    assert ended.value in str(told)
    assert SECRET not in str(lines)


async def test_it_ends_at_once_when_nobody_is_there() -> None:
    with socket.socket() as reserved:  # bound and not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        summary = await run(simulation(url, duration_s=None), asyncio.Event(), pace=QuickPace())

    assert summary.ended is Ended.UNREACHABLE
    assert summary.accepted == 0


async def test_an_endpoint_that_restarts_loses_nothing() -> None:
    async with endpoint(ok) as place:
        settings = simulation(place.url, duration_s=10.0)
        dropped: set[str] = set()
        serve = place._reply

        async def drops_some(request: Request, writer: asyncio.StreamWriter) -> None:
            if place.taken and int(request.event_id[0], 16) < 3 and request.event_id not in dropped:
                dropped.add(request.event_id)
                raise ConnectionResetError
            await serve(request, writer)

        place._reply = drops_some  # type: ignore[method-assign]
        summary = await run(settings, asyncio.Event(), pace=QuickPace())

    assert len(dropped) > 10
    assert received(place) == planned(settings)
    assert summary.retries == len(dropped)
    assert summary.unanswered == 0


async def test_it_is_gone_within_a_second_of_being_told_to_stop() -> None:
    stop = asyncio.Event()
    async with endpoint(ok) as place:
        task = asyncio.create_task(run(simulation(place.url, duration_s=None, demo=True), stop))
        await eventually(lambda: len(place.taken) > 100, "the demo is under way")
        stop.set()
        told = time.monotonic()
        summary = await asyncio.wait_for(task, 5.0)
        took_s = time.monotonic() - told

    assert took_s < 1.0
    assert summary.ended is Ended.STOPPED
    assert summary.accepted == summary.sent == len(place.taken), "what was under way was finished"


async def test_an_endpoint_that_does_not_answer_cannot_delay_the_end() -> None:
    stop = asyncio.Event()
    async with endpoint(ok) as place:
        place.silent = True
        task = asyncio.create_task(run(simulation(place.url, duration_s=None, demo=True), stop))
        await eventually(lambda: place.under_way > 3, "requests hang")
        stop.set()
        told = time.monotonic()
        summary = await asyncio.wait_for(task, 5.0)

    assert time.monotonic() - told < 1.0
    assert summary.ended is Ended.STOPPED
    assert summary.accepted == 0


async def test_a_wait_that_the_endpoint_asked_for_cannot_delay_the_end() -> None:
    stop = asyncio.Event()
    async with endpoint(lambda request: (503, {"Retry-After": "50"})) as place:
        task = asyncio.create_task(run(simulation(place.url, duration_s=None, demo=True), stop))
        await eventually(lambda: len(place.seen) > 3, "it was asked to wait")
        stop.set()
        told = time.monotonic()
        summary = await asyncio.wait_for(task, 5.0)

    assert time.monotonic() - told < 1.0
    assert summary.ended is Ended.STOPPED


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"rate": 0.0}, "rate"), ({"duration_s": -1.0}, "duration"), ({"duplicates": 1.5}, "duplicates")],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        simulation("http://localhost", **changes)
