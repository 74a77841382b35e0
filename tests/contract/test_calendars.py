"""Calendars at their addresses: read by one, followed by all, and the last good copy counts while one is away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from redis.asyncio import Redis

from schemas.instant import SECOND_US, from_datetime
from services.alerts import keys
from services.alerts.calendars import CalendarMeasures, Calendars, over_the_network
from services.alerts.notify.fetch import Failed, Fetched, fetch
from services.alerts.oncall import Roster
from services.config.document import Document
from services.config.rota import Rota
from services.config.schedule import RemoteCalendar, Schedule
from services.operate.health import Health
from services.operate.server import Server
from services.state import client
from tests.support.news import AT
from tests.support.oncall import HOOK

AT_US = from_datetime(AT)
MINUTE_US = 60 * SECOND_US


def ics(who: str) -> bytes:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
        f"SUMMARY:{who}\r\nDTSTART:20260101T000000Z\r\nDTEND:20270101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


@dataclass
class Desk:
    """A web server with one calendar."""

    body: bytes = field(default_factory=lambda: ics("Ana"))
    status: int = 200
    asked: list[dict[str, str]] = field(default_factory=list)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        app = FastAPI()

        @app.get("/s3cret/support.ics")
        async def calendar(request: Request) -> Response:
            self.asked.append(dict(request.headers))
            etag = f'"{hash(self.body)}"'
            if self.status == 200 and request.headers.get("if-none-match") == etag:
                return Response(status_code=304, headers={"etag": etag})
            headers = {"etag": etag, "location": "/elsewhere"}
            return Response(self.body, status_code=self.status, media_type="text/calendar", headers=headers)

        self.server = Server(app, "127.0.0.1", 0, drain_s=1)

    @property
    def url(self) -> str:
        return f"{self.server.url}/s3cret/support.ics"


def document(url: str, **more: Any) -> Document:
    return Document.model_validate(
        {
            "receivers": {"ana": HOOK, "ben": HOOK, "leads": HOOK},
            "people": {"ana": {"receivers": ["ana"]}, "ben": {"receivers": ["ben"]}},
            "schedules": {
                "support": {
                    "timezone": "UTC",
                    "calendar": {"url": url, "refresh": "15m", "allow_private": True, **more},
                    "otherwise": "leads",
                }
            },
        }
    )


class Process:
    """One that reads or follows, with its roster."""

    def __init__(self, world: "World", *, reads: bool = True) -> None:
        self.using = document(world.desk.url)
        self.roster = Roster(self.using)
        self.health, self.registry = Health(), CollectorRegistry()
        self.calendars = Calendars(
            self.using,
            world.redis,
            world.redis,
            self.take,
            lambda: world.at_us,
            self.health,
            fetch=over_the_network if reads else None,
            measures=CalendarMeasures(self.registry),
        )

    def take(self, rotas: Mapping[str, Rota]) -> None:
        self.roster = Roster(self.using, rotas)

    def told(self) -> tuple[str, ...]:
        return self.roster.reached_by("support", AT_US)

    async def said(self) -> str:
        return " ".join(str(finding) for finding in await self.health.readiness())


@dataclass
class World:
    """A calendar's server, a Redis and a clock."""

    desk: Desk
    redis: Redis
    at_us: int = AT_US


@pytest.fixture
async def world(redis_db: str) -> AsyncIterator[World]:
    desk = Desk()
    await desk.server.start()
    redis = client.writer(redis_db)
    yield World(desk, redis)
    await redis.aclose()
    await desk.server.stop()


@pytest.mark.anyio
@pytest.mark.redis
@pytest.mark.timeout(60)
async def test_a_calendar_is_read_by_one_followed_by_all_and_asked_for_what_changed(world: World) -> None:
    worker, other, api = Process(world), Process(world), Process(world, reads=False)
    assert worker.told() == ("leads",), "before the first copy there are no shifts"
    await asyncio.gather(worker.calendars.look(), other.calendars.look())
    for process in (worker, other, api):
        await process.calendars.look()
        assert process.told() == ("ana",)
    assert len(world.desk.asked) == 1
    world.at_us += 14 * MINUTE_US
    await worker.calendars.look()
    assert len(world.desk.asked) == 1
    world.at_us += MINUTE_US
    await worker.calendars.look()
    assert len(world.desk.asked) == 2
    assert "if-none-match" in world.desk.asked[1]
    world.desk.body = ics("Ben")
    world.at_us += 15 * MINUTE_US
    await worker.calendars.look()
    await api.calendars.look()
    assert (worker.told(), api.told()) == (("ben",), ("ben",))
    good = worker.registry.get_sample_value("deskpulse_calendar_success_timestamp_seconds", {"schedule": "support"})
    assert good == world.at_us / SECOND_US


@pytest.mark.anyio
@pytest.mark.redis
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("status", "body"), [(503, b""), (200, b"<html>log in</html>"), (302, b""), (200, b"x" * 5_000_001)]
)
async def test_while_it_is_away_the_last_good_copy_counts_also_after_a_restart(
    world: World, status: int, body: bytes
) -> None:
    process = Process(world)
    await process.calendars.look()
    world.desk.status, world.desk.body = status, body
    world.at_us += 15 * MINUTE_US
    await process.calendars.look()
    assert process.told() == ("ana",)
    again = Process(world)
    await again.calendars.begin()
    assert again.told() == ("ana",), "without asking anybody"
    said = await again.said()
    assert "cannot be read" in said
    assert "its copy of 2026-03-02T10:31:00Z counts" in said
    assert "s3cret" not in said
    asked = len(world.desk.asked)
    world.at_us += MINUTE_US // 2
    await again.calendars.look()
    assert len(world.desk.asked) == asked
    world.at_us += MINUTE_US
    world.desk.status, world.desk.body = 200, ics("Ben")
    await again.calendars.look()
    assert len(world.desk.asked) == asked + 1, "a minute after a failure, not only after the refresh"
    assert again.told() == ("ben",)
    assert "cannot" not in await again.said()


@pytest.mark.anyio
@pytest.mark.redis
@pytest.mark.timeout(60)
async def test_names_that_nobody_has_count_for_nothing_and_are_told(world: World) -> None:
    world.desk.body = ics("Zoe")
    process = Process(world)
    await process.calendars.look()
    assert process.told() == ("leads",)
    assert "names nobody of `people`: zoe" in await process.said()


@pytest.mark.anyio
@pytest.mark.redis
@pytest.mark.timeout(60)
async def test_a_copy_of_another_address_does_not_count_and_a_schedule_that_is_gone_is_let_go(world: World) -> None:
    process = Process(world)
    await process.calendars.look()
    moved = document(world.desk.url + "?other=1")
    process.calendars.follow(moved)
    world.desk.status = 404
    await process.calendars.look()
    assert process.told() == ("leads",)
    assert "there is no copy yet" in await process.said()
    process.calendars.follow(Document())
    await process.calendars.look()
    assert "calendar of" not in await process.said()


@pytest.mark.anyio
@pytest.mark.redis
@pytest.mark.timeout(60)
async def test_who_dies_while_fetching_is_replaced(world: World) -> None:
    await world.redis.set(keys.fetching("support"), "1", px=60_000)
    process = Process(world)
    await process.calendars.look()
    assert world.desk.asked == []
    assert 0 < await world.redis.pttl(keys.fetching("support")) <= 60_000
    await world.redis.delete(keys.fetching("support"))  # as its end does
    await process.calendars.look()
    assert process.told() == ("ana",)


@pytest.mark.anyio
async def test_an_address_in_our_own_network_is_refused_unless_allowed() -> None:
    desk = Desk()
    await desk.server.start()
    url = desk.url
    try:
        refused = await fetch(url, None, None, most_bytes=1000, allow_private=False)
        assert isinstance(refused, Failed)
        assert "private" in refused.problem
        assert desk.asked == []
        assert isinstance(await fetch(url, None, None, most_bytes=1000, allow_private=True), Fetched)
    finally:
        await desk.server.stop()
    away = await fetch(url, None, None, most_bytes=1000, allow_private=True)
    assert isinstance(away, Failed)


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ({"url": "http://calendar.example/x.ics"}, "use https"),
        ({"url": "ftp://calendar.example/x.ics"}, "not an address"),
        ({"url": "https://ana:pw@calendar.example/x.ics"}, "must not hold"),
        ({"url": "https://calendar.example/x.ics", "refresh": "5s"}, "from 1m to 1d"),
        ("https://calendar.example/x.ics", "goes into calendar"),
    ],
)
def test_mistakes_are_named(calendar: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Schedule.model_validate({"timezone": "UTC", "calendar": calendar})


def test_webcal_is_https_and_the_address_is_a_secret() -> None:
    found = RemoteCalendar.model_validate({"url": "webcal://calendar.example/s3cret.ics"})
    assert found.url.get_secret_value() == "https://calendar.example/s3cret.ics"
    assert "s3cret" not in repr(found)
