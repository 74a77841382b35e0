"""Just before sending the state is asked whether the ticket was answered, ahead of the alert's own end."""

import pytest
import redis.asyncio

from schemas.sla import SlaKind, SlaMetric
from schemas.state import PARTITIONS_KEY, Entry, Mode, Ticket, Timer, pack, ticket_key
from services.alerts.standing import Standing
from services.state import client
from services.state.partitions import Partitions
from tests.support.news import fired

pytestmark = [pytest.mark.anyio, pytest.mark.redis, pytest.mark.timeout(60)]


def entry(ticket_id: str, mode: Mode, cycle: int = 1) -> bytes:
    timer = Timer(SlaMetric.FIRST_RESPONSE, cycle, "vip", 900_000_000, None, mode, 0)
    return pack(Entry(ticket=Ticket(source="zendesk", ticket_id=ticket_id, timers=(timer,))))


async def test_open_alerts_whose_timer_has_stopped_for_good_are_found(redis_db: str) -> None:
    reader = client.reader(redis_db)
    writer = redis.asyncio.Redis.from_url(redis_db)
    stored = {"1": entry("1", Mode.MET), "2": entry("2", Mode.RUNNING), "3": entry("3", Mode.MET, cycle=2)}
    for number, (ticket_id, packed) in enumerate(stored.items()):
        await writer.sadd(PARTITIONS_KEY, number)
        await writer.set(ticket_key(number, "zendesk", ticket_id), packed)
    events = {ticket_id: fired(ticket_id=ticket_id) for ticket_id in ("1", "2", "3", "unknown")}
    ended = fired(SlaKind.FULFILLED, events["1"].alert, 2, ticket_id="1")
    standing = Standing(reader, Partitions(reader))
    try:
        assert await standing.met([*events.values(), ended]) == {events["1"].event_id}
        assert await standing.met([]) == frozenset()
    finally:
        await reader.aclose()
        await writer.aclose()
