"""Whether the clocks agree: this machine's, that of Redis, that of the brokers, and that of ingest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from services.cli.doctor.finding import Finding, ok, problem, warning

SLIGHT_S: Final = 1.0
"""Beyond this, deadlines are told early or late by as much."""
LARGE_S: Final = 10.0
"""Beyond this, signatures get old on the way, and numbers land in buckets of another time."""
_FIX: Final = "set it with NTP (chronyc makestep, or timedatectl set-ntp true)"

HERE: Final = "this machine"


def findings(ahead_s: Mapping[str, float]) -> Iterator[Finding]:
    """``ahead_s``: by whose clock it is, how far it is ahead of this machine's (negative: behind)."""
    off = {name: gap for name, gap in ahead_s.items() if abs(gap) > SLIGHT_S}
    if not off:
        if ahead_s:
            yield ok("clocks", f"{' and '.join((HERE, *ahead_s))} agree within {SLIGHT_S:g} s")
        return
    gaps = list(ahead_s.values())
    if len(gaps) > 1 and len(off) == len(gaps) and max(gaps) - min(gaps) <= SLIGHT_S:
        yield _wrong(HERE, -sum(gaps) / len(gaps), f"{' and '.join(ahead_s)} agree with each other")
        return
    for name, gap in off.items():
        others = [other for other in ahead_s if other not in off]
        why = f"this machine and {' and '.join(others)} agree" if others else "compared with this machine"
        yield _wrong(name, gap, why)


def _wrong(whose: str, ahead_s: float, why: str) -> Finding:
    side = "ahead" if ahead_s > 0 else "behind"
    detail = f"the clock of {whose} is {abs(ahead_s):.1f} s {side} ({why})"
    made = problem if abs(ahead_s) > LARGE_S else warning
    return made("clocks", detail, f"on {whose}: {_FIX}")


def brokers_ahead_s(newest_append_us: int | None, now_us: int) -> float | None:
    """How far the brokers' clock is certainly ahead of ours: a record was appended in our future. ``None`` when nothing
    certain can be said; a clock that is behind only shows by :func:`append_behind_s`."""
    if newest_append_us is None or newest_append_us <= now_us:
        return None
    return (newest_append_us - now_us) / 1e6


def append_behind_s(waits_us: Iterable[int]) -> float | None:
    """``waits_us``: from the receipt by ingest to the append by the broker, for each of the last records. Nothing can
    be appended before it was received: by so much, at least, the brokers' clock is ahead of ingest's (it is negative).
    ``None`` when nothing certain can be said."""
    shortest = min(waits_us, default=0)
    return shortest / 1e6 if shortest < 0 else None
