"""Times as options take them: an instant, or how long ago."""

from __future__ import annotations

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.cli import settings
from services.config.duration import seconds


def moment_us(option: str, text: str | None, now_us: int) -> int | None:
    """``2026-01-01T00:00Z``, or ``24h`` before ``now_us``, as µs since the epoch; else the command ends."""
    if text is None:
        return None
    try:
        return from_datetime(parse_rfc3339(text))
    except ValueError:
        pass
    try:
        return now_us - seconds(text) * SECOND_US
    except ValueError:
        settings.fail(f"{option}: '{text}' is neither a time (2026-01-01T00:00Z) nor how long ago (90m, 24h, 7d)")
