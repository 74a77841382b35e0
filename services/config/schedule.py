"""``people`` and ``schedules`` of the document: who is told, when, and who else.

Times of day and dates are those of the zone that stands beside them, never of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from services.config.duration import seconds
from services.config.rota import Rota, RotaInvalid

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_CLOCK: Final = r"^([01]\d|2[0-3]):[0-5]\d$"
_END: Final = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"
_HOUR_S: Final = 3600


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"no time zone '{name}'; write an IANA name such as Europe/Paris")
    ZoneInfo(name)
    return name


def _moment(value: Any) -> Any:
    """A date stays one: as an end it means that day's end, which midnight does not."""
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"'{value}' is neither a date (2026-12-24) nor a time (\"2026-12-24 18:00\")")


def _turn(text: str) -> str:
    if not _HOUR_S <= seconds(text) <= 366 * 24 * _HOUR_S or seconds(text) % 60:
        raise ValueError("a turn is from 1h to 366d")
    return text


def _refresh(text: str) -> str:
    if not 60 <= seconds(text) <= 24 * _HOUR_S:
        raise ValueError("must be from 1m to 1d")
    return text


def _calendar_url(secret: SecretStr) -> SecretStr:
    """``webcal`` is how calendars write https."""
    text = re.sub(r"^webcals?://", "https://", secret.get_secret_value())
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or any(c.isspace() for c in text):
        raise ValueError("not an address such as https://host/path.ics")
    if parts.username or parts.password:
        raise ValueError("an address must not hold a user name or a password")
    return SecretStr(text)


def _wait(text: str) -> str:
    if not 60 <= seconds(text) <= 7 * 24 * _HOUR_S:
        raise ValueError("must be from 1m to 7d")
    return text


def _one_or_many(value: Any) -> Any:
    """``["18:00", "09:00"]`` is short for a list with that one span."""
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return (value,)
    return value


def _apart(hours: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """In order and apart, as a calendar wants them."""
    spans = sorted(hours)
    for number, (begin, end) in enumerate(spans):
        over = end <= begin
        if number + 1 < len(spans) and (over or spans[number + 1][0] < end):
            raise ValueError(f"{begin} to {end} and {' to '.join(spans[number + 1])} overlap")
    return tuple(spans)


Clock = Annotated[str, Field(pattern=_CLOCK)]
_Spans = tuple[tuple[Clock, Annotated[str, Field(pattern=_END)]], ...]
Hours = Annotated[_Spans, BeforeValidator(_one_or_many), AfterValidator(_apart), Field(min_length=1, max_length=12)]
Zone = Annotated[str, AfterValidator(_zone)]
Moment = Annotated[date | datetime, BeforeValidator(_moment)]
Person = str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Away(_Part):
    """From the beginning of a date, or a time, to the end of a date, or a time."""

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> Away:
        must_be_in_order(self.since, self.until)
        return self


class Somebody(_Part):
    """A person who can be on call: how they are reached, when they are away, and who then stands in."""

    receivers: tuple[str, ...] = Field(min_length=1, max_length=10)
    cover: Person | None = None
    away: tuple[Away, ...] = ()
    timezone: Zone = "UTC"


class Rotation(_Part):
    """People who take turns of ``length``, the first from ``start`` on, handing over at ``hand_over``; on duty on
    ``days`` between ``hours``. Hours that end before they begin go on past midnight, and belong to the day before."""

    people: tuple[Person, ...] = Field(min_length=1, max_length=100)
    start: Annotated[date, Field(ge=date(1990, 1, 1), le=date(2100, 1, 1))]
    length: Annotated[str, AfterValidator(_turn)] = "1w"
    hand_over: Clock = "09:00"
    days: tuple[Weekday, ...] = Field(WEEKDAYS, min_length=1)
    hours: Hours | None = None

    @property
    def weekly(self) -> dict[str, list[list[str]]]:
        """The days and hours as a calendar has them."""
        return weekly(self.days, self.hours)


class Override(_Part):
    """One person instead of whoever's turn it is."""

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    person: Person

    @model_validator(mode="after")
    def _in_order(self) -> Override:
        must_be_in_order(self.since, self.until)
        return self


class RemoteCalendar(_Part):
    """An iCalendar file at an address, read anew every ``refresh``. Such addresses are secrets: who has one reads."""

    url: Annotated[SecretStr, AfterValidator(_calendar_url)]
    refresh: Annotated[str, AfterValidator(_refresh)] = "15m"
    allow_private: bool = False

    @model_validator(mode="after")
    def _tls(self) -> RemoteCalendar:
        if not self.url.get_secret_value().startswith("https://") and not self.allow_private:
            raise ValueError("url: use https://; http:// is only for addresses in your network (allow_private)")
        return self


class Schedule(_Part):
    """Who is on call: an override before a shift of the ``calendar``, that before the first rotation on duty."""

    timezone: Zone
    rotations: tuple[Rotation, ...] = Field((), max_length=20)
    overrides: tuple[Override, ...] = Field((), max_length=1000)
    calendar: str | RemoteCalendar | None = None
    otherwise: str | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Schedule:
        if not self.rotations and self.calendar is None:
            raise ValueError("give rotations, or a calendar (an iCalendar file)")
        if isinstance(self.calendar, str):
            if "://" in self.calendar:
                raise ValueError("calendar: an address goes into calendar: {url: …}")
            try:
                Rota.read(self.calendar)
            except RotaInvalid as exc:
                raise ValueError(f"calendar: {exc}") from None
        return self


class Quiet(_Part):
    """When messages wait: within ``hours`` on ``days``, or outside the working hours of ``calendar``."""

    hours: Hours | None = None
    days: tuple[Weekday, ...] = Field(WEEKDAYS, min_length=1)
    timezone: Zone | None = None
    calendar: str | None = None
    exceptions: tuple[Literal["critical", "warning", "info"], ...] = Field(("critical",), alias="except")

    @model_validator(mode="after")
    def _one_way(self) -> Quiet:
        if (self.hours is None) == (self.calendar is None):
            raise ValueError("give either hours (quiet within them) or calendar (quiet outside it)")
        if (self.hours is None) != (self.timezone is None):
            raise ValueError("timezone: hours need one; a calendar has its own")
        if self.hours is not None and len(self.days) == 7 and _whole_days(self.hours):
            raise ValueError("hours: always quiet; whoever wants no messages needs no route")
        return self

    @property
    def weekly(self) -> dict[str, list[list[str]]]:
        """The quiet hours as a calendar has them."""
        return weekly(self.days, self.hours)


class EscalationStep(_Part):
    """Whom else to tell when nobody took the alert on ``after`` it was told."""

    after: Annotated[str, AfterValidator(_wait)]
    to: str


def weekly(days: tuple[Weekday, ...], hours: Hours | None) -> dict[str, list[list[str]]]:
    """``days`` and ``hours`` as the ``weekly`` of a calendar; times past midnight are beyond 24:00 there."""
    spans = sorted(
        (begin, end if end > begin else _past_midnight(end)) for begin, end in hours or (("00:00", "24:00"),)
    )
    return {day: [list(span) for span in spans] for day in WEEKDAYS if day in days}


def _past_midnight(clock: str) -> str:
    return f"{int(clock[:2]) + 24}{clock[2:]}"


def _whole_days(hours: Hours) -> bool:
    return any(begin == end or (begin, end) == ("00:00", "24:00") for begin, end in hours)


def must_be_in_order(since: date | datetime, until: date | datetime) -> None:
    """Raises ``ValueError`` when the span is empty. The end of a date is that of its day."""
    begin, end = _wall(since), _wall(until)
    if not isinstance(until, datetime):
        end += timedelta(days=1)
    if (begin.tzinfo is None) != (end.tzinfo is None):
        return  # that depends on the zone
    if begin >= end:
        raise ValueError("to: must be later than from")


def _wall(at: date | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time())


def problems(
    people: Mapping[str, Somebody], schedules: Mapping[str, Schedule], receivers: Mapping[str, object]
) -> list[str]:
    """Names that people and schedules use and nobody has, with what there is."""
    found: list[str] = []

    def known(where: str, noun: str, name: str | None, there: Mapping[str, object]) -> None:
        if name is not None and name not in there:
            found.append(f"{where}: no {noun} '{name}' (there is: {', '.join(there) or 'none'})")

    for name, person in people.items():
        for number, receiver in enumerate(person.receivers):
            known(f"people.{name}.receivers[{number}]", "receiver", receiver, receivers)
        known(f"people.{name}.cover", "person", person.cover, people)
        if person.cover == name:
            found.append(f"people.{name}.cover: somebody else has to stand in")
    for name, schedule in schedules.items():
        for number, rotation in enumerate(schedule.rotations):
            for place, who in enumerate(rotation.people):
                known(f"schedules.{name}.rotations[{number}].people[{place}]", "person", who, people)
        for number, override in enumerate(schedule.overrides):
            known(f"schedules.{name}.overrides[{number}].person", "person", override.person, people)
        known(f"schedules.{name}.otherwise", "receiver", schedule.otherwise, receivers)
        if isinstance(schedule.calendar, str):
            for who in sorted(Rota.read(schedule.calendar).names()):
                known(f"schedules.{name}.calendar", "person", who, people)
    return found
