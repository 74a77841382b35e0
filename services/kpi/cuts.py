"""The cuts that are counted: by which dimensions KPIs can be told apart, and since when.

Which these are is decided once for all processes and kept in Redis: a metrics worker that starts with another
document, or reloads one, registers its cuts, and everybody follows. Each cut has the revision with which it came. A
ticket carries the revision up to which it was counted, and a partition the one up to which all of its tickets were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.state import Who

OTHER: Final = "other"
"""The value of what came after a cut had as many values as it may have."""
_DIMENSIONS: Final = frozenset({"source", "tag", *Who.__struct_fields__})


@dataclass(frozen=True, slots=True)
class Cuts:
    """``added``: cut (``team,priority``) to the revision with which it came; 0 is since ever."""

    revision: int = 0
    added: Mapping[str, int] = field(default_factory=dict)

    def stored(self, cut: str, segment: str) -> str:
        """The name of a segment in keys. A cut that was left out for a while begins anew, under another name: what
        lies under the old one lacks what happened meanwhile."""
        added = self.added.get(cut, 0)
        return f"{added}~{segment}" if added else segment

    def after(self, wanted: Sequence[str]) -> Cuts:
        """These cuts once exactly ``wanted`` are counted."""
        if set(wanted) == set(self.added):
            return self
        revision = self.revision + 1
        return Cuts(revision, {cut: self.added.get(cut, revision) for cut in wanted})


def plain(stored: str) -> str:
    """The segment of a name in keys."""
    added, mark, segment = stored.partition("~")
    return segment if mark and added.isdigit() else stored


def cut_of(segment: str) -> str:
    """The cut that a segment, as people write it, belongs to. A value may hold commas and colons."""
    names = (part.split(":", 1)[0] for part in segment.split(",") if ":" in part)
    return ",".join(name for name in names if name in _DIMENSIONS)


def named(dimensions: Sequence[str]) -> str:
    """A cut's name."""
    return ",".join(dimensions)


def other(cut: str) -> str:
    """The segment of everything that is not counted by its own value."""
    return ",".join(f"{dimension}:{OTHER}" for dimension in cut.split(","))


def by_cut(cuts: Cuts, stored: Iterable[str]) -> dict[str, list[str]]:
    """Segments that are counted by their own value, by cut, out of their names in keys; what belongs to no cut that is
    counted now is left out."""
    found: dict[str, list[str]] = {}
    for name in stored:
        segment = plain(name)
        cut = cut_of(segment)
        if cut in cuts.added and cuts.stored(cut, segment) == name and segment != other(cut):
            found.setdefault(cut, []).append(segment)
    return found


def read(hash_: Mapping[bytes, bytes]) -> Cuts | None:
    """The cuts out of their hash in Redis; ``None`` where none were ever registered."""
    if not hash_:
        return None
    found = {name.decode(): int(value) for name, value in hash_.items()}
    return Cuts(found.pop("revision", 0), found)
