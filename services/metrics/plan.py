"""What the document asks of the metrics worker: promises, resolutions, and what is counted apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.config.document import Document
from services.fold.rules import Rules, compiled
from services.kpi.cuts import Cuts, named
from services.kpi.window import Resolution, resolutions
from services.metrics.engine import Engine
from services.metrics.segments import Segments


@dataclass(frozen=True, slots=True)
class Plan:
    """``cuts`` are those that the document wants; which ones are counted is decided for all workers together."""

    rules: Rules
    kept: tuple[Resolution, ...]
    cuts: tuple[str, ...]
    limits: Mapping[str, int]
    limit: int

    def engine(self, cuts: Cuts) -> Engine:
        """The engine that counts in ``cuts``. It knows of no value yet whether it is admitted."""
        return Engine(self.rules, self.kept, Segments(cuts, self.limits, self.limit))


def planned(document: Document) -> Plan:
    """The plan of a document. Raises ``ConfigInvalid`` for what makes no sense."""
    return Plan(
        rules=compiled(document),
        kept=resolutions(document.windows_s.values()),
        cuts=tuple(named(cut) for cut in document.segments),
        limits=document.segment_limits,
        limit=document.segment_limit,
    )
