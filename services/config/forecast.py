"""``forecast`` of the document: what nobody can count of the work that comes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from services.config.duration import percent, seconds


def _handle(text: str) -> str:
    if seconds(text) > 8 * 3600:
        raise ValueError(f"'{text}' of work for one ticket; write what an agent spends on it, such as 12m, up to 8h")
    return text


def _part(text: str) -> str:
    found = percent(text)
    if text.strip() != "100%" and (found is None or found < 0.2):
        raise ValueError(f"'{text}' is no part of an hour; write for example 80%, from 20% to 100%")
    return text


class ForecastChoices(BaseModel):
    """``handle_time`` is what an agent spends on one ticket, by segment, ``"*"`` for all others; of presence, the part
    ``occupancy`` can be spent so. ``calendar`` says which days are closed, and in which zone a day begins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calendar: str | None = None
    handle_time: dict[str, Annotated[str, AfterValidator(_handle)]] = {}
    occupancy: Annotated[str, AfterValidator(_part)] = "85%"

    def handle_s(self, segment: str) -> float | None:
        """Work for one ticket of ``segment``; ``None`` where nobody says."""
        found = self.handle_time.get(segment, self.handle_time.get("*"))
        return float(seconds(found)) if found is not None else None

    @property
    def part(self) -> float:
        """The occupancy, 0 to 1."""
        return percent(self.occupancy) or 1.0
