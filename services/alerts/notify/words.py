"""A message in words, before a channel gives it its form: nothing here is escaped yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from schemas.alert import Alert, AlertEvent, AlertState, Transition
from schemas.instant import from_datetime, to_rfc3339
from services.alerts.digest import Counts, Digest, severity
from services.alerts.link import Action, Signer
from services.alerts.message import Bulletin, Gathered, Notice, Trial
from services.alerts.report import words as report_words
from services.alerts.report.report import Report
from services.config import template
from services.config.template import Template

_FACTS: Final = ("team", "agent", "priority", "channel", "tier", "brand", "policy")
_TITLE: Final = 300
_TEXT: Final = 2_000
_LINE: Final = 900
TRIAL_TITLE: Final = "Test message, no alert"


class Tone(StrEnum):
    """How a message should look."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    QUIET = "quiet"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Link:
    """``url`` is http or https."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """One alert of a digest."""

    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """``label`` is the state in a word. With ``own`` the operator's template takes the place of title and text."""

    label: str
    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]
    tone: Tone
    rows: tuple[Row, ...] = ()
    sections: tuple[Section, ...] = ()
    own: Callable[[Callable[[str], str]], str] | None = None

    @property
    def headline(self) -> str:
        """State and title in one line."""
        return f"{self.label}: {self.title}"

    def body(self, escape: Callable[[str], str]) -> str:
        """The operator's template, or the text, escaped for the channel."""
        return self.own(escape) if self.own is not None else escape(self.text)


@dataclass(frozen=True, slots=True)
class Wording:
    """How one receiver is spoken to. ``worst`` alerts of a digest are named; ``signer`` makes links that act."""

    board_url: str | None = None
    runbooks_url: str | None = None
    message: Template | None = None
    worst: int = 10
    receiver: str = ""
    signer: Signer | None = None

    def signed(self, event: AlertEvent) -> dict[Action, str]:
        """The links that act on the alert for whoever has them; none where none are wanted."""
        return {} if self.signer is None else self.signer.urls(event, self.receiver)

    def alert_url(self, alert: Alert) -> str | None:
        """The board, which shows this alert first."""
        return _below(self.board_url, f"/?alert={quote(alert.alert_id, safe='')}")

    def numbers_url(self, alert: Alert) -> str | None:
        """The page of the KPI that a rule judged, as it judged it."""
        if alert.query is None:
            return None
        asked = urlsplit(alert.query)  # /v1/kpis/{kpi}/series?…
        shown = [(name, value) for name, value in parse_qsl(asked.query) if name in ("window", "segment")]
        return _below(self.board_url, f"/kpis/{asked.path.split('/')[3]}?{urlencode(shown)}")

    def list_url(self, digest: Digest) -> str | None:
        """Where everything that a digest holds can be looked at."""
        return _below(self.board_url, f"/v1/deliveries/{quote(digest.digest_id, safe='')}")

    def runbook_url(self, alert: Alert) -> str | None:
        """Where it says what to do."""
        if alert.runbook is None or alert.runbook.startswith(("https://", "http://")):
            return alert.runbook
        return _below(self.runbooks_url, "/" + alert.runbook.rpartition("/")[2])

    def of(self, message: Notice | Gathered | Trial | Bulletin) -> Words:
        """The words of a message."""
        match message:
            case Notice():
                return self.event(message.event)
            case Gathered():
                return self.digest(message.digest)
            case Bulletin():
                return self.report(message.report)
            case Trial():
                return Words(
                    label="Test",
                    title=TRIAL_TITLE,
                    text=f"Somebody asked Deskpulse to try the receiver {clean(message.receiver)}. It works.",
                    facts=(),
                    links=(Link("Board", self.board_url),) if self.board_url else (),
                    tone=Tone.INFO,
                )

    def event(self, event: AlertEvent) -> Words:
        """One alert, its state first."""
        alert = event.alert
        label, tone = _label(event)
        done = _done(event)
        text = f"{done} {alert.detail}" if done else alert.detail
        if alert.why is not None and event.transition is Transition.FIRED:
            text = f"{text} Why: {alert.why.said}"
        signed = self.signed(event)
        links = [("Acknowledge", signed.get(Action.ACKNOWLEDGE)), ("Snooze 1 h", signed.get(Action.SNOOZE))]
        links += [(f"Ticket {shown.ticket_id}", shown.url) for shown in alert.evidence[:3]]
        links += [("Alert", signed.get(Action.OPEN) or self.alert_url(alert)), ("Numbers", self.numbers_url(alert))]
        links += [("Runbook", self.runbook_url(alert))]
        own = self.message
        values = self._values(event)
        return Words(
            label=label,
            title=clean(alert.title, _TITLE),
            text=clean(text, _TEXT),
            facts=tuple((name.capitalize(), clean(alert.labels[name], 120)) for name in _FACTS if name in alert.labels),
            links=tuple(Link(label, url) for label, url in links if url and _is_web(url)),
            tone=tone,
            own=None if own is None else lambda escape: own.filled(values, escape),
        )

    def report(self, report: Report) -> Words:
        """A leader's report: the headline, and its parts as sections."""
        path = f"/v1/reports/{report.name}?at={to_rfc3339(report.due_us)}&format=markdown"
        url = _below(self.board_url, path)
        return Words(
            label="Digest",
            title=report_words.title(report).removeprefix("Digest of "),
            text=f"{report.headline} {report_words.period(report)}",
            facts=(),
            links=(Link("As it was sent", url),) if url and _is_web(url) else (),
            tone=Tone.INFO,
            sections=tuple(
                Section(
                    part.title,
                    tuple(
                        Row(clean(line.text, _LINE), line.url if line.url and _is_web(line.url) else None)
                        for line in part.lines
                    ),
                )
                for part in report_words.parts(report)
            ),
        )

    def digest(self, digest: Digest) -> Words:
        """Many alerts: how many of which kind, and the worst of them."""
        shown = digest.events[: self.worst]
        counted = digest.opened or digest.ended
        word = "alert" if counted == 1 else "alerts"
        if digest.opened:
            worst = ", ".join(f"{number} {name}" for name, number in digest.by_severity)
            title = f"{counted} {word} ({worst})" + (f", {digest.ended} ended" if digest.ended else "")
        else:
            title = f"{counted} {word} ended"
        more = len(digest.events) - len(shown)
        since, until = (to_rfc3339(from_datetime(at))[:19] + "Z" for at in (digest.since, digest.until))
        text = f"Gathered from {since} to {until}, since there were many."
        if more:
            text += f" The worst {len(shown)} are named here; {more} more are in the full list."
        url = self.list_url(digest)
        return Words(
            label="Digest",
            title=title,
            text=text,
            facts=(("Teams", _said(digest.by_team)), ("Metrics", _said(digest.by_metric))),
            links=(Link("Full list", url),) if url and _is_web(url) else (),
            tone=Tone(severity(digest).value) if digest.opened else Tone.GOOD,
            rows=tuple(self._row(event) for event in shown),
        )

    def _row(self, event: AlertEvent) -> Row:
        alert = event.alert
        ticket = next((shown.url for shown in alert.evidence if shown.url), None)
        url = (ticket if alert.query is None else None) or self.alert_url(alert) or ticket
        return Row(f"{_label(event)[0]}: {clean(alert.title, 200)}", url if url and _is_web(url) else None)

    def _values(self, event: AlertEvent) -> dict[str, str | None]:
        alert = event.alert
        first = alert.evidence[0] if alert.evidence else None
        given: dict[str, str | None] = {
            "title": alert.title,
            "detail": alert.detail,
            "severity": alert.severity.value,
            "state": alert.state.value,
            "transition": event.transition.value,
            "actor": event.actor,
            "ticket": first.ticket_id if first else None,
            "ticket_url": first.url if first else None,
            "alert_id": alert.alert_id,
            "alert_url": self.alert_url(alert),
            "runbook": self.runbook_url(alert) or alert.runbook,
        }
        return {
            name: clean(value, _TEXT) if (value := given.get(name, alert.labels.get(name))) else None
            for name in template.NAMES
        }


def clean(text: str, most: int = 500) -> str:
    """In one line, without control characters, cut at ``most`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return cut(line, most)


def cut(text: str, most: int) -> str:
    """At most ``most`` characters; what was cut ends in an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _label(event: AlertEvent) -> tuple[str, Tone]:
    alert = event.alert
    match alert.state:
        case AlertState.RESOLVED:
            return ("Taken back" if event.transition is Transition.RETRACTED else "Resolved"), Tone.GOOD
        case AlertState.ACKNOWLEDGED:
            return "Acknowledged", Tone.QUIET
        case AlertState.SNOOZED:
            return "Snoozed", Tone.QUIET
        case _:
            return alert.severity.value.capitalize(), Tone(alert.severity.value)


def _done(event: AlertEvent) -> str | None:
    """What a person did."""
    who = event.actor or "somebody"
    if who.startswith("link "):
        who = f"Somebody with the {who}"
    alert = event.alert
    match event.transition:
        case Transition.ACKNOWLEDGED:
            return f"{who} takes it."
        case Transition.SNOOZED if alert.snoozed_until is not None:
            return f"Quiet until {to_rfc3339(from_datetime(alert.snoozed_until))}, says {who}."
        case Transition.RESOLVED_BY_HAND:
            return f"Ended by {who}."
        case Transition.SNOOZE_ENDED:
            return "The snooze is over."
        case Transition.SILENCE_ENDED:
            return "The silence is over."
        case Transition.ESCALATED:
            return "Nobody has taken it yet, so more people are told."
        case _:
            return None


def _said(counts: Counts) -> str:
    return ", ".join(f"{clean(name, 60)} {number}" for name, number in counts)


def _below(base: str | None, path: str) -> str | None:
    return None if base is None else base.rstrip("/") + path


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isprintable() and not set(' <>"|\\^`{}') & set(url)
