"""Windows as sums of fixed buckets.

Everything is counted in buckets of four widths. A window is covered by the widest buckets that fit into it and
finer ones at its edges, as far back as the finer ones are kept: so its end is exact to ten seconds, and its start
to the finest width that is still kept there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from schemas.instant import SECOND_US


@dataclass(frozen=True, slots=True)
class Resolution:
    """Buckets of one width. ``keep_s`` is how long after its end a bucket can be read."""

    name: str
    width_s: int
    keep_s: int

    def start(self, at_us: int) -> int:
        """The start, in whole seconds since the epoch, of the bucket that ``at_us`` lies in."""
        at_s = at_us // SECOND_US
        return at_s - at_s % self.width_s

    def expires(self, start_s: int) -> int:
        """When the bucket that starts at ``start_s`` may be dropped, in seconds since the epoch."""
        return start_s + self.width_s + self.keep_s


MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400


def resolutions(windows_s: Iterable[int]) -> tuple[Resolution, ...]:
    """The widths that are kept for these windows, finest first.

    Ten seconds for two hours, minutes for two days, hours for the longest window up to 92 days and at least 35,
    days for twice the longest window and at least 400: enough to compare any window with the one before it.
    """
    longest = max(windows_s, default=0)
    return (
        Resolution("10s", 10, 2 * HOUR_S),
        Resolution("1m", MINUTE_S, 2 * DAY_S),
        Resolution("1h", HOUR_S, max(35 * DAY_S, min(longest + DAY_S, 92 * DAY_S))),
        Resolution("1d", DAY_S, max(400 * DAY_S, 2 * longest + DAY_S)),
    )


def cover(start_s: int, end_s: int, at_s: int, kept: tuple[Resolution, ...]) -> Iterator[tuple[Resolution, int]]:
    """The buckets whose sum is the window ``[start_s, end_s)`` as read at ``at_s``.

    Both edges are moved outwards to a bucket's edge: the end to the finest width, the start to the finest width
    that is still kept at that age.
    """
    finest = kept[0]
    end_s += -end_s % finest.width_s
    oldest = next((r for r in kept if at_s - start_s <= r.keep_s), kept[-1])
    position = start_s - start_s % oldest.width_s
    while position < end_s:
        usable = [r for r in kept if at_s - position <= r.keep_s] or [kept[-1]]
        fitting = [r for r in usable if position % r.width_s == 0 and position + r.width_s <= end_s]
        chosen = fitting[-1] if fitting else usable[0]
        yield chosen, position
        position += chosen.width_s


def finest(age_s: int, kept: tuple[Resolution, ...]) -> Resolution | None:
    """The narrowest buckets that are kept at that age; ``None`` when there are none any more."""
    return next((r for r in kept if age_s <= r.keep_s), None)


def earlier(window_s: int, ago_s: int, at_s: int, kept: tuple[Resolution, ...]) -> tuple[int, int] | None:
    """The window ``[start_s, end_s)`` of the same length that ended ``ago_s`` before the one that ends at ``at_s``.

    It lies between edges of the narrowest buckets that are kept at its age, those nearest to its own: it ends up to
    half of their width earlier or later. ``None`` when it is shorter than they are wide, or no whole number of them, or
    when there are none any more.
    """
    end_s = at_s + 1
    end_s += -end_s % kept[0].width_s - ago_s
    oldest = finest(at_s - end_s + window_s, kept)
    while oldest is not None and window_s % oldest.width_s == 0:
        nearest_s = (end_s + oldest.width_s // 2) // oldest.width_s * oldest.width_s
        start_s = nearest_s - window_s
        found = finest(at_s - start_s, kept)
        if found is not None and found.width_s <= oldest.width_s:
            return start_s, nearest_s  # finer ones may do now: asking for their edges could lead back here, for ever
        oldest = found  # moving the edge made it too old for these buckets
    return None
