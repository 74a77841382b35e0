"""The KPIs beyond the first ones, recomputed from a list of events in the slow and obvious way, from docs/kpis.md.

As ``tests.support.oracle``: nothing of the fold or the catalogue is used. By the calendar only, of all tickets together
or of one team, over all time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from msgspec import UNSET

from schemas.ticket import ActorKind, Kind, Priority, Status, TicketEvent, Visibility

DONE = (Status.SOLVED, Status.CLOSED)
OPEN = (Status.NEW, Status.OPEN, Status.PENDING, Status.ON_HOLD)
ORDER = (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.URGENT)
PEOPLE = {
    Kind.KNOWLEDGE_CONTRIBUTED: "article",
    Kind.QUESTION_ASKED: "question",
    Kind.QUESTION_ANSWERED: "question",
    Kind.AGENT_JOINED: "agent",
    Kind.AGENT_LEFT: "agent",
}


@dataclass(frozen=True)
class Choices:
    """What the configuration leaves open."""

    first_contact: timedelta
    escalating_teams: tuple[str, ...]


@dataclass
class Cases:
    """``name: [(team, value)]``."""

    of: dict[str, list[tuple[str | None, Any]]] = field(default_factory=lambda: defaultdict(list))

    def values(self, name: str, team: str | None) -> list[Any]:
        """Values of one team (``none`` is no team), or of all with ``None``."""
        return [value for held, value in self.of[name] if team is None or (held or "none") == team]


def told(events: Iterable[TicketEvent], choices: Choices) -> Cases:
    """Everything that ``events`` add, in any order and with copies."""
    things: dict[tuple[str, str], dict[str, TicketEvent]] = defaultdict(dict)
    for event in events:
        things[PEOPLE.get(event.kind, "ticket"), event.ticket_id].setdefault(event.event_id, event)
    cases = Cases()
    for (kind, name), distinct in things.items():
        ordered = sorted(distinct.values(), key=lambda e: (e.occurred_at, e.sequence, e.event_id))
        if kind == "ticket":
            found, gone = _ticket(ordered, choices)
            for one, listed in found.of.items():
                if gone is not Kind.DELETED:
                    cases.of[one] += listed
        else:
            _aside(name, ordered, cases)
    return cases


def kpis(cases: Cases, team: str | None) -> dict[str, Any]:
    """The numbers as readings have them, as far as they are recomputed here."""

    def ratio(hits: Iterable[object]) -> dict[str, Any]:
        listed = list(hits)
        good = sum(map(bool, listed))
        return {"ratio": good / len(listed) if listed else None, "count": len(listed), "hits": good}

    def mean(name: str) -> dict[str, Any]:
        listed = cases.values(name, team)
        return {"mean": sum(listed) / len(listed) if listed else None, "count": len(listed)}

    def lasted(name: str) -> dict[str, Any]:
        listed = cases.values(name, team)
        return {"mean_s": sum(listed) / len(listed) if listed else None, "count": len(listed)}

    took = cases.values("took", team)
    nps = cases.values("nps", team)
    active, contributing = set(cases.values("active", team)), set(cases.values("contributing", team))
    some = len(contributing)
    answers = {"count": len(nps), "promoters": sum(n >= 9 for n in nps), "detractors": sum(n <= 6 for n in nps)}
    return {
        "one_touch_rate": ratio(effort["replies"] == 1 for effort in took),
        "zero_touch_rate": ratio(effort["replies"] == 0 for effort in took),
        "bot_resolution_rate": ratio(effort["replies"] == 0 and effort["bot"] for effort in took),
        "replies_per_resolution": _mean([effort["replies"] for effort in took]),
        "agent_handoffs": _mean([effort["agents"] for effort in took]),
        "team_handoffs": _mean([effort["teams"] for effort in took]),
        "first_contact_resolution": ratio(cases.values("first_contact", team)),
        "requester_wait_time": lasted("wait"),
        "agent_work_time": lasted("work"),
        "time_in_status": {status.value: lasted(f"in_{status.value}") for status in OPEN},
        "next_response_time": lasted("next_response"),
        "decision_velocity": lasted("decided"),
        "question_answer_time": lasted("answered"),
        "tickets_escalated": {"count": len(cases.values("escalated", team))},
        "escalation_rate": ratio(cases.values("created", team)),
        "agent_replies": {"count": len(cases.values("reply", team))},
        "ces": mean("ces"),
        "qa_score": mean("qa"),
        "nps": answers,
        "knowledge_contribution": {
            "ratio": some / len(active) if active else None,
            "count": len(active),
            "hits": some,
        },
        "headcount": {"count": len(cases.values("staff", team))},
        "unassigned_backlog": {"count": sum(not agent for _, agent in cases.values("backlog", team))},
        "by_status": {status.value: sum(s is status for s, _ in cases.values("backlog", team)) for status in OPEN},
    }


def _mean(values: list[int]) -> dict[str, Any]:
    return {"mean": sum(values) / len(values) if values else None, "count": len(values)}


def _who(event: TicketEvent, holder: str | None) -> str | None:
    if event.actor is not None and event.actor.kind is ActorKind.AGENT and event.actor.id is not None:
        return event.actor.id
    return holder


def _aside(name: str, events: list[TicketEvent], cases: Cases) -> None:
    team: str | None = None
    agent: str | None = None
    since: datetime | None = None
    there = False
    for event in events:
        team = event.ticket.team if event.ticket.team is not UNSET else team
        agent = event.ticket.agent if event.ticket.agent is not UNSET else agent
        at = event.occurred_at
        if event.kind is Kind.KNOWLEDGE_CONTRIBUTED and (by := _who(event, agent)) is not None:
            cases.of["active"].append((team, by))
            cases.of["contributing"].append((team, by))
        elif event.kind is Kind.QUESTION_ASKED:
            since = since or at
        elif event.kind is Kind.QUESTION_ANSWERED and since is not None:
            cases.of["answered"].append((team, (at - since).total_seconds()))
            since = None
        elif event.kind in (Kind.AGENT_JOINED, Kind.AGENT_LEFT):
            there = event.kind is Kind.AGENT_JOINED
    if there:
        cases.of["staff"].append((team, name))


def _ticket(events: list[TicketEvent], choices: Choices) -> tuple[Cases, Kind | None]:
    found = Cases()
    withdrawn = {e.message.id for e in events if e.kind is Kind.MESSAGE_RETRACTED and e.message}
    now: dict[str, Any] = dict.fromkeys(("team", "agent", "priority", "status"))
    stays: list[tuple[datetime, Status | None]] = []
    holders: dict[str, list[str]] = {"agent": [], "team": []}
    created: tuple[datetime, str | None] | None = None
    by: ActorKind | None = None
    born = bot = False
    gone: Kind | None = None
    replies: list[datetime] = []
    asked: datetime | None = None
    raised: datetime | None = None
    escalated: str | None = None
    solves: list[tuple[datetime, str | None, dict[str, Any] | None]] = []
    reopened: list[datetime] = []
    answers: dict[str, tuple[str | None, float]] = {}
    ever = False

    for event in events:
        at, was = event.occurred_at, dict(now)
        for name in now:
            value = getattr(event.ticket, name)
            now[name] = value if value is not UNSET else now[name]
        now["status"] = event.status.to if event.status else now["status"]
        now["priority"] = event.priority.to if event.priority else now["priority"]
        for name in ("agent", "team"):
            if event.assignment and getattr(event.assignment, name) is not UNSET:
                now[name] = getattr(event.assignment, name)
            if now[name] is not None and (not holders[name] or holders[name][-1] != now[name]):
                holders[name].append(now[name])
        team = now["team"]
        if event.kind is Kind.CREATED and not born:
            born, by = True, event.actor.kind if event.actor else None
            now["status"] = now["status"] or Status.NEW
        if created is None and (event.ticket.created_at is not UNSET or event.kind is Kind.CREATED):
            created = (event.ticket.created_at if event.ticket.created_at is not UNSET else at, team)
        was_gone = gone
        if event.kind in (Kind.DELETED, Kind.MERGED):
            gone = event.kind
        elif event.kind is Kind.RESTORED:
            gone = None
        rose = was["priority"] and now["priority"] is Priority.URGENT and ORDER.index(was["priority"]) < len(ORDER) - 1
        up = now["team"] in choices.escalating_teams and was["team"] and was["team"] not in choices.escalating_teams
        if not ever and (rose or up or event.kind is Kind.ESCALATION_RAISED):
            ever, escalated = True, team
        if event.kind is Kind.ESCALATION_RAISED:
            raised = raised or at

        if was["status"] is not now["status"] or was_gone is not gone:
            stays.append((at, now["status"] if gone is None else None))
        ended = raised is not None and event.kind is Kind.ESCALATION_CLEARED
        if now["status"] in DONE and was["status"] not in DONE:
            asked = None
            if was["status"] or event.kind in (Kind.CREATED, Kind.STATUS_CHANGED):
                ended = raised is not None
                took = {
                    "replies": len(replies),
                    "bot": bot,
                    "agents": max(0, len(holders["agent"]) - 1),
                    "teams": max(0, len(holders["team"]) - 1),
                    "spent": _spent(stays, created[0]) if created else {},
                }
                solves.append((at, team, took if born else None))
                solver = _who(event, now["agent"])
                if (event.actor is None or event.actor.kind is ActorKind.AGENT) and solver is not None:
                    found.of["active"].append((team, solver))
        elif was["status"] in DONE and now["status"] not in DONE:
            reopened += [at] if solves else []
        if ended and raised is not None:
            found.of["decided"].append((team, (at - raised).total_seconds()))
            raised = None

        message = event.message
        if event.kind is Kind.MESSAGE_ADDED and message is not None and born and message.id not in withdrawn:
            first = message.opening or (created is not None and at == created[0] and by is message.author)
            if message.visibility is Visibility.PUBLIC and message.author is ActorKind.AGENT and not first:
                if replies and asked is not None:
                    found.of["next_response"].append((team, (at - asked).total_seconds()))
                replies.append(at)
                asked = None
                found.of["reply"].append((team, 1))
                if (writer := _who(event, now["agent"])) is not None:
                    found.of["active"].append((team, writer))
            elif message.visibility is Visibility.PUBLIC and message.author is ActorKind.CUSTOMER:
                asked = asked or (None if message.opening else at)
            elif message.visibility is Visibility.PUBLIC and message.author is ActorKind.BOT and not first:
                bot = True
        if event.rating is not None:
            share = (event.rating.score - event.rating.worst) / (event.rating.best - event.rating.worst)
            if event.kind is Kind.CES_RECEIVED:
                answers["ces"] = (team, 1 + 6 * share)
            elif event.kind is Kind.NPS_RECEIVED:
                answers["nps"] = (team, 10 * share)
            elif event.kind is Kind.QA_SCORED:
                found.of["qa"].append((team, event.rating.score / event.rating.best))

    for name, answer in answers.items():
        found.of[name].append(answer)
    if created:
        found.of["created"].append((created[1], ever))
    if ever:
        found.of["escalated"].append((escalated, 1))
    if solves:
        _, team, last = solves[-1]
        if last is not None and gone is not Kind.MERGED:
            found.of["took"].append((team, last))
        if last is not None and created and now["status"] in DONE:
            spent = last["spent"]
            found.of["work"].append((team, spent[Status.NEW] + spent[Status.OPEN]))
            found.of["wait"].append((team, spent[Status.NEW] + spent[Status.OPEN] + spent[Status.ON_HOLD]))
            for status in OPEN:
                if spent[status] >= 0.001:
                    found.of[f"in_{status.value}"].append((team, spent[status]))
        at, team, effort = solves[0]
        if effort is not None and gone is not Kind.MERGED:
            again = bool(reopened) and reopened[0] <= at + choices.first_contact
            found.of["first_contact"].append((team, effort["replies"] == 1 and not again))
    if gone is None and now["status"] in OPEN:
        found.of["backlog"].append((now["team"], (now["status"], now["agent"])))
    return found, gone


def _spent(stays: list[tuple[datetime, Status | None]], created: datetime) -> dict[Status, float]:
    """Seconds in each status, ``None`` while deleted or merged; the last of ``stays`` is the solve. A stay begins at
    creation at the earliest, and what was stated with the creation began with it."""
    spent = dict.fromkeys(OPEN, 0.0)
    for (start, status), (end, _) in pairwise(stays):
        if status in spent:
            spent[status] += max(0.0, (end - max(start, created)).total_seconds())
    return spent
