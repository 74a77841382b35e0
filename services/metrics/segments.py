"""In which segments a ticket counts: its values in every cut, as far as they are admitted, else ``other``.

A cut has a bounded number of values. Which ones are admitted is decided in Redis once and for all, so that partitions
agree and that what was counted under a name is taken back from it; what was decided is remembered here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from schemas.state import Who
from services.fold.rules import ALL, segments_of
from services.kpi.cuts import Cuts, other

Scope = tuple[int, int]
"""The cuts that came after the first revision, up to the second."""
EVERYTHING: Scope = (-1, 1 << 40)


class Segments:
    """The cuts, and what is known of their values. Without ``limits`` every value is admitted."""

    def __init__(self, cuts: Cuts, limits: Mapping[str, int] | None = None, limit: int = 0) -> None:
        self.cuts = cuts
        self._limits = limits
        self._limit = limit
        self._decided: dict[str, dict[str, str]] = {}
        self._known: dict[tuple[str, Who, Scope], tuple[str, ...]] = {}

    def limit(self, cut: str) -> int:
        """How many values of a cut are counted by themselves."""
        return (self._limits or {}).get(cut, self._limit)

    def keys(self, source: str, who: Who, scope: Scope) -> tuple[str, ...]:
        """The names under which a ticket with these attributes counts in the cuts of ``scope``. All of its values
        are decided (:meth:`undecided`)."""
        place = (source, who, scope)
        known = self._known.get(place)
        if known is None:
            if len(self._known) > 100_000:
                self._known.clear()
            known = self._known[place] = tuple(self._named(source, who, scope))
        return known

    def undecided(self, those: Iterable[tuple[str, Who, Scope]]) -> dict[str, list[str]]:
        """Segments of which it is not known whether they are admitted, by cut."""
        found: dict[str, dict[str, None]] = {}
        if self._limits is not None:
            for source, who, scope in those:
                if (source, who, scope) in self._known:
                    continue
                for cut in self._within(scope):
                    decided = self._decided.setdefault(cut, {})
                    for segment in segments_of(_dimensions(cut), source, who):
                        if segment not in decided and segment != other(cut):
                            found.setdefault(cut, {})[segment] = None
        return {cut: list(segments) for cut, segments in found.items()}

    def decide(self, cut: str, asked: Iterable[str], admitted: Iterable[str]) -> int:
        """Remembers what was asked for and what of it is admitted. Returns how many were not."""
        decided, taken, refused = self._decided.setdefault(cut, {}), set(admitted), 0
        for segment in asked:
            decided[segment] = segment if segment in taken else other(cut)
            refused += segment not in taken
        return refused

    def admitted(self, cut: str) -> list[str]:
        """The segments that are known to be admitted."""
        return [segment for segment, counted in self._decided.get(cut, {}).items() if segment == counted]

    def _within(self, scope: Scope) -> list[str]:
        return [cut for cut, added in self.cuts.added.items() if scope[0] < added <= scope[1]]

    def _named(self, source: str, who: Who, scope: Scope) -> Iterable[str]:
        if scope[0] < 0:
            yield ALL
        for cut in self._within(scope):
            segments = segments_of(_dimensions(cut), source, who)
            if self._limits is not None:
                rest, decided = other(cut), self._decided[cut]
                segments = tuple(dict.fromkeys(s if s == rest else decided[s] for s in segments))
            for segment in segments:
                yield self.cuts.stored(cut, segment)


@cache
def _dimensions(cut: str) -> tuple[str, ...]:
    return tuple(cut.split(","))
