"""Sends what the spool holds, oldest first, as fast as Kafka acknowledges it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from schemas.failure import Invalid, NotNow
from services import clock
from services.ingest.spool.spool import Entry, Spool
from services.operate.logs import Sampled
from services.stream.record import Outgoing

ACK_WITHIN_S: Final = 30.0
"""Longer than a webhook may wait: the client keeps trying by itself, and each new try of ours adds a copy."""

_MOST_ENTRIES: Final = 256
_MOST_BYTES: Final = 1 << 20
_SHORTEST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0

log = structlog.get_logger("ingest")


class Sender(Protocol):
    """What draining needs of a producer; see ``services.stream.producer.Producer``."""

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        """Returns when every record is acknowledged; raises :class:`NotNow` or :class:`Invalid`."""
        ...


async def drain(
    spool: Spool,
    sender: Sender,
    ack_within_s: float = ACK_WITHIN_S,
    shortest_pause_s: float = _SHORTEST_PAUSE_S,
) -> None:
    """Runs until it is cancelled. Anything that it raises is a bug.

    Begins with one entry and takes more with every success, so that a Kafka that is still away costs one copy of one
    entry, and one that has just come back is not met with everything at once.
    """
    lines = Sampled()
    most, pause_s = 1, shortest_pause_s

    def waits(why: str) -> None:
        if lines.allows("spool_waits", clock.steady_s()):
            log.warning("spool_waits", why=why, records=spool.records, bytes=spool.size)

    while True:
        try:
            entries = await spool.front(most, _MOST_BYTES)
            try:
                await sender.send([record for entry in entries for record in entry.records()], ack_within_s)
            except Invalid as failure:
                if len(entries) == 1:
                    await _set_aside(spool, entries[0], failure)
                most = 1  # one after the other until the one that is meant shows
                continue
            await spool.passed(entries)
        except NotNow as exc:
            waits(exc.what)
        except OSError as exc:
            waits(exc.strerror or type(exc).__name__)
        else:
            most, pause_s = min(_MOST_ENTRIES, most * 2), shortest_pause_s
            if spool.empty:
                log.info("spool_drained")
            continue
        most = 1
        await asyncio.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


async def _set_aside(spool: Spool, entry: Entry, failure: Invalid) -> None:
    kept = await spool.set_aside(entry)
    log.error("spool_entry_refused", number=entry.number, detail=failure.detail, kept=str(kept))
