"""The spool: on disk before it is answered, in order, bounded, and nothing of it lost silently."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from schemas.failure import Invalid, NotNow, Reason
from services.ingest.measures import Measures
from services.ingest.spool import Full, Spool, Unusable, Unwritable, drain, segment, spool
from services.ingest.spool.segment import MAGIC
from services.ingest.spool.store import ASIDE
from services.operate.health import Note
from services.stream.record import Outgoing
from tests.support.wait import eventually

NOW_US = 1_000_000_000


def record(value: str, topic: str = "tickets") -> Outgoing:
    return Outgoing(topic, b"key", value.encode(), (("source", b"s"),))


class Kafka:
    """Takes what it is given, unless it is ``away``; a record with a value of ``never`` is none it will ever take."""

    def __init__(self, *never: str) -> None:
        self.taken: list[str] = []
        self.sizes: list[int] = []
        self.away = False
        self.never = never

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        self.sizes.append(len(records))
        if self.away:
            raise NotNow("Kafka did not acknowledge in time")
        for one in records:
            if one.value.decode() in self.never:
                raise Invalid(Reason.TOO_LARGE, "the record is larger than the topic takes")
            self.taken.append(one.value.decode())


class Place:
    """A folder for a spool, and what its metrics say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "spool"
        self.registry = CollectorRegistry()
        self.measures = Measures(self.registry)
        self.now_us = NOW_US

    @asynccontextmanager
    async def open(self, max_bytes: int = 1 << 20) -> AsyncIterator[Spool]:
        opened = await Spool.open(self.folder, max_bytes, self.measures, lambda: self.now_us)
        try:
            yield opened
        finally:
            await opened.close()

    def metric(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"deskpulse_spool_{name}", labels)
        assert found is not None, name
        return found

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.spool"))

    def aside(self) -> list[Path]:
        return sorted((self.folder / ASIDE).glob("*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@asynccontextmanager
async def draining(opened: Spool, kafka: Kafka) -> AsyncIterator[None]:
    task = asyncio.create_task(drain(opened, kafka, shortest_pause_s=0.001))
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def values(opened: Spool, count: int = 1000) -> list[str]:
    return [one.value.decode() for entry in await opened.front(count, 1 << 30) for one in entry.records()]


async def test_what_was_appended_is_sent_whole_and_in_order_and_then_gone(place: Place) -> None:
    kafka = Kafka()
    async with place.open() as opened:
        for number in range(5):
            await opened.append([record(f"{number}a"), record(f"{number}b", "webhooks")])
        assert (opened.empty, opened.records, place.metric("records")) == (False, 5, 5)
        assert place.metric("bytes") == sum(path.stat().st_size for path in place.segments())
        async with draining(opened, kafka):
            await eventually(lambda: opened.empty, "drained")
    assert kafka.taken == [f"{number}{half}" for number in range(5) for half in "ab"]
    assert (place.segments(), place.metric("records"), place.metric("bytes")) == ([], 0, 0)
    assert (place.metric("appended_total"), place.metric("drained_total")) == (5, 5)


async def test_a_hundred_deliveries_that_wait_together_cost_a_few_syncs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = 0
    really = segment.synced

    def synced(file: int) -> None:
        nonlocal syncs
        syncs += 1
        really(file)

    monkeypatch.setattr(segment, "synced", synced)
    async with place.open() as opened:
        await asyncio.gather(*(opened.append([record(str(number))]) for number in range(100)))
        assert 1 <= syncs <= 3
        assert await values(opened) == [str(number) for number in range(100)]


async def test_nobody_is_answered_before_the_sync(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    really = segment.synced

    def synced(file: int) -> None:
        really(file)
        order.append("synced")

    monkeypatch.setattr(segment, "synced", synced)
    async with place.open() as opened:
        for _ in range(2):
            await opened.append([record("1")])
            order.append("answered")
    assert order == ["synced", "answered"] * 2


async def test_a_process_that_comes_after_sends_what_is_left_and_not_what_was_sent(place: Place) -> None:
    async with place.open() as opened:
        for number in range(6):
            await opened.append([record(str(number))])
        await opened.passed(await opened.front(2, 1 << 20))
    place.now_us += 7_000_000
    async with place.open() as opened:
        assert (opened.records, place.metric("recovered_total")) == (4, 4)
        assert place.metric("oldest_seconds") == 7
        await opened.append([record("new")])
        assert await values(opened) == ["2", "3", "4", "5"]
        await opened.passed(await opened.front(4, 1 << 20))
        assert await values(opened) == ["new"]


async def test_numbers_go_on_after_everything_was_drained_so_that_the_cursor_never_hides_an_entry(place: Place) -> None:
    for value in ("a", "b", "c"):
        async with place.open() as opened:
            await opened.append([record(value)])
            assert await values(opened) == [value]
            await opened.passed(await opened.front(1, 1))


@pytest.mark.parametrize("cursor", [None, "", "7", "7 00000000\n", "x y", "\x00" * 20])
async def test_without_a_readable_cursor_everything_that_is_there_is_sent_again(
    place: Place, cursor: str | None
) -> None:
    async with place.open() as opened:
        for number in range(3):
            await opened.append([record(str(number))])
        await opened.passed(await opened.front(1, 1))
    file = place.folder / "cursor"
    if cursor is None:
        file.unlink()
    else:
        file.write_text(cursor)
    async with place.open() as opened:
        assert await values(opened) == ["0", "1", "2"]


async def test_segments_are_deleted_one_by_one_as_they_are_drained(place: Place) -> None:
    async with place.open(max_bytes=8 * 400) as opened:
        for number in range(15):
            await opened.append([record(f"{number:0100}")])
        before = place.segments()
        assert len(before) >= 5
        while not opened.empty:
            there = place.segments()
            await opened.passed(await opened.front(1, 1))
            assert place.segments() in (there, there[1:])
        assert place.segments() == []


async def test_a_full_spool_takes_nothing_more_says_so_and_takes_again_when_there_is_room(place: Place) -> None:
    async with place.open(max_bytes=4000) as opened:
        assert opened.readiness() is None
        notes = []
        with pytest.raises(Full) as told:
            while True:
                await opened.append([record("x" * 150)])
                notes.append(opened.readiness())
        assert 1 <= told.value.retry_after_s < 60
        assert sum(path.stat().st_size for path in place.segments()) <= 4000
        assert isinstance(notes[-1], Note)
        assert "full" in notes[-1].text
        problem = opened.readiness()
        assert isinstance(problem, str)
        assert problem.startswith("The spool is full: ")
        kept = opened.records
        assert len(await values(opened)) <= kept
        async with draining(opened, Kafka()):
            await eventually(lambda: opened.empty, "drained")
        assert opened.readiness() is None
        await opened.append([record("again")])


async def test_a_disk_that_takes_nothing_is_told_and_what_was_taken_before_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) > 20:
            return really(file, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    async with place.open() as opened:
        await opened.append([record("before")])
        monkeypatch.setattr(segment.os, "write", half)
        for _ in range(2):
            with pytest.raises(Unwritable):
                await opened.append([record("refused")])
        assert "cannot be written" in str(opened.readiness())
        assert opened.records == 1
        assert [path.stat().st_size for path in place.segments()] == [place.metric("bytes")], "no half of an entry"
        monkeypatch.setattr(segment.os, "write", really)
        await opened.append([record("after")])
        assert opened.readiness() is None
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "drained")
        assert kafka.taken == ["before", "after"]
        assert place.aside() == []


async def test_a_failed_sync_is_never_tried_again_on_the_same_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error the system may have forgotten what it could not write, and would call the next sync a success."""
    async with place.open() as opened:
        await opened.append([record("before")])
        with monkeypatch.context() as broken:
            broken.setattr(segment, "synced", _no_sync)
            with pytest.raises(Unwritable):
                await opened.append([record("refused")])
        await opened.append([record("after")])
        assert len(place.segments()) == 2
        assert await values(opened) == ["before"]
    async with place.open() as opened:
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "drained")
        assert [value for value in kafka.taken if value != "refused"] == ["before", "after"]


def _no_sync(file: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


async def test_a_bug_while_writing_reaches_those_who_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.open() as opened:
        with monkeypatch.context() as broken:
            broken.setattr(spool.Store, "append", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await opened.append([record("1")])
        await opened.append([record("2")])
        assert await values(opened) == ["2"]


async def test_who_goes_away_while_waiting_leaves_the_others_alone(place: Place) -> None:
    async with place.open() as opened:
        tasks = [asyncio.create_task(opened.append([record(str(number))])) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() or task.exception() for task in tasks] == [None, True, None]
        assert set(await values(opened)) >= {"0", "2"}


async def test_one_folder_belongs_to_one_process(place: Place) -> None:
    async with place.open():
        with pytest.raises(Unusable, match="belongs to another process"):
            await Spool.open(place.folder, 1 << 20, place.measures)
    async with place.open() as opened:
        assert opened.empty


async def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match=r"cannot be used: .*DESKPULSE_SPOOL_DIR") as told:
        await Spool.open(tmp_path / "file" / "spool", 1 << 20, Measures(CollectorRegistry()))
    assert "\n" not in str(told.value)


async def test_only_its_owner_may_read_it(place: Place) -> None:
    async with place.open() as opened:
        await opened.append([record("1")])
        assert place.folder.stat().st_mode & 0o077 == 0
        assert place.segments()[0].stat().st_mode & 0o077 == 0


async def test_a_torn_tail_is_cut_at_the_last_whole_entry_and_kept_aside(place: Place) -> None:
    async with place.open() as opened:
        for number in range(3):
            await opened.append([record(str(number))])
    with place.segments()[0].open("ab") as file:
        file.write(b"half an entry")
    async with place.open() as opened:
        assert await values(opened) == ["0", "1", "2"]
    assert [path.read_bytes() for path in place.aside()] == [b"half an entry"]
    assert place.metric("incidents_total", kind="torn") == 1
    async with place.open():
        assert place.metric("incidents_total", kind="torn") == 1, "once"


async def test_a_segment_that_was_only_begun_is_no_obstacle(place: Place) -> None:
    async with place.open() as opened:
        await opened.append([record("0")])
    for number, content in enumerate((b"", MAGIC[:5], MAGIC), 50):
        begun = place.folder / f"{number:020d}-00000000.spool"
        begun.write_bytes(content)
        async with place.open() as opened:
            assert await values(opened) == ["0"]
        assert not begun.exists()


async def test_damage_in_the_middle_costs_one_entry_and_keeps_the_file_for_inspection(place: Place) -> None:
    async with place.open() as opened:
        for number in range(3):
            await opened.append([record(f"number {number}")])
    file = place.segments()[0]
    broken = file.read_bytes().replace(b"number 1", b"numbex 1")
    file.write_bytes(broken)
    async with place.open() as opened:
        assert opened.records == 2
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "drained")
    assert kafka.taken == ["number 0", "number 2"]
    assert [path.read_bytes() for path in place.aside()] == [broken]
    assert place.metric("incidents_total", kind="damaged") == 1


@pytest.mark.parametrize("hit", [b"number 0", b"number 1", b"number 2"])
async def test_damage_that_happens_while_it_runs_is_found_when_it_is_read(place: Place, hit: bytes) -> None:
    async with place.open() as opened:
        for number in range(3):
            await opened.append([record(f"number {number}")])
        file = place.segments()[0]
        file.write_bytes(file.read_bytes().replace(hit, hit[::-1]))
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "drained")
            await opened.append([record("later")])
            await eventually(lambda: opened.empty, "drained again")
    assert kafka.taken == [f"number {n}" for n in range(3) if f"number {n}".encode() != hit] + ["later"]
    assert place.metric("incidents_total", kind="damaged") == 1


async def test_damage_to_everything_that_was_left_ends_the_waiting_too(place: Place) -> None:
    async with place.open() as opened:
        await opened.append([record("number 0")])
        file = place.segments()[0]
        file.write_bytes(file.read_bytes()[:-1] + b"\x00")
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "given up")
        assert (kafka.taken, len(place.aside()), place.metric("records")) == ([], 1, 0)


async def test_a_segment_of_a_later_version_is_left_alone(place: Place) -> None:
    async with place.open() as opened:
        await opened.append([record("0")])
    file = place.segments()[0]
    later = file.read_bytes().replace(MAGIC, b"DeskpulseSpool2\n")
    file.write_bytes(later)
    with pytest.raises(Unusable, match="another version"):
        await Spool.open(place.folder, 1 << 20, place.measures)
    assert file.read_bytes() == later


async def test_while_kafka_is_away_one_entry_is_tried_and_then_more_and_more(place: Place) -> None:
    kafka = Kafka()
    kafka.away = True
    async with place.open() as opened:
        for number in range(40):
            await opened.append([record(str(number))])
        async with draining(opened, kafka):
            await eventually(lambda: len(kafka.sizes) >= 3, "tried")
            assert set(kafka.sizes) == {1}
            assert opened.records == 40
            kafka.away = False
            await eventually(lambda: opened.empty, "drained")
    assert kafka.taken == [str(number) for number in range(40)]
    assert kafka.sizes[-6:] == [1, 2, 4, 8, 16, 9]


async def test_what_kafka_will_never_take_is_kept_aside_and_does_not_hold_up_the_others(place: Place) -> None:
    kafka = Kafka("3", "4")
    async with place.open() as opened:
        for number in range(7):
            await opened.append([record(str(number))])
        async with draining(opened, kafka):
            await eventually(lambda: opened.empty, "drained")
    assert list(dict.fromkeys(kafka.taken)) == ["0", "1", "2", "5", "6"]
    assert len(place.aside()) == 2
    assert place.metric("incidents_total", kind="refused") == 2


async def test_a_cursor_that_cannot_be_written_does_not_stop_the_draining(place: Place) -> None:
    async with place.open() as opened:
        (place.folder / "cursor.part").mkdir()
        await opened.append([record("1")])
        async with draining(opened, kafka := Kafka()):
            await eventually(lambda: opened.empty, "drained")
        assert kafka.taken == ["1"]


async def test_a_closed_spool_takes_nothing(place: Place) -> None:
    async with place.open() as opened:
        pass
    with pytest.raises(Unwritable):
        await opened.append([record("1")])
    await opened.close()


async def test_closing_waits_for_what_is_being_written(place: Place) -> None:
    opened = await Spool.open(place.folder, 1 << 20, place.measures)
    waiting = asyncio.create_task(opened.append([record("1")]))
    await asyncio.sleep(0)
    await opened.close()
    await waiting
    async with place.open() as again:
        assert await values(again) == ["1"]
