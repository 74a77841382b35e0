"""Whether what an SLA alert says is still so, by the state itself, which knows of an answer before the alert ends.

The metrics worker writes a ticket's state first and announces the change through Kafka; a message that is sent in
between would be about a ticket that is already answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from schemas.alert import AlertEvent, AlertState
from schemas.sla import SlaMetric
from schemas.state import Mode, ticket_key, unpack_entry
from services.state.client import away
from services.state.partitions import Partitions

_CHUNK: Final = 50
_METRICS: Final = frozenset(metric.value for metric in SlaMetric)


class Standing:
    """Looks at the tickets that alerts are about. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis, partitions: Partitions) -> None:
        self._redis: Any = redis
        self._partitions = partitions

    async def met(self, events: Sequence[AlertEvent]) -> frozenset[str]:
        """The ids of the events whose alert is open while its timer has stopped for good. An alert that is about no
        timer, or a ticket that is not found, is no such one."""
        asked = [(event, timer) for event in events if (timer := _timer(event)) is not None]
        if not asked:
            return frozenset()
        partitions = await self._partitions.known()
        found: set[str] = set()
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            pipeline = self._redis.pipeline(transaction=False)
            for _, (source, ticket_id, _, _) in chunk:
                for number in partitions:
                    pipeline.get(ticket_key(number, source, ticket_id))
            with away():
                rows = await pipeline.execute() if partitions else []
            for index, (event, (_, _, metric, cycle)) in enumerate(chunk):
                stored = rows[index * len(partitions) : (index + 1) * len(partitions)]
                entry = next((unpack_entry(row) for row in stored if row is not None), None)
                if entry is not None and any(
                    timer.mode is Mode.MET and timer.metric.value == metric and timer.cycle == cycle
                    for timer in entry.ticket.timers
                ):
                    found.add(event.event_id)
        return frozenset(found)


def _timer(event: AlertEvent) -> tuple[str, str, str, int] | None:
    """Source, ticket, metric and cycle, which the fingerprint of an SLA alert is made of."""
    alert = event.alert
    if alert.state is AlertState.RESOLVED or len(alert.evidence) != 1:
        return None
    _, metric, cycle = ["", "", *alert.fingerprint.rsplit(":", 2)][-3:]
    if metric not in _METRICS or not cycle.isdigit():
        return None
    return alert.evidence[0].source, alert.evidence[0].ticket_id, metric, int(cycle)
