"""The YAML document: what support people decide. Read once, checked whole, frozen.

``${NAME}`` takes a value from the environment. A document with problems is refused with one line for each, so
that nothing runs half-configured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from schemas.sla import SlaMetric
from schemas.ticket import Priority, Status
from services.config.access import Api, ApiToken
from services.config.access import problems as access_problems
from services.config.board import BoardChoices
from services.config.duration import percent, seconds
from services.config.forecast import ForecastChoices
from services.config.links import Links
from services.config.receiver import Receiver, Url
from services.config.report import ReportPlan
from services.config.report import problems as report_problems
from services.config.rule import AnyRule, cut_problem
from services.config.rule import problems as rule_problems
from services.config.schedule import EscalationStep, Quiet, Schedule, Somebody
from services.config.schedule import problems as schedule_problems
from services.config.segment import problem as segment_problem
from services.config.silence import PlannedSilence

_RULE_PLACE = re.compile(r"^rules\[\d+\](?:\.[a-z_]+(?:\[\d+\])?)*(?=: )")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SAFE = re.compile(r"https://|http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)")
DAY_S: Final = 86_400
NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class ConfigInvalid(Exception):
    """The document cannot be used. ``problems`` has a line for each mistake: where, what, and the fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _duration(text: str) -> str:
    seconds(text)
    return text


def _threshold(text: str) -> str:
    if percent(text) is None:
        try:
            seconds(text)
        except ValueError:
            raise ValueError(f"'{text}' is neither a share of the target (75%) nor a time before it (15m)") from None
    return text


def _network(text: str) -> str:
    ip_network(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Threshold = Annotated[str, AfterValidator(_threshold)]
Network = Annotated[str, AfterValidator(_network)]
Name = Annotated[str, Field(pattern=NAME)]
PersonalField = Literal["subject", "message_body", "requester_name", "requester_email"]
Dimension = Literal["source", "channel", "team", "agent", "priority", "brand", "tier", "tag"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """One helpdesk account that posts to ``/webhooks/{name}``.

    ``options`` say how the vendor authenticates (``auth``, and what that way needs) and what is particular to its
    payloads. ``keep`` names what of a person may stand in canonical events; ``raw_retention`` gives the source's raw
    webhooks a topic of their own that keeps them for so long. ``allow_from`` empty takes requests from anywhere;
    ``max_per_s`` counts proved deliveries, and ``max_concurrent`` requests that are being read or answered.
    ``spool`` says whether webhooks are kept on disk and accepted while Kafka is away; ``auto`` leaves it to what the
    vendor is known to send again. ``delivery_delay`` is how late webhooks may come without a promise being called
    broken meanwhile.
    """

    vendor: str
    secrets: tuple[SecretStr, ...] = Field(min_length=1)
    tolerance_s: int = Field(300, ge=1, le=86_400)
    keep: tuple[PersonalField, ...] = ()
    keep_raw: bool = True
    raw_retention: Duration | None = None
    max_depth: int = Field(1024, ge=16, le=1024)
    hash_key: SecretStr | None = None
    ticket_url: str | None = None
    allow_from: tuple[Network, ...] = ()
    max_per_s: int = Field(2000, ge=1, le=1_000_000)
    max_concurrent: int = Field(128, ge=1, le=10_000)
    spool: bool | Literal["auto"] = "auto"
    delivery_delay: Duration | None = None
    options: dict[str, Any] = {}

    def link(self, ticket_id: str) -> str | None:
        """Where a ticket can be opened, if ``ticket_url`` says so."""
        return self.ticket_url.replace("{ticket_id}", quote(ticket_id, safe="")) if self.ticket_url else None

    @model_validator(mode="after")
    def _raw_is_kept(self) -> Source:
        if self.raw_retention is not None and not self.keep_raw:
            raise ValueError("raw_retention: nothing is kept raw with keep_raw: false; leave one of the two out")
        return self


class Policy(_Part):
    """Promises: the first policy whose ``match`` fits the ticket gives every metric its target, by priority."""

    name: Name
    match: dict[Dimension, tuple[str, ...]] = {}
    calendar: str | None = None
    warn_at: tuple[Threshold, ...] = ("50%", "75%", "90%")
    targets: dict[SlaMetric, dict[Priority | Literal["*"], Duration | None]]
    pause_on: dict[SlaMetric, tuple[Status, ...]] = {}
    next_response_from: Literal["first_reply", "first_message"] = "first_reply"

    def __hash__(self) -> int:
        return id(self)


class Escalation(_Part):
    """What counts as an escalation besides one that the helpdesk says was raised."""

    priorities: tuple[Priority, ...] = (Priority.URGENT,)
    teams: tuple[str, ...] = ()


class KpiChoices(_Part):
    """Choices that the definitions of KPIs leave open."""

    first_contact_days: int = Field(7, ge=1, le=90)
    escalation: Escalation = Escalation()


class Retention(_Part):
    """How long the state remembers what is done with."""

    closed_tickets: Duration | Literal["never"] = "90d"

    @property
    def closed_tickets_s(self) -> int | None:
        """In seconds; ``None``: nothing is ever forgotten."""
        return None if self.closed_tickets == "never" else seconds(self.closed_tickets)


class Route(_Part):
    """Alerts whose labels match go to ``receiver``, or to whoever is on call by ``schedule``; an empty match takes all.
    Every matching route is used; ``escalate`` is that of the first which has one."""

    receiver: str | None = None
    schedule: str | None = None
    match: dict[str, tuple[str, ...]] = {}
    quiet: Quiet | None = None
    escalate: tuple[EscalationStep, ...] = Field((), max_length=10)

    @model_validator(mode="after")
    def _one_way(self) -> Route:
        if (self.receiver is None) == (self.schedule is None):
            raise ValueError("give either receiver, or schedule (whoever is on call)")
        return self

    @model_validator(mode="after")
    def _steps_in_order(self) -> Route:
        waits = [seconds(step.after) for step in self.escalate]
        if sorted(set(waits)) != waits:
            raise ValueError("escalate: give the steps in order, each with a longer `after`")
        return self


class Document(_Part):
    """The whole configuration."""

    sources: dict[Name, Source] = {}
    calendars: dict[Name, dict[str, Any]] = {}
    business_calendar: str | None = None
    sla_policies: tuple[Policy, ...] = ()
    segments: tuple[tuple[Dimension, ...], ...] = (("channel",), ("team",), ("priority",), ("agent",))
    segment_limit: int = Field(1000, ge=1, le=100_000)
    segment_limits: dict[str, Annotated[int, Field(ge=1, le=100_000)]] = {}
    windows: tuple[Duration, ...] = Field(("15m", "1h", "24h", "7d", "28d"), min_length=1)
    kpis: KpiChoices = KpiChoices()
    retention: Retention = Retention()
    forecast: ForecastChoices = ForecastChoices()
    rules: tuple[AnyRule, ...] = Field((), max_length=500)
    receivers: dict[Name, Receiver] = {}
    people: dict[Name, Somebody] = {}
    schedules: dict[Name, Schedule] = {}
    routes: tuple[Route, ...] = ()
    silences: tuple[PlannedSilence, ...] = Field((), max_length=200)
    reports: tuple[ReportPlan, ...] = Field((), max_length=200)
    api_tokens: tuple[ApiToken, ...] = ()
    api: Api = Api()
    board: BoardChoices = BoardChoices()
    board_url: Url | None = None
    runbooks_url: Url | None = None
    links: Links | None = None

    @model_validator(mode="after")
    def _references_exist(self) -> Document:
        problems = []
        known = ", ".join(self.calendars) or "none"
        if self.business_calendar is not None and self.business_calendar not in self.calendars:
            problems.append(f"business_calendar: no calendar '{self.business_calendar}' (there is: {known})")
        if self.forecast.calendar is not None and self.forecast.calendar not in self.calendars:
            problems.append(f"forecast.calendar: no calendar '{self.forecast.calendar}' (there is: {known})")
        problems += [
            f"forecast.handle_time: {problem}"
            for segment in self.forecast.handle_time
            if segment != "*" and (problem := segment_problem(segment, self.segments)) is not None
        ]
        for number, policy in enumerate(self.sla_policies):
            where = f"sla_policies[{number}]"
            if policy.calendar is not None and policy.calendar not in self.calendars:
                problems.append(f"{where}.calendar: no calendar '{policy.calendar}' (there is: {known})")
            if policy.name in {other.name for other in self.sla_policies[:number]}:
                problems.append(f"{where}.name: '{policy.name}' is used twice; names identify a policy in alerts")
        for number, route in enumerate(self.routes):
            if route.receiver is not None and route.receiver not in self.receivers:
                there = ", ".join(self.receivers) or "none"
                problems.append(f"routes[{number}].receiver: no receiver '{route.receiver}' (there is: {there})")
            if route.schedule is not None and route.schedule not in self.schedules:
                there = ", ".join(self.schedules) or "none"
                problems.append(f"routes[{number}].schedule: no schedule '{route.schedule}' (there is: {there})")
            if route.quiet is not None and route.quiet.calendar not in (None, *self.calendars):
                problems.append(
                    f"routes[{number}].quiet.calendar: no calendar '{route.quiet.calendar}' (there is: {known})"
                )
            problems += [
                f"routes[{number}].escalate[{place}].to: {problem}"
                for place, step in enumerate(route.escalate)
                if (problem := self._unclear(step.to)) is not None
            ]
        problems += [
            f"receivers.{name}.quiet.calendar: no calendar '{receiver.quiet.calendar}' (there is: {known})"
            for name, receiver in self.receivers.items()
            if receiver.quiet is not None and receiver.quiet.calendar not in (None, *self.calendars)
        ]
        if self.links is not None and not _for_links(self.board_url):
            problems.append("links: need board_url, where people reach the API, with https:// (or on this machine)")
        names = [silence.name for silence in self.silences]
        problems += [
            f"silences[{number}].name: '{name}' is used twice; names identify a silence in alerts"
            for number, name in enumerate(names)
            if name in names[:number]
        ]
        problems += access_problems(self.api_tokens)
        problems += schedule_problems(self.people, self.schedules, self.receivers)
        problems += report_problems(
            self.reports, self.people, self.schedules, self.receivers, self.calendars, self.segments
        )
        for number, segment in enumerate(self.segments):
            if not segment or len(set(segment)) != len(segment):
                problems.append(f"segments[{number}]: name each dimension once, at least one")
        cuts = [",".join(segment) for segment in self.segments]
        problems += [
            f"segment_limits.{cut}: no such segment (there is: {'; '.join(cuts) or 'none'})"
            for cut in sorted(self.segment_limits.keys() - set(cuts))
        ]
        for number, cut in enumerate(cuts):
            if cut in cuts[:number]:
                problems.append(f"segments[{number}]: '{cut}' is there twice")
        for number, rule in enumerate(self.rules):
            if rule.name in {other.name for other in self.rules[:number]}:
                problems.append(f"rules[{number}].name: '{rule.name}' is used twice; names identify a rule in alerts")
            problem = cut_problem(rule, self.segments)
            if problem is not None:
                problems.append(f"rules[{number}].{problem}")
        if "window" in self.board.model_fields_set and self.board.window not in self.windows:
            problems.append(f"board.window: no window '{self.board.window}' (there is: {', '.join(self.windows)})")
        horizon_s, days = self.retention.closed_tickets_s, self.kpis.first_contact_days
        if horizon_s is not None and horizon_s < days * DAY_S:
            problems.append(
                f"retention.closed_tickets: at least {days}d (kpis.first_contact_days): until then a reopening counts"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unclear(self, name: str) -> str | None:
        """Why ``name`` does not say whom to tell."""
        nouns = [
            noun
            for noun, there in (
                ("receiver", name in self.receivers),
                ("schedule", name in self.schedules),
                ("person", name in self.people),
            )
            if there
        ]
        if not nouns:
            return f"no receiver, schedule or person '{name}'"
        if len(nouns) > 1:
            return f"'{name}' is a {' and a '.join(nouns)}; give one of them another name"
        return None

    def ticket_url(self, source: str, ticket_id: str) -> str | None:
        """Where a ticket can be opened in its helpdesk, if the source says so."""
        found = self.sources.get(source)
        return found.link(ticket_id) if found is not None else None

    @property
    def board_window(self) -> str:
        """The window of the board's numbers: the configured one, else a day where there is one, else the longest."""
        return self.board.window if self.board.window in self.windows else max(self.windows, key=seconds)

    @property
    def windows_s(self) -> dict[str, int]:
        """Window names as written, with their length in seconds, in the order of the document."""
        return {window: seconds(window) for window in self.windows}


def _for_links(board_url: str | None) -> bool:
    """Whether links may lead there: what is in them is worth a secret."""
    return board_url is not None and _SAFE.match(board_url) is not None


def raw_retentions(path: Path, environment: Mapping[str, str]) -> dict[str, int]:
    """How long each source that says so keeps its raw webhooks, in seconds, by name. Nothing else of the document is
    looked at: whoever makes topics need not have its secrets. Raises :class:`ConfigInvalid`."""
    found: dict[str, int] = {}
    problems: list[str] = []
    sources = _mapping(_text(path)).get("sources")
    for name, source in (sources if isinstance(sources, dict) else {}).items():
        value = source.get("raw_retention") if isinstance(source, dict) else None
        if value is None:
            continue
        missing: list[str] = []
        text = _filled(value, environment, f"sources.{name}.raw_retention", missing)
        if re.fullmatch(NAME, str(name)) is None:
            missing.append(f"sources.{name}: a name has small letters, digits, - and _, at most 63")
        try:
            found[str(name)] = seconds(str(text)) if not missing else 0
        except ValueError as exc:
            missing.append(f"sources.{name}.raw_retention: {exc}")
        problems += missing
    if problems:
        raise ConfigInvalid(problems)
    return found


def load(path: Path, environment: Mapping[str, str]) -> Document:
    """The document at ``path``. Raises :class:`ConfigInvalid` with a line per problem."""
    return parse(_text(path), environment)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigInvalid([f"{path}: cannot be read ({exc.strerror})"]) from None


def parse(text: str, environment: Mapping[str, str]) -> Document:
    """The document in ``text``. Raises :class:`ConfigInvalid` with a line per problem."""
    missing: list[str] = []
    filled = _filled(_mapping(text), environment, "", missing)
    if missing:
        raise ConfigInvalid(missing)
    try:
        return Document.model_validate(filled)
    except ValidationError as exc:
        raise ConfigInvalid(_placed(text, _lines(exc))) from None


def _mapping(text: str) -> dict[Any, Any]:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigInvalid([f"{where}not YAML ({getattr(exc, 'problem', None) or 'unreadable'})"]) from None
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ConfigInvalid(["the document must be a mapping of sources, calendars, sla_policies, …"])
    return raw


def _filled(value: Any, environment: Mapping[str, str], where: str, missing: list[str]) -> Any:
    if isinstance(value, dict):
        return {str(k): _filled(v, environment, f"{where}.{k}" if where else str(k), missing) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, environment, f"{where}[{n}]", missing) for n, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def found(reference: re.Match[str]) -> str:
        name = reference[1]
        if not environment.get(name):
            missing.append(f"{where}: the environment variable {name} is not set")
        return environment.get(name, "")

    return _REFERENCE.sub(found, value)


def _lines(exc: ValidationError) -> list[str]:
    lines: list[str] = []
    for error in exc.errors(include_url=False, include_input=False):
        if error["loc"][:1] == ("rules",) and len(error["loc"]) > 1:
            continue  # said below, in the words of rules
        where = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"] if part != "[key]"
        ).lstrip(".")
        message = error["msg"].removeprefix("Value error, ")
        lines += [line if not where else f"{where}: {line}" for line in message.split("\n")]
    return lines + rule_problems(exc)


def _placed(text: str, lines: list[str]) -> list[str]:
    """``lines`` about rules with the line of the document: ``rules[2].kpi (line 40): …``. A document has many rules,
    and nobody counts them."""
    root = yaml.compose(text, yaml.SafeLoader)
    found = []
    for line in lines:
        where = _RULE_PLACE.match(line)
        found.append(line if where is None else f"{where[0]} (line {_line(root, where[0])}){line[where.end() :]}")
    return found


def _line(node: yaml.Node | None, where: str) -> int:
    """The line, from 1, of the place, or of the last part of it that is there."""
    number = 1
    for part in re.findall(r"[^.\[\]]+", where):
        key: yaml.Node | None = None
        if isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            key = node = node.value[int(part)]
        elif isinstance(node, yaml.MappingNode):
            key, node = next(((k, v) for k, v in node.value if k.value == part), (None, None))
        if key is None:
            break
        number = key.start_mark.line + 1
    return number
