"""A record as it lies in, or goes to, a topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

Headers = Sequence[tuple[str, bytes]]


class Record(Struct, frozen=True):
    """A consumed record; there are very many. ``appended_us`` is the broker's time of the append (the producer's, where
    the topic keeps create times), in microseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    appended_us: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be produced. The key chooses the partition, unless the record may lie ``anywhere``: then it goes
    where it costs least, because no order between it and others with its key matters."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()
    anywhere: bool = False
