"""``silences`` of the document: planned work during which alerts are nobody's news, once or every week."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.config.schedule import WEEKDAYS, Hours, Moment, Weekday, Zone, must_be_in_order, weekly

Label = Annotated[str, Field(min_length=1, max_length=64)]
Values = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(min_length=1, max_length=100)]
Match = Annotated[dict[Label, Values], Field(min_length=1, max_length=20)]
"""Labels with the values of which an alert must have one, as in a route. Never empty: a silence says what it hushes."""


class PlannedSilence(BaseModel):
    """A silence by its ``name``: from one time to another, or each week within ``hours`` on ``days``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    match: Match
    comment: str = Field(min_length=1, max_length=500)
    timezone: Zone
    since: Moment | None = Field(None, alias="from")
    until: Moment | None = Field(None, alias="to")
    hours: Hours | None = None
    days: tuple[Weekday, ...] = Field(WEEKDAYS, min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> PlannedSilence:
        if (self.since is None) != (self.until is None):
            raise ValueError("from and to: give both, or hours for every week")
        if (self.since is None) == (self.hours is None):
            raise ValueError("give either from and to, or hours (every week on days)")
        if self.since is not None and self.until is not None:
            must_be_in_order(self.since, self.until)
        if self.hours is not None and len(self.days) == 7 and any(_whole(*span) for span in self.hours):
            raise ValueError("hours: always silent; a route that does not match it is plainer")
        return self

    @property
    def weekly(self) -> dict[str, list[list[str]]]:
        """The hours as a calendar has them."""
        return weekly(self.days, self.hours)


def _whole(begin: str, end: str) -> bool:
    return begin == end or (begin, end) == ("00:00", "24:00")
