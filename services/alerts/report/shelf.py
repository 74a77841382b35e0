"""Where reports lie in Redis, and how one is posted: its mark, its text and its messages in one step, or nothing.

The mark says up to when a report was dealt with. It moves on together with the messages and only under the leader's
fence: whoever dies before that step has sent nothing, and the next leader makes the report again; whoever dies after it
has lost nothing. The messages' ids are made of report, time and receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from schemas.ticket import event_id
from services.alerts import keys
from services.alerts.delivery import Delivery, Kind, own
from services.alerts.report.report import Report, decoded, encoded
from services.alerts.script import script
from services.state.client import away

KEPT_S: Final = 35 * 86_400
"""How long a report can be looked up as it was sent."""
_json: Final = msgspec.json.Encoder()


def message(report: str, due_us: int, receiver: str, at_us: int, send_us: int) -> Delivery:
    """The message that brings a report to one receiver, to be sent at ``send_us``. Always the same id."""
    delivery = own(Kind.REPORT, event_id("reports", report, str(due_us), receiver), receiver, at_us)
    return msgspec.structs.replace(delivery, next_us=send_us, held=send_us > at_us)


class ReportShelf:
    """Calls may raise ``NotNow``; repeating them is harmless."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._reader: Any = reader
        self._post = script(writer, "report")

    async def marks(self) -> dict[str, int]:
        """By report, up to when it was dealt with (µs since the epoch)."""
        with away():
            found = await self._reader.hgetall(keys.REPORTED)
        return {name.decode(): int(due_us) for name, due_us in found.items()}

    async def mark(self, name: str, due_us: int, fence: str) -> bool:
        """Deals with everything up to ``due_us`` by sending nothing. False when another process leads, or it is
        done."""
        return await self._posted(name, due_us, b"", (), fence)

    async def post(self, report: Report, deliveries: Sequence[Delivery], fence: str) -> bool:
        """The report with its messages. False when another process leads, or it was posted already."""
        return await self._posted(report.name, report.due_us, encoded(report), deliveries, fence)

    async def kept(self, name: str, due_us: int) -> Report | None:
        """The report as it was sent."""
        with away():
            body = await self._reader.get(keys.report(name, due_us))
        return decoded(body) if body else None

    async def _posted(self, name: str, due_us: int, body: bytes, deliveries: Sequence[Delivery], fence: str) -> bool:
        messages: list[Any] = []
        for delivery in deliveries:
            messages += [delivery.receiver, delivery.delivery_id, _json.encode(delivery), delivery.next_us]
        with away():
            done = await self._post(
                keys=[keys.REPORTED, keys.LEADER, keys.report(name, due_us), keys.PENDING],
                args=[keys.PREFIX, fence, name, due_us, body, KEPT_S, *messages],
            )
        return bool(done)
