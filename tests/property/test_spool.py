"""Whatever is cut off or changed in a segment, every other entry comes back whole and in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from services.ingest.spool import payload
from services.ingest.spool.frame import MARK, Frame, Gap, packed, scanned
from services.ingest.spool.segment import MAGIC
from services.ingest.spool.store import ASIDE, Incident, Store
from services.stream.record import Outgoing

ELSEWHERE = 7
"""The seed of another segment, of which a content here looks like an entry."""
contents = st.lists(
    st.one_of(st.binary(max_size=40), st.just(MARK), st.just(packed(0, 0, b"x", ELSEWHERE))), max_size=8
)
seeds = st.integers(0, 2**32 - 1).filter(lambda seed: seed != ELSEWHERE)
records = st.lists(
    st.builds(
        Outgoing,
        topic=st.text(max_size=8),
        key=st.none() | st.binary(max_size=8),
        value=st.binary(max_size=40),
        headers=st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3).map(tuple),
    ),
    max_size=4,
)


def _frames(data: bytes, seed: int) -> list[Frame]:
    return [piece for piece in scanned(data, seed) if isinstance(piece, Frame)]


@given(contents, seeds, st.data())
def test_cut_anywhere_a_segment_gives_exactly_the_whole_entries_before_the_cut(
    contents: list[bytes], seed: int, data: st.DataObject
) -> None:
    frames = [packed(number, number * 10, content, seed) for number, content in enumerate(contents)]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    expected, size = 0, 0
    while expected < len(frames) and size + len(frames[expected]) <= cut:
        size += len(frames[expected])
        expected += 1
    assert [(f.number, f.at_us, f.payload) for f in _frames(whole[:cut], seed)] == [
        (number, number * 10, contents[number]) for number in range(expected)
    ]
    gaps = [piece for piece in scanned(whole[:cut], seed) if isinstance(piece, Gap)]
    assert gaps == ([] if size == cut else [Gap(size, cut)])


@given(contents.filter(bool), seeds, st.data())
def test_a_changed_byte_costs_the_entry_that_it_is_in_and_no_other(
    contents: list[bytes], seed: int, data: st.DataObject
) -> None:
    frames = [packed(number, 0, content, seed) for number, content in enumerate(contents)]
    broken = bytearray(b"".join(frames))
    at = data.draw(st.integers(0, len(broken) - 1))
    broken[at] ^= data.draw(st.integers(1, 255))
    hit = next(n for n in range(len(frames)) if at < sum(map(len, frames[: n + 1])))
    assert [f.number for f in _frames(bytes(broken), seed)] == [n for n in range(len(frames)) if n != hit]


@given(st.binary(max_size=200), contents, seeds)
def test_everything_is_a_frame_or_a_gap_without_holes_and_overlaps(
    noise: bytes, contents: list[bytes], seed: int
) -> None:
    data = noise + b"".join(packed(number, 0, content, seed) for number, content in enumerate(contents)) + noise
    position = 0
    for piece in scanned(data, seed):
        assert (piece.start, piece.end > piece.start) == (position, True)
        position = piece.end
    assert position == len(data)


@given(contents.filter(bool), seeds, seeds)
def test_entries_of_another_segment_are_none_here(contents: list[bytes], seed: int, other: int) -> None:
    assume(seed != other)
    data = b"".join(packed(number, 0, content, other) for number, content in enumerate(contents))
    assert _frames(data, seed) == []


@given(records)
def test_what_goes_in_comes_out(records: list[Outgoing]) -> None:
    assert payload.from_bytes(payload.to_bytes(records)) == tuple(records)


@given(st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=3), min_size=1, max_size=5), st.data())
def test_a_store_recovers_up_to_the_last_whole_entry_and_keeps_the_rest_aside(
    batches: list[list[bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        incidents: list[Incident] = []
        store = Store(folder, segment_bytes=120, heard=incidents.append)
        for batch in batches:
            store.append(store.next_number, [(1, content) for content in batch])
        store.close()
        last = max(folder.glob("*.spool"))
        before = last.read_bytes()
        seed = int(last.stem.split("-")[1], 16)
        ends = [len(MAGIC), *(piece.end for piece in scanned(before, seed, len(MAGIC)))]
        cut = data.draw(st.integers(0, len(before)))
        last.write_bytes(before[:cut])
        lost = sum(end > cut for end in ends[1:])
        contents = [content for batch in batches for content in batch]

        store = Store(folder, segment_bytes=120, heard=incidents.append)
        left = len(contents) - lost
        assert store.records == left
        found = []
        while frames := store.front(2, 100):
            found += [frame.payload for frame in frames]
            store.passed(len(frames))
        assert found == contents[:left]
        assert (store.records, store.size, list(folder.glob("*.spool"))) == (0, 0, [])
        kept = [path.read_bytes() for path in (folder / ASIDE).glob("*")] if (folder / ASIDE).exists() else []
        whole = max([end for end in ends if end <= cut], default=0)
        torn = [before[whole:cut]] if cut > whole else []
        assert (kept, incidents) == (torn, [Incident.TORN] * len(torn))
        store.close()
