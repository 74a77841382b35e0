"""The stream processor: reads ticket events in batches, folds them, and lets the clock of the log break promises.

One loop owns every partition that the group gave to this process. What it does with a batch: decode, load what is
missing, compute, dead-letter what cannot be read, then one fenced step in Redis. A crash between any two of these
leaves the position where it was, and the batch is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import structlog

from schemas import codec
from schemas.failure import Invalid, NotNow, Reason
from schemas.forms import SHARED_FORM_KEY
from schemas.instant import from_datetime, to_rfc3339
from schemas.sla import SlaKind
from schemas.state import Fact
from schemas.topics import TICKETS_DLQ
from services import clock
from services.fold.fact import fact, subject
from services.kpi.cuts import Cuts
from services.metrics.delta import Delta
from services.metrics.engine import Change, Engine
from services.metrics.meters import Meters
from services.metrics.outbox import Outbox
from services.metrics.partition import Partition, Resumed
from services.metrics.plan import Plan
from services.metrics.recompute import Recompute
from services.metrics.rewriting import Rewriting
from services.metrics.store import Fenced, Newer, Store
from services.metrics.sweep import Sweep
from services.metrics.walk import Walk
from services.operate.health import Health, Note
from services.state.forms import Forms, Refused
from services.state.recompute import Recomputes
from services.stream.consumer import BatchConsumer
from services.stream.dead_letter import from_record
from services.stream.producer import Producer
from services.stream.record import Outgoing, Record

STEP: Final = 2000
"""Records of a partition in one step, at most: the more, the fewer times a bucket is written, and the longer one step
holds up everybody else in Redis (about a tenth of a second)."""
ROUND: Final = 8000
"""Records in memory at once: when behind, some partitions are worked on side by side, the others next."""
DUE: Final = 1000
FORGOTTEN: Final = 100
"""How many tickets of a partition are forgotten at a time, between two batches: there may be very many at once, for
example a horizon after history was loaded, and nobody waits for it."""
_TICK_S: Final = 0.05
_FORGET_S: Final = 1.0
_COMMIT_S: Final = 5.0
_LOOK_BACK_S: Final = 1.0
_BEAT_S: Final = 60.0
_LONGEST_WAIT_S: Final = 5.0
_FENCED_S: Final = 0.5

log = structlog.get_logger("metrics")
Answer = TypeVar("Answer")


class Worker:
    """The loop. ``run`` returns after ``stop``, with the batch in hand applied."""

    def __init__(
        self,
        consumer: BatchConsumer,
        store: Store,
        plan: Plan,
        producer: Producer,
        outbox: Outbox,
        meters: Meters,
        health: Health,
        recomputes: Recomputes,
        forms: Forms,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._plan = plan
        self._next: Plan | None = plan
        self._engine = plan.engine(Cuts())
        self._forms = forms
        self._walks = (
            Walk(store, Rewriting(store, meters, self._rewritten)),
            Walk(store, Sweep(store, meters, self._counted, self._swept)),
            Walk(store, Recompute(store, recomputes, meters, self._counted, self._clock_us, self._renewed)),
        )
        self._producer = producer
        self._outbox = outbox
        self._meters = meters
        self._health = health
        self._held: dict[int, Partition] = {}
        self._ticked_s = 0.0
        self._committed_s = 0.0
        self._looked_s = 0.0
        self._forgot_s = 0.0
        self._stop = asyncio.Event()

    def problem(self) -> str | Note | None:
        """Why this worker is not ready, in one sentence; or what it is about beside its work."""
        if self._consumer.problem is not None:
            return f"{self._consumer.problem}."
        if not self._consumer.owned:
            return "The consumer group has given this worker no partition yet."
        if missing := self._consumer.owned - self._held.keys():
            return f"{len(missing)} of {len(self._consumer.owned)} partitions are not taken over yet."
        form = self._engine.form
        spans = [(one.position.oldest, one.position.newest) for one in self._held.values() if one.position.step]
        if other := sum(span != (form, form) for span in spans):
            return Note(
                f"The tickets of {other} of {len(self._held)} partitions are being rewritten as version {form}."
            )
        return None

    def follow(self, plan: Plan) -> None:
        """Works by ``plan`` from the next batch on."""
        self._next = plan

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``. While the state is of a version that it must not touch it is no member of the group, so
        that workers that know it have its partitions."""
        self._stop = stop
        while await self._forms.begin(stop):
            try:
                await self._work(stop)
            except (Newer, Refused) as refusal:
                log.warning("left_the_group", why=str(refusal))
                for number in list(self._held):
                    self._lose(number)
                    self._meters.forget(str(number))
                self._outbox.partitions = set()
                await self._pause(_FENCED_S)

    async def _work(self, stop: asyncio.Event) -> None:
        try:
            await self._patiently("kafka", self._consumer.start)
            self._looked_s = 0.0
            while not stop.is_set():
                self._health.beat("metrics-loop", _BEAT_S)
                await self._adopt()
                await self._take_over()
                batches = await self._consumer.fetch(STEP, ROUND)
                began_s = clock.steady_s()
                await self._absorb_all(batches)
                if batches:
                    self._meters.batch_seconds.observe(clock.steady_s() - began_s)
                await self._tick()
                await self._look_back()
                for walk in self._walks:
                    await self._patiently("redis", partial(walk.turn, self._engine, self._held))
                await self._commit()
        except NotNow as wait:
            # A stop while a dependency is away: the batch in hand stays in the log and is read again.
            log.warning("stopped_waiting", why=wait.what)
        finally:
            self._health.rest("metrics-loop")
            await self._consumer.stop()

    async def _adopt(self) -> None:
        """Takes a new plan into use: registers its cuts where it wants others than the one before."""
        plan, before = self._next, self._plan
        if plan is None:
            return
        self._next, self._plan = None, plan
        if plan is before or set(plan.cuts) != set(before.cuts):
            cuts = await self._patiently("redis", partial(self._store.cuts, plan.cuts))
        else:
            cuts = self._engine.segments.cuts
        await self._count_in(cuts or Cuts())

    async def _count_in(self, cuts: Cuts) -> None:
        """Counts in these cuts from now on. What is admitted is asked anew; what was counted stays admitted."""
        known = {cut: self._engine.segments.admitted(cut) for cut in cuts.added}
        if cuts.added.items() != self._engine.segments.cuts.added.items():
            known = {}
            log.info("segments_counted", revision=cuts.revision, segments=sorted(cuts.added))
        form = self._engine.form
        self._engine = self._plan.engine(cuts)
        self._engine.form = form
        await self._patiently("redis", partial(self._store.readmit, cuts, known))
        self._meters.values.clear()

    async def _followed(self) -> Cuts:
        """The cuts that all workers count in now; registers ours where Redis lost what was registered."""
        cuts = await self._patiently("redis", self._store.cuts)
        if cuts is None or cuts.revision < self._engine.segments.cuts.revision:
            cuts = await self._patiently("redis", partial(self._store.cuts, self._plan.cuts))
        return cuts or Cuts()

    async def _take_over(self) -> None:
        """Claims what the group gave us and forgets what it took."""
        owned = self._consumer.owned
        for number in self._held.keys() - owned:
            self._lose(number)
            self._meters.forget(str(number))
        new = self._consumer.newly_owned()
        if new | (owned - self._held.keys()):
            # Its last owner may have counted in other cuts, and have admitted values that Redis lost since.
            await self._count_in(await self._followed())
        for number in new | (owned - self._held.keys()):
            self._lose(number)
            position = await self._patiently("redis", partial(self._store.claim, number))
            if position.step == 0:  # nothing is in it that would have to be counted again
                position = replace(position, swept=self._engine.segments.cuts.revision)
            first, end = await self._patiently("kafka", partial(self._consumer.ends, number))
            held = Partition(number, position)
            offset, how = held.resume(first, end)
            if how is Resumed.GAP:
                log.error("log_gap", partition=number, lost=first - position.next_offset)
            elif how is Resumed.RECREATED:
                log.warning("topic_recreated", partition=number, expected=position.next_offset, end=end)
            self._consumer.seek(number, offset)
            self._held[number] = held
            self._meters.resumed.labels(how.value).inc()
            log.info("partition_taken", partition=number, how=how.value, offset=offset, epoch=position.epoch)
        if new or owned - self._held.keys():
            self._write()
        self._outbox.partitions = set(self._held)

    async def _absorb_all(self, batches: Mapping[int, list[Record]]) -> None:
        """Partitions side by side: while Redis works on one, another is computed. They share nothing."""
        outcomes = await asyncio.gather(
            *(self._absorb(number, records) for number, records in batches.items()), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _absorb(self, number: int, records: list[Record]) -> None:
        held = self._held.get(number)
        if held is None:
            return
        verified = held.verified(records)
        if verified is None:
            first, _ = await self._patiently("kafka", partial(self._consumer.ends, number))
            log.warning("topic_recreated", partition=number, expected=held.position.next_offset)
            self._meters.resumed.labels(Resumed.RECREATED.value).inc()
            self._consumer.seek(number, held.restart(first))
            return
        if verified and verified[0].offset < held.position.next_offset:
            verified = [record for record in verified if record.offset >= held.position.next_offset]
        if not verified:
            return
        if (lost := verified[0].offset - held.position.next_offset) > 0:
            log.error("log_gap", partition=number, lost=lost)
            self._meters.resumed.labels(Resumed.GAP.value).inc()
        await self._process(held, verified)

    async def _process(self, held: Partition, records: list[Record]) -> None:
        number = held.number
        incoming: dict[str, list[Fact]] = {}
        letters: list[Outgoing] = []
        for record in records:
            try:
                event = codec.decode_ticket(record.value or b"")
                incoming.setdefault(subject(event), []).append(fact(event, record.appended_us))
            except Invalid as failure:
                letters.append(from_record(record, failure, TICKETS_DLQ, "metrics", clock.now_us()))
        if letters:
            await self._patiently("kafka", partial(self._producer.send, letters))
            self._meters.events.labels("dead_letter").inc(len(letters))
        keys = list(incoming)
        entries = await self._patiently("redis", partial(self._store.entries, number, keys))
        needed = self._engine.histories(entries, incoming)
        history = await self._patiently("redis", partial(self._store.facts, number, needed)) if needed else {}
        clock_us = held.clock(self._consumer.caught_up_us(number), records[-1])
        change = self._engine.computed(entries, incoming, history, clock_us, held.position.begun_us(records[0]))
        delta, tally = await self._counted(self._engine, change), change.tally
        if change.refused:
            late = [dead for record in records if (dead := _too_late(record, change.refused)) is not None]
            await self._patiently("kafka", partial(self._producer.send, late))
        if not await self._apply(held, records[-1], clock_us, delta, first=records[0]):
            return
        self._meters.events.labels("folded").inc(tally.events - tally.duplicates - tally.refused)
        self._meters.events.labels("duplicate").inc(tally.duplicates)
        self._meters.events.labels("too_late").inc(tally.refused)
        self._meters.forgotten.inc(tally.forgotten)
        self._meters.refolds.inc(tally.refolds)
        self._meters.expired.inc(tally.expired)

    async def _counted(self, engine: Engine, change: Change) -> Delta:
        """The change in full, once it is decided which of its values are counted by themselves."""
        segments = engine.segments
        for cut, asked in change.counting.undecided().items():
            ask = partial(self._store.admit, segments.cuts, cut, segments.limit(cut), asked)
            refused = segments.decide(cut, asked, await self._patiently("redis", ask))
            if refused:
                self._meters.refused.labels(cut).inc(refused)
        return engine.counted(change, clock.now_us())[0]

    async def _swept(self, held: Partition, delta: Delta, revision: int | None) -> bool:
        """A step of the sweep; with ``revision`` the one that says that the partition is done."""
        return await self._apply(held, None, held.position.clock_us, delta, swept=revision)

    async def _rewritten(self, held: Partition, delta: Delta, version: int | None) -> bool:
        """A step of the rewriting; with ``version`` the one that says that nothing else occurs in the partition."""
        return await self._apply(held, None, held.position.clock_us, delta, only=version)

    def _clock_us(self, held: Partition) -> int:
        """The partition's clock as it is now, ahead of the position's while nothing is applied."""
        return held.clock(self._consumer.caught_up_us(held.number), None)

    async def _renewed(self, held: Partition, delta: Delta, clock_us: int) -> bool:
        return await self._apply(held, None, clock_us, delta)

    async def _tick(self) -> None:
        """Lets the clock announce what it brought, and shows where every partition stands."""
        now_s = clock.steady_s()
        if now_s - self._ticked_s < _TICK_S:
            return
        self._ticked_s = now_s
        now_us = clock.now_us()
        clocks_us = {n: held.clock(self._consumer.caught_up_us(n), None) for n, held in self._held.items()}
        for number, clock_us in clocks_us.items():
            label = str(number)
            self._meters.lag.labels(label).set(self._consumer.lag(number))
            self._meters.watermark.labels(label).set(clock_us / 1e6)
            self._meters.clock_lag.labels(label).set(max(0.0, (now_us - clock_us) / 1e6))
        until_us = dict(clocks_us)
        while due := await self._patiently("redis", partial(self._store.due, clocks_us, DUE)):
            for number, keys in due.items():
                await self._announce(number, keys, clocks_us)
                if len(keys) < DUE or number not in self._held:
                    del clocks_us[number]
        if now_s - self._forgot_s >= _FORGET_S:
            await self._forget({n: clock_us for n, clock_us in until_us.items() if n in self._held}, now_s)

    async def _forget(self, clocks_us: Mapping[int, int], now_s: float) -> None:
        """Forgets some of the tickets whose time has come; goes on at the next tick if there are more."""
        found = await self._patiently("redis", partial(self._store.forgettable, clocks_us, FORGOTTEN))
        for number, keys in found.items():
            entries = await self._patiently("redis", partial(self._store.entries, number, keys))
            change = self._engine.forgotten(keys, entries, clocks_us[number])
            if await self._apply(self._held[number], None, clocks_us[number], change.delta):
                self._meters.forgotten.inc(change.tally.forgotten)
        if all(len(keys) < FORGOTTEN for keys in found.values()):
            self._forgot_s = now_s

    async def _announce(self, number: int, keys: list[str], clocks_us: Mapping[int, int]) -> None:
        """Announces what the clock brought for these tickets of a partition."""
        entries = await self._patiently("redis", partial(self._store.entries, number, keys))
        delta = await self._counted(self._engine, self._engine.tick(entries, clocks_us[number]))
        for key in keys:
            delta.due.setdefault(key, None)
        if not await self._apply(self._held[number], None, clocks_us[number], delta):
            return
        for event in delta.events:
            if event.kind is SlaKind.BREACHED and event.breached_at is not None:
                late_us = clock.now_us() - from_datetime(event.breached_at)
                self._meters.announce_delay.observe(late_us / 1e6)

    async def _look_back(self) -> None:
        """Finds partitions whose state went back in time (a Redis restored from an older copy, a failover to a replica
        that was behind) though nothing new arrives that would be refused: what they lack is still in the log."""
        now_s = clock.steady_s()
        if now_s - self._looked_s < _LOOK_BACK_S:
            return
        self._looked_s = now_s
        if (refusal := await self._patiently("redis", self._forms.look)) is not None:
            raise Refused(refusal)
        self._write()
        await self._forms.settle(SHARED_FORM_KEY)
        for number, stands in (await self._patiently("redis", partial(self._store.steps, list(self._held)))).items():
            position = self._held[number].position
            if stands < (position.epoch, position.step):
                self._meters.fenced.inc()
                log.warning("state_went_back", partition=number, step=stands[1], expected=position.step)
                self._lose(number)
        cuts = await self._followed()
        if cuts != self._engine.segments.cuts:
            await self._count_in(cuts)
        values = await self._patiently("redis", partial(self._store.admitted, cuts))
        for cut, number in values.items():
            self._meters.values.labels(cut).set(number)
        if any(number < len(self._engine.segments.admitted(cut)) for cut, number in values.items()):
            log.warning("admissions_went_back", segments=values)
            await self._count_in(cuts)

    def _write(self) -> None:
        """Writes from now on what every process knows that reads it."""
        form = self._forms.target(max((one.position.newest for one in self._held.values()), default=0))
        if form != self._engine.form:
            log.info("version_written", version=form, before=self._engine.form)
        self._engine.form = form
        self._meters.written.set(form)
        for number, one in self._held.items():
            self._meters.version.labels(str(number)).set(one.position.oldest)

    def _lose(self, number: int) -> None:
        self._held.pop(number, None)
        for walk in self._walks:
            walk.forget(number)

    async def _apply(
        self,
        held: Partition,
        last: Record | None,
        clock_us: int,
        delta: Delta,
        *,
        swept: int | None = None,
        only: int | None = None,
        first: Record | None = None,
    ) -> bool:
        """One fenced step. False when it was refused: the partition is taken over anew from where it stands."""
        after = held.position.after(last, clock_us)
        form = self._engine.form
        after = after.only(form) if held.position.step == 0 or only == form else after.also(form)
        if swept is not None:
            after = replace(after, swept=swept)
        if first is not None:
            after = replace(after, began_us=held.position.begun_us(first))
        try:
            await self._patiently("redis", partial(self._store.apply, held.number, held.position, after, delta))
        except Fenced as refusal:
            self._meters.fenced.inc()
            log.warning("fenced", partition=held.number, why=str(refusal))
            self._lose(held.number)
            # If two workers believe that they own this partition, the pause lets the group decide between them.
            await self._pause(_FENCED_S)
            return False
        held.position = after
        for event in delta.events:
            self._meters.announced.labels(event.kind.value).inc()
        if delta.events:
            self._outbox.notify()
        return True

    async def _commit(self) -> None:
        now_s = clock.steady_s()
        if now_s - self._committed_s >= _COMMIT_S and self._held:
            self._committed_s = now_s
            await self._consumer.commit({n: held.position.next_offset for n, held in self._held.items()})

    async def _patiently(self, dependency: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """``call``, until it is not refused with ``NotNow``; once a stop is asked for, the refusal is passed on."""
        pause_s = 0.1
        while True:
            try:
                return await call()
            except NotNow as wait:
                if self._stop.is_set():
                    raise
                self._meters.waits.labels(dependency).inc()
                log.warning("waiting", dependency=dependency, why=wait.what)
                self._health.beat("metrics-loop", _BEAT_S)
                await self._pause(pause_s)
                pause_s = min(_LONGEST_WAIT_S, pause_s * 2)

    async def _pause(self, pause_s: float) -> None:
        """Waits, unless a stop comes first."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s)


def _too_late(record: Record, refused: Sequence[Fact]) -> Outgoing | None:
    """The dead letter of a record if its event is among those that were refused. They are few, so they are decoded once
    more rather than kept with every fact."""
    try:
        event = codec.decode_ticket(record.value or b"")
    except Invalid:
        return None
    found = fact(event, record.appended_us)
    if not any((one.event_id, one.heard_us) == (found.event_id, found.heard_us) for one in refused):
        return None
    told = to_rfc3339(found.at_us)
    failure = Invalid(
        Reason.TOO_LATE,
        f"occurred_at is {told}, longer ago than retention.closed_tickets when it came: "
        "the ticket may have been counted and forgotten",
    )
    return from_record(record, failure, TICKETS_DLQ, "metrics", clock.now_us())
