"""When messages wait: until the end of a quiet time, unless they are of a severity that is excepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.alert import Severity
from services.config.document import Document
from services.config.schedule import Quiet
from services.fold.calendar import Calendar

_MOST: Final = 8
"""How often the quiet times of a route and a receiver may follow one another before the message goes out anyway."""


@dataclass(frozen=True, slots=True)
class QuietTime:
    """``hours`` are quiet, or with ``outside`` everything else is."""

    hours: Calendar
    outside: bool
    exceptions: frozenset[str]

    def ends_us(self, at_us: int, severity: Severity) -> int:
        """The instant itself when it is not quiet then, else the end. Hours that never end are not quiet."""
        if severity.value in self.exceptions or self.hours.is_open(at_us) == self.outside:
            return at_us
        try:
            return self.hours.next_open(at_us) if self.outside else self.hours.next_close(at_us)
        except OverflowError:
            return at_us


class QuietTimes:
    """Those of a document."""

    def __init__(self, document: Document) -> None:
        self._calendars: Mapping[str, object] = document.calendars
        self._known: dict[Quiet, QuietTime] = {}
        self._receivers = {name: found.quiet for name, found in document.receivers.items() if found.quiet is not None}

    def due_us(self, at_us: int, severity: Severity, route: Quiet | None, receiver: str) -> int:
        """The first instant from ``at_us`` on that is quiet neither for the route nor for the receiver."""
        both = [one for one in (route, self._receivers.get(receiver)) if one is not None]
        for _ in range(_MOST):
            due_us = at_us
            for one in both:
                due_us = self.ends_us(one, due_us, severity)
            if due_us == at_us:
                break
            at_us = due_us
        return at_us

    def ends_us(self, quiet: Quiet | None, at_us: int, severity: Severity) -> int:
        """When a quiet time is over; the instant itself when there is none then."""
        return at_us if quiet is None else self._compiled(quiet).ends_us(at_us, severity)

    def _compiled(self, quiet: Quiet) -> QuietTime:
        if quiet not in self._known:
            if quiet.calendar is not None:
                definition = self._calendars[quiet.calendar]
            else:
                definition = {"timezone": quiet.timezone, "weekly": quiet.weekly}
            hours = Calendar.from_mapping("quiet", definition)  # type: ignore[arg-type]
            self._known[quiet] = QuietTime(hours, quiet.calendar is not None, frozenset(quiet.exceptions))
        return self._known[quiet]
