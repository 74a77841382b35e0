"""From the deadline of a promise to the message at a receiver: both workers, Kafka, Redis, and a posted webhook.

Two receivers hear of every breach: one gets a message for each, the other digests, as people do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer

from bench.breach import TARGET_S, later, soon
from bench.hook import Came, Hook
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import World
from schemas import codec
from schemas.alert import Transition
from schemas.instant import SECOND_US, from_datetime
from schemas.sla import SlaKind
from schemas.topics import ALERTS, SLA
from services import clock
from services.embedded import Unavailable
from services.embedded.port import LOOPBACK, free_port

BUDGET = Budget(Sense.AT_MOST, 1000, "ms")
_SECRET = "whsec_YS1rZXktb2YtdGhlLWJlbmNoLW9mLTMyLWJ5dGVzLS0="
_EVERY_S = 10
_LEAD_S = 6
_CONFIG = """
sla_policies:
  - {{name: everyone, warn_at: [], targets: {{first_response: {{"*": {target}s}}}}}}
segments: [[channel], [team], [priority]]
windows: [15m, 1h, 24h]
receivers:
  each: {{webhook: {{url: "http://{address}/each", secrets: ["{secret}"], allow_private: true}}}}
  gathered:
    webhook: {{url: "http://{address}/gathered", secrets: ["{secret}"], allow_private: true}}
    digest: {{after: 10, per: 1m, every: {every}s}}
routes: [{{receiver: each}}, {{receiver: gathered}}]
"""


@dataclass(slots=True)
class Way:
    """The instants, in µs, at which a breach was somewhere; 0 until it was."""

    broke_us: int = 0
    announced_us: int = 0
    decided_us: int = 0
    relayed_us: int = 0
    came_us: int = 0
    gathered_us: int = 0

    @property
    def whole(self) -> bool:
        return all((self.announced_us, self.decided_us, self.relayed_us, self.came_us, self.gathered_us))


def measure(world: World) -> Findings:
    """1,000 promises break within a minute (quick: 250 in 15 s), among ten times as many that do not."""
    due, lasting_s = (250, 15) if world.quick else (1_000, 60)
    world.say(f"message: {due:,} promises break within {lasting_s} s, {due * 10:,} others do not")
    world.fresh()
    hook = Hook(free_port())
    config = _CONFIG.format(target=TARGET_S, address=f"{LOOPBACK}:{hook.port}", secret=_SECRET, every=_EVERY_S)
    with world.service("metrics", config=config) as metrics, world.service("alerts", config=config) as alerts:
        number = world.fill(later(due * 10))
        world.settled(number)
        soon_us = clock.now_us() + _LEAD_S * SECOND_US
        number += world.fill(soon(due, soon_us, lasting_s))
        world.settled(number)
        if clock.now_us() > soon_us:
            raise Unavailable("the first deadline had passed before its ticket was in the state")
        began_s = metrics.cpu_s, alerts.cpu_s, world.redis_cpu_s()
        ways = asyncio.run(_followed(world, hook, due, lasting_s + 60))
        ended_s = metrics.cpu_s, alerts.cpu_s, world.redis_cpu_s()
    found = _found(hook.came, ways, lasting_s)
    spent = [(after - before) / due * 1e3 for before, after in zip(began_s, ended_s, strict=True)]
    found.notes.append(
        f"message: a breach costs {spent[1]:.1f} ms of the alerts worker's processor for both receivers; the metrics "
        f"worker used {spent[0]:.1f} and Redis {spent[2]:.1f} ms meanwhile; {hook.connections} connections were opened"
    )
    return found


async def _followed(world: World, hook: Hook, due: int, longest_s: float) -> dict[str, Way]:
    """Every breach by its ticket, once it has been everywhere."""
    ways: dict[str, Way] = {}
    consumer = AIOKafkaConsumer(SLA, ALERTS, bootstrap_servers=world.kafka.bootstrap, auto_offset_reset="earliest")
    async with hook:
        await consumer.start()
        try:
            async with asyncio.timeout(longest_s):
                read = 0
                while sum(way.whole for way in ways.values()) < due:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        for record in records:
                            _noted(ways, record)
                    for came in hook.came[read:]:
                        _arrived(ways, came)
                        read += 1
        except TimeoutError:
            raise Unavailable(_missing(ways, due)) from None
        finally:
            await consumer.stop()
    return ways


def _noted(ways: dict[str, Way], record: object) -> None:
    value, topic, at_ms = record.value, record.topic, record.timestamp  # type: ignore[attr-defined]
    if topic == SLA:
        event = codec.decode_sla(value)
        if event.kind is SlaKind.BREACHED and event.breached_at is not None:
            way = ways.setdefault(event.ticket_id, Way())
            way.broke_us = from_datetime(event.breached_at)
            way.announced_us = way.announced_us or at_ms * 1000
        return
    change = codec.decode_alert(value)
    if change.transition is Transition.BREACHED:
        way = ways.setdefault(change.alert.evidence[0].ticket_id, Way())
        way.decided_us = way.decided_us or from_datetime(change.occurred_at)
        way.relayed_us = way.relayed_us or at_ms * 1000


def _tickets(came: Came) -> list[str]:
    """The tickets that a message tells of."""
    body = orjson.loads(came.body)
    events = body["events"] if body.get("type") == "digest" else [body]
    return [event["alert"]["evidence"][0]["ticket_id"] for event in events]


def _arrived(ways: dict[str, Way], came: Came) -> None:
    for ticket_id in _tickets(came):
        way = ways.setdefault(ticket_id, Way())
        if came.path == "/each":
            way.came_us = way.came_us or came.at_us
        else:
            way.gathered_us = way.gathered_us or came.at_us


def _missing(ways: dict[str, Way], due: int) -> str:
    counted = Counter[str]()
    for way in ways.values():
        for name in ("announced_us", "decided_us", "relayed_us", "came_us", "gathered_us"):
            counted[name.removesuffix("_us")] += bool(getattr(way, name))
    return f"of {due} breaches there were {', '.join(f'{number} {name}' for name, number in counted.items())}"


def _found(came: list[Came], ways: dict[str, Way], lasting_s: int) -> Findings:
    all_ways = list(ways.values())
    late_ms = [(way.came_us - way.broke_us) / 1e3 for way in all_ways]
    p50, p99 = percentile(late_ms, 0.5), percentile(late_ms, 0.99)
    found = Findings()
    found.lines.append(
        Line(
            f"deadline to message at a receiver, {len(ways) * 60 // lasting_s:,} alerts a minute",
            f"p50 {p50:.0f}, p99 {p99:.0f} ms",
            f"longest {max(late_ms):.0f} ms of {len(late_ms):,}",
            judged=p99,
            budget=BUDGET,
        )
    )
    stages = {
        "deadline to SLA event in Kafka": [way.announced_us - way.broke_us for way in all_ways],
        "until the alert is decided": [way.decided_us - way.announced_us for way in all_ways],
        "until the message is there": [way.came_us - way.decided_us for way in all_ways],
        "beside it until the alert is in Kafka": [way.relayed_us - way.decided_us for way in all_ways],
    }
    told = "; ".join(
        f"{name} p50 {percentile(taken, 0.5) / 1e3:.0f}, p99 {percentile(taken, 0.99) / 1e3:.0f} ms"
        for name, taken in stages.items()
    )
    found.notes.append(f"message: {told}")
    ids = {path: Counter(one.message_id for one in came if one.path == path) for path in ("/each", "/gathered")}
    again = sum(number - 1 for counted in ids.values() for number in counted.values())
    waited_s = [(way.gathered_us - way.broke_us) / 1e6 for way in all_ways]
    digests = sum(b'"type":"digest"' in one.body for one in came if one.path == "/gathered")
    found.notes.append(
        f"message: nothing lost: {len(ids['/each']):,} messages at one receiver; at the other, which is sent digests "
        f"every {_EVERY_S} s, {len(ids['/gathered'])} messages ({digests} of them digests) tell of all {len(ways):,}, "
        f"p99 {percentile(waited_s, 0.99):.1f} s after the deadline; {again} came twice (the same webhook-id)"
    )
    return found
