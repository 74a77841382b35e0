"""Python's search for reference cycles, set for a process that handles many small things for a long time.

By default it looks through all that was made at the start, which never goes, again and again, and at what is being
handled right now after every 700 objects. Neither finds anything: what a webhook makes is freed when it is answered.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000
"""New objects before the youngest are looked through: some hundred webhooks, so that even if each were part of a cycle
with its body, memory would stay bounded."""


def settle() -> None:
    """To be called once a process has made what it keeps: that is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
