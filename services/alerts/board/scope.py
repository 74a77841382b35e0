"""What a board is about: all of the support, a team, a channel, or a team on a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alert import Alert
from schemas.state import Who
from services.config.rule import ALL


@dataclass(frozen=True, slots=True)
class Scope:
    """``None`` takes every team or channel. ``kpis`` are tiles as the configuration writes them; empty takes its."""

    team: str | None = None
    channel: str | None = None
    kpis: tuple[str, ...] = ()

    def holds(self, who: Who) -> bool:
        """Whether a ticket with these attributes is on this board."""
        return self.team in (None, who.team) and self.channel in (None, who.channel)

    def concerns(self, alert: Alert) -> bool:
        """Whether an alert is: its team's and channel's, and what names neither, such as a load on everybody."""
        told = alert.labels
        return (self.team is None or told.get("team", self.team) == self.team) and (
            self.channel is None or told.get("channel", self.channel) == self.channel
        )

    def segment(self, cuts: Sequence[Sequence[str]]) -> tuple[str, str | None]:
        """The segment whose KPIs are shown. Where team and channel are not counted together it is the team's, and the
        second value says so."""
        values = {"team": self.team, "channel": self.channel}
        asked = [name for name, value in values.items() if value is not None]
        for cut in cuts:
            if asked and sorted(cut) == sorted(asked):
                return ",".join(f"{name}:{values[name]}" for name in cut), None
        if not asked:
            return ALL, None
        for name in asked:
            if [name] in [list(cut) for cut in cuts]:
                rest = " and ".join(asked)
                return f"{name}:{values[name]}", f"Numbers are of the {name} alone: segments has no [{rest}]."
        return ALL, f"Numbers are of everything: segments has no [{asked[0]}]."
