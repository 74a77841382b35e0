"""Dead letters, one after the other or by their ids: what ``deskpulse dlq`` walks over."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.failure import NotNow
from schemas.topics import TICKETS_DLQ
from services.cli import settings

if TYPE_CHECKING:
    from services.stream.dead_letter import Letter
    from services.stream.producer import Connection

_ID: Final = re.compile(rf"(?:{re.escape(TICKETS_DLQ)}:)?(\d{{1,9}}):(\d{{1,18}})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; ``None`` is any."""

    source: str | None
    reason: str | None
    stage: str | None

    def takes(self, letter: Letter) -> bool:
        """Whether ``letter`` is one of them."""
        asked = ((self.source, letter.source), (self.reason, letter.reason), (self.stage, letter.stage))
        return all(wanted is None or wanted == there for wanted, there in asked)


def place(id_: str) -> tuple[int, int]:
    """Partition and offset of a letter's id; ends the command when it is none."""
    found = _ID.fullmatch(id_)
    if found is None:
        settings.fail(f"'{id_}' is no id of a dead letter; they look like {TICKETS_DLQ}:0:17, or 0:17")
    return int(found[1]), int(found[2])


async def each(
    connection: Connection,
    since_us: int | None,
    wanted: Wanted,
    use: Callable[[Letter], Awaitable[None]],
    note: Callable[[], str],
) -> tuple[bool, str]:
    """Hands every wanted letter to ``use``. Whether Ctrl-C ended it, and where. Raises :class:`NotNow`."""
    from services.cli.progress import Progress
    from services.operate.stop import signalled
    from services.stream import dead_letter
    from services.stream.reader import reading

    progress = Progress("dead letters")
    try:
        with signalled() as stop:
            async with reading(connection, TICKETS_DLQ, since_us=since_us) as found:
                while (batch := await found.batch()) is not None:
                    if stop.is_set():
                        return True, f" at {found.done} of {found.total}"
                    for letter in map(dead_letter.letter, batch):
                        if wanted.takes(letter):
                            await use(letter)
                    progress.at(found.done, found.total, note())
    finally:
        progress.end()
    return False, ""


async def picked(connection: Connection, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Letter]:
    """The letters at these places that are still there; ends the command when Kafka is away."""
    from services.stream import dead_letter
    from services.stream.reader import pick

    try:
        found = await pick(connection, TICKETS_DLQ, places)
    except NotNow as away:
        settings.fail(f"{connection.bootstrap}: {away.what}")
    return {place: dead_letter.letter(record) for place, record in found.items()}
