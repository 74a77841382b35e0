"""The sample's way: each step looks at what became of it, and says so with the reason and the fix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec

from schemas import topics
from schemas.alert import Alert
from schemas.failure import NotNow
from schemas.instant import SECOND_US, from_datetime
from services import clock
from services.alerts.route import matches
from services.cli.scrape import scraped
from services.cli.send_test import door, log, prospect
from services.cli.send_test.prospect import Prospect
from services.cli.send_test.step import Failed, State, Step
from services.cli.send_test.watch import Watch, until
from services.config.document import Document
from services.ingest.sample import Post
from services.ingest.source import Ready
from services.ingest.verify.sign import OnlyTheVendor
from services.stream.producer import Connection

_ON_ITS_WAY: Final = frozenset({"pending", "gathered", "silenced"})
_WELL: Final = frozenset({"delivered", "overtaken", "unneeded"})
_NO_KAFKA: Final = "no address of Kafka here (DESKPULSE_KAFKA_BOOTSTRAP, or run this beside `deskpulse up`)"

Say = Callable[[Step], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are. ``worker`` and ``alerts`` are the addresses of the workers' probes."""

    ingest: str
    worker: str
    alerts: str
    kafka: Connection | None


@dataclass(slots=True, kw_only=True)
class Journey:
    """One run for one sample. ``say`` hears of each step when it is done."""

    document: Document
    source: Ready
    found: Prospect
    client: httpx.AsyncClient
    places: Places
    watch: Watch
    wait_s: float
    say: Say
    steps: list[Step] = field(default_factory=list)
    _before: dict[str, Any] = field(default_factory=dict)
    _moved: dict[str, tuple[float, float]] = field(default_factory=dict)
    _since_us: int = 0
    _began_s: float = 0.0
    _inside: bool = False
    _alert: str | None = None

    async def go(self, *, breach: bool, keep: bool) -> list[Step]:
        """Every step; after one that failed and that the others need, the sample is only taken out again."""
        self._began_s, self._since_us = clock.steady_s(), clock.now_us()
        way: list[tuple[str, Callable[[], Awaitable[Step]]]] = [
            ("http", self._http),
            ("kafka", self._in_kafka),
            ("ticket", self._ticket),
            ("kpis", self._kpis),
            ("timers", self._timers),
        ]
        if breach:
            way += [("breach", self._breach), ("alert", self._alerted), ("receivers", self._delivered)]
        if await self._done("before", self._remember):
            for name, step in way:
                if not await self._done(name, step):
                    break
        if self._inside and not keep:
            await self._done("taken out", self._taken_out)
        return self.steps

    async def _done(self, name: str, step: Callable[[], Awaitable[Step]]) -> bool:
        try:
            made = await step()
        except Failed as failure:
            made = Step(name, State.PROBLEM, failure.detail, fix=failure.fix)
        except NotNow as failure:
            made = Step(name, State.PROBLEM, failure.what, fix="deskpulse doctor")
        now_s = clock.steady_s()
        took_ms = round((now_s - self._began_s) * 1000)
        self._began_s = now_s
        told = Step(made.step, made.state, made.detail, took_ms, made.fix)
        self.steps.append(told)
        self.say(told)
        return made.state is not State.PROBLEM

    async def _remember(self) -> Step:
        """The numbers before, to compare with."""
        self._before = await self._numbers()
        window, (segment, own) = self._window, self._segment
        whose = "which only samples are in" if own else "which other tickets move as well"
        return Step("before", State.OK, f"numbers of the last {window} read, segment {segment}, {whose}")

    async def _http(self) -> Step:
        said = await self._post(self.found.opened)
        self._inside = True
        if said is None:
            return Step(
                "http",
                State.OK,
                "only Zoho can sign events; its own check of the address was answered 200, so address and secret are "
                "right; the sample went on from Kafka",
            )
        if said.get("note"):
            raise Failed(f"200, but no event: {said['note']}", "the source's options leave this ticket out")
        kinds = ", ".join(event.kind.value for event in self.found.events)
        return Step("http", State.OK, f"200, accepted {said['accepted']}: {kinds} of ticket {self.found.ticket_id}")

    async def _in_kafka(self) -> Step:
        if self.places.kafka is None:
            return Step("kafka", State.SKIPPED, _NO_KAFKA)
        ids = {event.event_id for event in self.found.events}
        ticket_id = self.found.ticket_id
        places = await log.find(self.places.kafka, topics.TICKETS, self._since_us, self.wait_s, ticket_id, ids)
        if not places:
            raise Failed(
                f"not in {topics.TICKETS} after {self.wait_s:g} s",
                "ingest writes to another Kafka than this command reads, or keeps it in its spool: deskpulse doctor",
            )
        told = ", ".join(
            f"{place.value['kind']} {place.value['event_id']} at partition {place.partition} offset {place.offset}"
            for place in places
        )
        return Step("kafka", State.OK, f"{topics.TICKETS}: {told}")

    async def _ticket(self) -> Step:
        needed = len(self.found.events)
        page = await until(self._page, lambda said: said is not None and len(said["timeline"]) >= needed, self.wait_s)
        if page is None:
            raise await self._not_counted()
        team = f", team {page['team']}" if page["team"] else ""
        said = f"{page['status']}, priority {page['priority'] or 'none'}, channel {page['channel'] or 'none'}{team}"
        return Step("ticket", State.OK, f"{said}: {self.watch.base}/tickets/{self.source.name}/{self.found.ticket_id}")

    async def _not_counted(self) -> Failed:
        worker = await scraped(self.client, self.places.worker)
        said = f"not counted after {self.wait_s:g} s"
        if not worker.alive:
            return Failed(f"{said}: no metrics worker answers at {self.places.worker}", "start it: deskpulse metrics")
        if worker.unready is not None:
            return Failed(f"{said}: the metrics worker is not ready: {worker.unready}", "deskpulse doctor")
        lag = round(worker.total("deskpulse_consumer_lag_records"))
        if lag:
            return Failed(
                f"{said}: the metrics worker is {lag} records behind",
                "wait with --wait, or run more workers (docs/runbooks/consumer-lag.md)",
            )
        return Failed(
            f"{said}, though the metrics worker is ready", "it reads another Kafka, or writes to another Redis"
        )

    async def _kpis(self) -> Step:
        self._moved = await until(self._differences, bool, min(self.wait_s, 10.0))
        if not self._moved:
            oldest = "the ticket is older than every window" if self._age_s > self._longest_s else "none moved"
            return Step("kpis", State.WAITING, f"{oldest}; look again with the API in a minute")
        return Step("kpis", State.OK, _said(self._moved))

    async def _timers(self) -> Step:
        page = await self._page()
        timers = page["timers"] if page is not None else []
        if not timers:
            return Step(
                "timers",
                State.PROBLEM if not self.found.ticket.timers else State.WAITING,
                "no promise is made to this ticket: no policy matches it, or the one that does has no target for its "
                "priority",
                fix="add a policy without `match` at the end of sla_policies",
            )
        told = "; ".join(
            f"{timer['metric']} of {timer['policy']}: {timer['state']}, "
            + (f"due {timer['due_at']}" if timer["due_at"] else f"target {timer['target_s']:g} s")
            for timer in timers
        )
        return Step("timers", State.OK, told)

    async def _breach(self) -> Step:
        expected = self.found.broken(clock.now_us())

        def broken(page: Any) -> bool:
            return page is not None and any(timer["announced"] == "breached" for timer in page["timers"])

        page = await until(self._page, broken, self.wait_s)
        if not broken(page):
            delay = self.document.sources[self.source.name].delivery_delay
            if delay is not None:
                return Step("breach", State.WAITING, f"told {delay} after the event (delivery_delay)")
            raise Failed(
                f"{', '.join(expected)} is broken and was not announced within {self.wait_s:g} s",
                "the partition's clock is behind: deskpulse doctor",
            )
        timers = [timer for timer in page["timers"] if timer["announced"] == "breached"]
        told = [
            f"{timer['metric']} of {timer['policy']}, broken {timer['breached_at'] or timer['breach_after']}"
            for timer in timers
        ]
        if self.places.kafka is None:
            return Step("breach", State.OK, "; ".join(told))
        places = await log.find(self.places.kafka, topics.SLA, self._since_us, self.wait_s, self.found.ticket_id)
        where = ", ".join(f"{one.value['kind']} partition {one.partition} offset {one.offset}" for one in places)
        if not where:
            raise Failed(f"announced, but not in {topics.SLA}", "the worker's outbox does not empty: deskpulse doctor")
        return Step("breach", State.OK, f"{'; '.join(told)}; {topics.SLA}: {where}")

    async def _alerted(self) -> Step:
        async def look() -> Any:
            return await self.watch.alert_of(self.source.name, self.found.ticket_id)

        alert = await until(look, lambda one: one is not None, self.wait_s)
        if alert is None:
            worker = await scraped(self.client, self.places.alerts)
            if not worker.alive:
                raise Failed(
                    f"none after {self.wait_s:g} s: no alerts worker answers at {self.places.alerts}",
                    "start it: deskpulse alerts",
                )
            why = worker.unready or "though the alerts worker is ready"
            raise Failed(f"none after {self.wait_s:g} s: {why}", "deskpulse doctor")
        self._alert = alert["alert_id"]
        policy = alert["labels"].get("policy") or alert["labels"].get("rule")
        return Step("alert", State.OK, f"{alert['alert_id']} ({alert['severity']}, {policy}): {alert['title']}")

    async def _delivered(self) -> Step:
        assert self._alert is not None
        alert_id = self._alert
        shown = await self.watch.get(f"/v1/alerts/{alert_id}")
        alert = msgspec.convert({name: value for name, value in shown.items() if name != "transitions"}, Alert)
        if not any(matches(route, alert) for route in self.document.routes):
            labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
            raise Failed(f"no route matches the alert's labels ({labels})", "add a route without `match` to routes")

        async def look() -> list[Any]:
            return await self.watch.deliveries_of(alert_id)

        def settled(found: list[Any]) -> bool:
            return bool(found) and all(one["state"] not in _ON_ITS_WAY or one["attempts"] for one in found)

        found = await until(look, settled, self.wait_s)
        if not found:
            return Step("receivers", State.WAITING, "a route matches, and nobody is on call by its schedule now")
        told = "; ".join(_message(one) for one in found)
        bad = [one for one in found if one["state"] not in _ON_ITS_WAY | _WELL or one["problem"]]
        if bad:
            names = " ".join(dict.fromkeys(one["receiver"] for one in bad))
            return Step("receivers", State.PROBLEM, told, fix=f"deskpulse receivers test {names}")
        waiting = any(one["state"] in _ON_ITS_WAY for one in found)
        return Step("receivers", State.WAITING if waiting else State.OK, told)

    async def _taken_out(self) -> Step:
        if self.found.removed is None or await self._post(self.found.removed) is None:
            await self._written_deletion()

        def gone(page: Any) -> bool:
            return page is not None and page["gone"] is not None

        if not gone(await until(self._page, gone, self.wait_s)):
            raise Failed("the sample's ticket was deleted, and is still counted", "deskpulse doctor")

        def back(found: dict[str, tuple[float, float]]) -> bool:
            return not (found.keys() & self._moved.keys())

        left = await until(self._differences, back, min(self.wait_s, 10.0))
        if back(left):
            return Step("taken out", State.OK, "the ticket is deleted and every number is as it was before")
        own = self._segment[1]
        return Step(
            "taken out",
            State.PROBLEM if own else State.OK,
            f"the ticket is deleted; {'' if own else 'other tickets came meanwhile: '}{_said(left)}",
        )

    async def _written_deletion(self) -> None:
        if self.places.kafka is None:
            raise Failed(
                f"{self.source.vendor} has no webhook for a deletion, and there is {_NO_KAFKA}",
                f"the ticket {self.found.ticket_id} stays among the numbers",
            )
        await log.write(self.places.kafka, [prospect.deletion(self.found, clock.now(), str(uuid4()))])

    async def _post(self, sent: Post) -> Any:
        """What ingest answered; ``None`` when only the vendor could have signed it and it went to Kafka instead."""
        at = clock.now()
        try:
            return await door.post(self.client, self.places.ingest, self.source, sent, from_datetime(at), str(uuid4()))
        except OnlyTheVendor:
            await door.greet(self.client, self.places.ingest, self.source)
        if self.places.kafka is None:
            raise Failed(f"only {self.source.vendor} itself can sign events, and there is {_NO_KAFKA}")
        await log.write(self.places.kafka, prospect.told(self.source, sent, at))
        return None

    async def _page(self) -> Any:
        return await self.watch.get(f"/v1/tickets/{self.source.name}/{self.found.ticket_id}")

    async def _numbers(self) -> dict[str, Any]:
        return await self.watch.kpis(self._window, self._segment[0])

    async def _differences(self) -> dict[str, tuple[float, float]]:
        return prospect.moved(self._before, await self._numbers())

    @property
    def _window(self) -> str:
        return prospect.window(self.document, self._age_s * SECOND_US)

    @property
    def _segment(self) -> tuple[str, bool]:
        return prospect.segment(self.document, self.found.ticket)

    @property
    def _age_s(self) -> int:
        return (self.found.case.sent_us - self.found.case.opened_us) // SECOND_US

    @property
    def _longest_s(self) -> int:
        return max(self.document.windows_s.values())


def _message(delivery: dict[str, Any]) -> str:
    problem = f" ({delivery['problem']})" if delivery["problem"] else ""
    held = ", held until quiet hours end" if delivery["held"] and delivery["state"] == "pending" else ""
    return f"{delivery['transition']} to {delivery['receiver']}: {delivery['state']}{held}{problem}"


def _said(moved: dict[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} {old:g} -> {new:g}" for name, (old, new) in sorted(moved.items()))
