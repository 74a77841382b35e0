"""The five answers, each understood or refused at once with a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from pydantic import TypeAdapter, ValidationError

from schemas.ticket import Priority
from services.config.document import NAME
from services.config.duration import seconds
from services.config.receiver import Url
from services.ingest.normalise import VENDORS
from services.ingest.verify import WAYS, chosen

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS: Final = "always"
NONE: Final = "none"
HERE: Final = "here"
ALERTS: Final = (HERE, "webhook", "slack", "teams", "pagerduty", NONE)
BOARD: Final = ("token", "open")
_DAYS: Final = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_url: Final[TypeAdapter[str]] = TypeAdapter(Url)

Weekly = dict[str, list[tuple[str, str]]]
Targets = dict[str, str]


@dataclass(frozen=True, slots=True)
class Helpdesk:
    """A source: its name in the URL, its vendor, and what that needs to know."""

    name: str
    vendor: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def variable(self) -> str:
        """The name of the variable with its secret."""
        return f"{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}_SECRET"

    @property
    def guide(self) -> str:
        """The page that says where to click."""
        return f"docs/guides/connect-{self.vendor.replace('_', '-')}.md"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Where they go: a kind of :data:`ALERTS`, and its address or key, if it is known already."""

    kind: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All five."""

    helpdesks: tuple[Helpdesk, ...]
    timezone: str
    weekly: Weekly
    first_response: Targets
    resolution: Targets
    alerts: Alerts
    board: str


def helpdesks(text: str) -> tuple[Helpdesk, ...]:
    """``zendesk, shop=gorgias``: vendors, each with a name for the source if it is to have another. Raises
    ``ValueError``."""
    found: list[Helpdesk] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, vendor = part.partition("=")
        name, vendor = name.strip().lower(), (vendor if equals else name).strip().lower().replace("-", "_")
        if vendor not in VENDORS:
            raise ValueError(f"'{vendor}' is none of: {', '.join(VENDORS)}; anything else can post to generic")
        if re.fullmatch(NAME, name) is None:
            raise ValueError(f"'{name}' is no name: small letters, digits, - and _, at most 63")
        one = Helpdesk(name if equals else vendor, vendor)
        if one.variable in {other.variable for other in found}:
            raise ValueError(f"'{one.name}' is there twice; give names: eu=zendesk, us=zendesk")
        found.append(one)
    if not found:
        raise ValueError(f"name at least one of: {', '.join(VENDORS)}")
    return tuple(found)


def needed(vendor: str) -> tuple[str, ...]:
    """The options without which a source of ``vendor`` cannot be: those of its first way to authenticate, and the
    required ones of its payloads."""
    required = [one.encode_name for one in msgspec.structs.fields(VENDORS[vendor].options) if one.required]
    return (*next(iter(WAYS[vendor].values())).needs, *required)


def option_problem(vendor: str, name: str, value: str) -> str | None:
    """What is wrong with the value of a needed option, if anything."""
    try:
        chosen(vendor, {name: value})
    except ValueError as exc:
        return next((line for line in str(exc).split("\n") if line.startswith(f"{name}: ")), None)
    return None


def timezone(text: str) -> str:
    """An IANA name. Raises ``ValueError``."""
    try:
        ZoneInfo(text.strip())
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{text}' is no time zone; write one like Europe/Paris, America/New_York or UTC") from None
    return text.strip()


def hours(text: str) -> Weekly:
    """``mon-thu 09:00-12:30,13:30-18:00; fri 09:00-17:00``, or ``always``. Raises ``ValueError``."""
    if text.strip().lower() == ALWAYS:
        return {day: [("00:00", "24:00")] for day in DAYS}
    weekly: Weekly = {}
    for part in filter(None, (part.strip().lower() for part in text.split(";"))):
        days, _, spans = part.partition(" ")
        match = _DAYS.fullmatch(days)
        if match is None:
            raise ValueError(f"'{days}' are no days; write mon-fri 09:00-18:00; sat 10:00-14:00, or always")
        first, last = DAYS.index(match[1]), DAYS.index(match[2] or match[1])
        if last < first:
            raise ValueError(f"'{days}': give the days from mon to sun")
        for day in DAYS[first : last + 1]:
            if day in weekly:
                raise ValueError(f"{day} is there twice")
            weekly[day] = _spans(spans)
    if not weekly:
        raise ValueError("write when the team works: mon-fri 09:00-18:00, or always")
    return weekly


def _spans(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        begin, end = (f"{match[1]}:{match[2]}", f"{match[3]}:{match[4]}") if match else ("", "")
        if not begin < end or end > "24:00":
            raise ValueError(f"'{part.strip()}' is no time of work; write 09:00-18:00")
        if found and begin < found[-1][1]:
            raise ValueError(f"'{part.strip()}' begins before {found[-1][1]}")
        found.append((begin, end))
    return found


def targets(text: str) -> Targets:
    """``urgent 30m, high 1h, normal 4h, low 8h``; a single ``4h`` is for every priority, ``none`` no promise. Raises
    ``ValueError``."""
    if text.strip().lower() in ("", NONE):
        return {}
    found: Targets = {}
    for part in (part.strip() for part in text.split(",")):
        words = part.split()
        name, length = (words[0].lower(), words[1]) if len(words) == 2 else ("*", part)
        if name not in (*Priority, "*"):
            raise ValueError(f"'{part}': a priority is one of {', '.join(reversed(Priority))}, then a time such as 4h")
        if name in found:
            raise ValueError(f"'{part}': this priority is there twice")
        if seconds(length) <= 0:
            raise ValueError(f"'{part}': a promise of no time cannot be kept")
        found[name] = length
    return found


def alerts(text: str) -> Alerts:
    """``here``, ``webhook=https://…``, ``slack``, ``slack=https://hooks…``, ``teams``, ``pagerduty=KEY`` or ``none``.
    Raises ``ValueError``."""
    kind, equals, value = (part.strip() for part in text.strip().partition("="))
    kind = kind.lower()
    if kind not in ALERTS:
        raise ValueError(f"'{kind}' is none of {', '.join(ALERTS)}")
    if equals and kind in (HERE, NONE):
        raise ValueError(f"{kind} takes no address")
    if kind == "webhook" and not value:
        raise ValueError("give the address too: webhook=https://example.com/hooks/deskpulse")
    if value and kind != "pagerduty":
        try:
            _url.validate_python(value)
        except ValidationError as exc:
            raise ValueError(exc.errors()[0]["msg"].removeprefix("Value error, ")) from None
        if not value.startswith("https://"):
            raise ValueError("use https://; here is for an address on this machine")
    if kind == "pagerduty" and value and re.fullmatch(r"[\w-]{32}", value, re.ASCII) is None:
        raise ValueError("that is no integration key of PagerDuty: 32 letters and digits")
    return Alerts(kind, value or None)


def board(text: str) -> str:
    """``token`` or ``open``. Raises ``ValueError``."""
    if text.strip().lower() not in BOARD:
        raise ValueError("write token (whoever has it may look), or open (everybody who reaches the port)")
    return text.strip().lower()


def as_json(answers: Answers) -> dict[str, Any]:
    """For --json, without what is secret."""
    return {
        "helpdesks": {one.name: one.vendor for one in answers.helpdesks},
        "timezone": answers.timezone,
        "hours": {day: [list(span) for span in spans] for day, spans in answers.weekly.items()},
        "first_response": answers.first_response,
        "resolution": answers.resolution,
        "alerts": answers.alerts.kind,
        "board": answers.board,
    }
