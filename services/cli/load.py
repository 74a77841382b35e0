"""What a replay brings: counted, and written to Kafka in portions; in a dry run only counted."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import typer

from schemas.failure import Invalid
from services.cli.settings import print_json
from services.ingest.replay import Refusal, Replayed
from services.stream.producer import Producer
from services.stream.record import Outgoing

STOPPED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""

_PORTION: Final = 500
_DEADLINE_S: Final = 30.0
_TOLD: Final = 1000


class Load:
    """Takes what was replayed, one thing at a time. ``producer`` ``None`` is a dry run."""

    def __init__(self, noun: str, producer: Producer | None) -> None:
        self.stopped = False
        self._noun = noun
        self._producer = producer
        self._waiting: list[tuple[str, Outgoing]] = []
        self._read = 0
        self._silent = 0
        self._written = 0
        self._kinds: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._refusals: list[tuple[str, Refusal]] = []

    @property
    def note(self) -> str:
        """Where it stands, for a progress line."""
        records = self._written + len(self._waiting)
        return f"{self._read} {self._noun}, {records} records, {self._refused.total()} refused"

    async def take(self, place: str, replayed: Replayed) -> None:
        """One thing at ``place``. Raises :class:`NotNow` when Kafka does not take what it became."""
        self._read += 1
        self._silent += not replayed.records and replayed.refusal is None
        self._kinds.update(event.kind.value for event in replayed.events)
        if replayed.refusal is not None:
            self._refuse(place, replayed.refusal)
        self._waiting += [(place, record) for record in replayed.records]
        if len(self._waiting) >= _PORTION:
            await self.flush()

    async def flush(self) -> None:
        """Writes what waits. Raises :class:`NotNow`."""
        waiting, self._waiting = self._waiting, []
        if self._producer is None or not waiting:
            self._written += len(waiting)
            return
        try:
            await self._producer.send([record for _, record in waiting], _DEADLINE_S)
        except Invalid:  # one of them is too large; sending the others again does no harm
            for place, record in waiting:
                try:
                    await self._producer.send([record], _DEADLINE_S)
                except Invalid as failure:
                    self._refuse(place, Refusal(failure.reason, failure.detail))
                else:
                    self._written += 1
        else:
            self._written += len(waiting)

    def tell(self, as_json: bool, where: str = "") -> None:
        """The result on stdout, refusals on stderr; ends the command with exit code 1 when something was refused,
        130 when it was stopped before its end. ``where`` says how far it came."""
        if as_json:
            print_json(self._summary())
        else:
            for place, refusal in self._refusals:
                typer.echo(f"{place}: {refusal.reason.value}: {refusal.detail}", err=True)
            if self._refused.total() > len(self._refusals):
                typer.echo(f"… and {self._refused.total() - len(self._refusals)} more", err=True)
            typer.echo(self.line(where))
        if self.stopped:
            raise typer.Exit(STOPPED)
        if self._refused:
            raise typer.Exit(1)

    def line(self, where: str = "") -> str:
        """The result in one line."""
        verb = "would be written" if self._producer is None else "written"
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self._kinds.items()))
        refused = ", ".join(f"{reason} {number}" for reason, number in sorted(self._refused.items()))
        return (
            (f"stopped{where}: " if self.stopped else "")
            + f"{self._read} {self._noun} read, {self._written} records {verb}"
            + (f" ({kinds})" if kinds else "")
            + f", {self._silent} with nothing to say, {self._refused.total()} refused"
            + (f" ({refused})" if refused else "")
        )

    def _refuse(self, place: str, refusal: Refusal) -> None:
        self._refused[refusal.reason.value] += 1
        if len(self._refusals) < _TOLD:
            self._refusals.append((place, refusal))

    def _summary(self) -> dict[str, Any]:
        return {
            "dry_run": self._producer is None,
            "stopped": self.stopped,
            "read": self._read,
            "written": self._written,
            "nothing_to_say": self._silent,
            "kinds": dict(sorted(self._kinds.items())),
            "refused": dict(sorted(self._refused.items())),
            "refusals": [
                {"place": place, "reason": refusal.reason.value, "detail": refusal.detail}
                for place, refusal in self._refusals
            ],
        }
