"""How an entry lies in a segment: a mark, a checksum over all that follows, its length, its number, its time.

The checksum begins with a number that only the segment's name holds. So neither what an old file left on the disk
nor a webhook whose text looks like a frame is ever taken for one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

MARK: Final = b"\xd5\x00SP"
_HEAD: Final = struct.Struct("<4sIIQQ")
_CHECKED_FROM: Final = 8
"""Mark and checksum come first; everything behind them is covered."""

HEAD_BYTES: Final = _HEAD.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole entry, at ``start`` and up to before ``end``. ``at_us`` is when it was taken."""

    number: int
    at_us: int
    payload: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no whole entry, from ``start`` up to the next one or to the end of the data."""

    start: int
    end: int


def packed(number: int, at_us: int, payload: bytes, seed: int) -> bytes:
    """The bytes of one entry; ``seed`` is the segment's."""
    head = _HEAD.pack(MARK, 0, len(payload), number, at_us)
    checksum = crc32(payload, crc32(head[_CHECKED_FROM:], seed))
    return _HEAD.pack(MARK, checksum, len(payload), number, at_us) + payload


def scanned(data: bytes, seed: int, start: int = 0) -> Iterator[Frame | Gap]:
    """Everything from ``start`` to the end of ``data``, in order and without a hole between two results."""
    position = start
    while position < len(data):
        frame = _frame_at(data, position, seed)
        if frame is None:
            frame = _next_frame(data, position + 1, seed)
            yield Gap(position, len(data) if frame is None else frame.start)
            if frame is None:
                return
        yield frame
        position = frame.end


def _next_frame(data: bytes, position: int, seed: int) -> Frame | None:
    while (position := data.find(MARK, position)) >= 0:
        if (frame := _frame_at(data, position, seed)) is not None:
            return frame
        position += 1
    return None


def _frame_at(data: bytes, start: int, seed: int) -> Frame | None:
    payload_at = start + HEAD_BYTES
    if len(data) < payload_at or not data.startswith(MARK, start):
        return None
    _, checksum, length, number, at_us = _HEAD.unpack_from(data, start)
    end: int = payload_at + length
    if len(data) < end:
        return None
    payload = data[payload_at:end]
    if crc32(payload, crc32(data[start + _CHECKED_FROM : payload_at], seed)) != checksum:
        return None
    return Frame(number, at_us, payload, start, end)
