"""The only place that reads the time. Everything else takes the instant as an argument."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present as an aware UTC datetime."""
    return datetime.now(UTC)


def now_us() -> int:
    """The present in microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def steady_s() -> float:
    """Seconds of a clock that never jumps: for deadlines and durations, not for dates."""
    return time.monotonic()
