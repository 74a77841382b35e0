"""``python -m tests.support.mortal POINT WORD SERVICE``: a service that is killed at one line of its own.

POINT is ``Class.method:before`` or ``:after``; it counts where WORD is in what the method was given, or answered: so
what a predecessor left to do is done, and what the test is about is not. The kill is SIGKILL, as by the system.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from services.alerts.memories import Memories
from services.alerts.notify.webhook import Webhook
from services.alerts.store import RedisStore
from services.alerts.worker import Announcements
from services.metrics.rewriting import Rewriting
from services.stream.producer import Producer

MORTAL = {kind.__name__: kind for kind in (Announcements, Memories, Producer, RedisStore, Rewriting, Webhook)}


def arm(point: str, word: str) -> None:
    """From now on the process dies there."""
    where, _, when = point.partition(":")
    kind, _, method = where.partition(".")
    alive, outgoing = getattr(MORTAL[kind], method), RedisStore.outgoing
    found: list[Any] = []

    def die(*said: Any) -> None:
        if word in repr(said):
            os.kill(os.getpid(), signal.SIGKILL)

    async def mortal(self: Any, *args: Any, **named: Any) -> Any:
        known = found[:] if method == "relayed" else []  # it is given ids only
        if when == "before":
            die(args, named, known)
        answer = await alive(self, *args, **named)
        if when == "after":
            die(args, named, answer, known)
        return answer

    async def seen(self: RedisStore, limit: int) -> Any:
        found[:] = await outgoing(self, limit)
        return found[:]

    RedisStore.outgoing = seen  # type: ignore[method-assign]
    setattr(MORTAL[kind], method, mortal)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    sys.argv[1:] = sys.argv[3:]
    from services.cli import main

    main()
