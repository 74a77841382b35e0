"""One definition for each KPI: the source of docs/kpis.md, the API's descriptions and Prometheus help texts.

Definitions follow semantics.md §a; where products disagree, the text says what is counted (docs/adr/0006).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.sla import SlaMetric
from schemas.ticket import Status


class Shape(StrEnum):
    """How a KPI is aggregated and what a reading of it looks like."""

    COUNT = "count"
    NET = "net"
    GAUGE = "gauge"
    BACKLOG = "backlog"
    AGE = "age"
    DURATION = "duration"
    DURATIONS = "durations"
    RATIO = "ratio"
    RATIOS = "ratios"
    PROMISES = "promises"
    SHARE = "share"
    RETENTION = "retention"
    MEAN = "mean"
    SCORE = "score"


class Cell(StrEnum):
    """The counters that buckets hold. Values are short: they are field names in every bucket, stored for ever.

    A cell of durations has one character, since its sums and its sketch are named by more characters after it (``t``,
    ``u``, ``x``, ``y``), which therefore are never the second character of another cell.
    """

    CREATED = "c"
    SOLVED = "s"
    REOPENED = "o"
    FIRST_RESPONSE = "f"
    FIRST_RESOLUTION = "r"
    FULL_RESOLUTION = "R"
    RATED = "q"
    SATISFIED = "Q"

    NEXT_RESPONSE = "n"
    REQUESTER_WAIT = "w"
    AGENT_WORK = "k"
    IN_NEW = "N"
    IN_OPEN = "O"
    IN_PENDING = "P"
    IN_ON_HOLD = "H"
    DECIDED = "d"
    ANSWERED = "a"

    KNOWN = "z"
    ONE_TOUCH = "z1"
    ZERO_TOUCH = "z0"
    BY_BOT = "zb"
    REPLIED = "zr"
    AGENTS_PASSED = "za"
    TEAMS_PASSED = "zg"
    FIRST_SOLVED = "i"
    FIRST_CONTACT = "i1"
    MATURED = "j"
    MATURED_CONTACT = "j1"
    ESCALATED = "e"
    CREATED_ESCALATED = "ec"
    REPLIES = "m"
    AFTER_HOURS = "mo"
    EFFORT = "l"
    EFFORT_SUM = "ls"
    PROMOTION = "p"
    PROMOTERS = "p1"
    DETRACTORS = "p0"
    REVIEWED = "h"
    REVIEWED_SUM = "hs"
    ACTIVE = "A:"
    CONTRIBUTING = "G:"

    BACKLOG = "b"
    NEW_NOW = "bn"
    OPEN_NOW = "bo"
    PENDING_NOW = "bp"
    ON_HOLD_NOW = "bh"
    UNASSIGNED = "ba"
    OVERDUE = "bb"
    CREATED_IN = "~"
    STAFF = "S"
    STAFF_OF = "S:"


AMOUNTS: Final = frozenset({Cell.REPLIED, Cell.AGENTS_PASSED, Cell.TEAMS_PASSED, Cell.EFFORT_SUM, Cell.REVIEWED_SUM})
"""Cells that add up amounts, not cases."""

MILLION: Final = 1_000_000
"""Scores are kept as whole millionths, so that sums are exact."""

STANDING: Final = {
    Status.NEW: Cell.NEW_NOW,
    Status.OPEN: Cell.OPEN_NOW,
    Status.PENDING: Cell.PENDING_NOW,
    Status.ON_HOLD: Cell.ON_HOLD_NOW,
}
"""The statuses of the backlog, each with the gauge of its tickets."""

STAYS: Final = {
    Status.NEW: Cell.IN_NEW,
    Status.OPEN: Cell.IN_OPEN,
    Status.PENDING: Cell.IN_PENDING,
    Status.ON_HOLD: Cell.IN_ON_HOLD,
}
"""The statuses that time is spent in, in the order in which a ticket keeps it, each with its durations."""

OF_BACKLOG: Final = frozenset({Cell.BACKLOG, *STANDING.values(), Cell.UNASSIGNED, Cell.OVERDUE})
GAUGES: Final = OF_BACKLOG | {Cell.STAFF}
"""What has a present value beside the buckets; buckets hold its changes."""

AGES: Final = {
    "under_1h": 1,
    "1h_4h": 4,
    "4h_24h": 24,
    "1d_3d": 72,
    "3d_7d": 168,
    "7d_30d": 720,
    "over_30d": None,
}
"""Brackets of age, each with the whole hours that it ends before."""


def kept(metric: SlaMetric) -> str:
    """The cell of timer instances of ``metric`` that ended in time."""
    return _KEPT[metric]


def broken(metric: SlaMetric) -> str:
    """The cell of timer instances of ``metric`` that broke their promise."""
    return _BROKEN[metric]


def created_in(at_us: int) -> str:
    """The gauge of the tickets that were created in the hour of ``at_us``."""
    return f"{_CREATED_IN}{at_us // 3_600_000_000}"


_CREATED_IN: Final = Cell.CREATED_IN.value


def _code(metric: SlaMetric) -> str:
    """Two letters of each word: first_response is ``fire``."""
    return "".join(word[:2] for word in metric.value.split("_"))


_KEPT: Final = {metric: f"+{_code(metric)}" for metric in SlaMetric}
_BROKEN: Final = {metric: f"-{_code(metric)}" for metric in SlaMetric}


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI. ``cells`` are what it is read from, in the order that its shape asks for: for a ratio numerator, then
    denominator. ``parts`` name the readings of a shape that has several, by the ``label`` that they are exported with.
    """

    name: str
    shape: Shape
    cells: tuple[str, ...]
    summary: str
    definition: str
    parts: tuple[str, ...] = ()
    label: str = ""


_SOLVED_KNOWN: Final = (
    "tickets whose most recent solve lies in the window, whose creation was seen and which were not merged into another"
)

KPIS: Final[dict[str, Kpi]] = {
    kpi.name: kpi
    for kpi in (
        Kpi(
            "tickets_created",
            Shape.COUNT,
            (Cell.CREATED,),
            "Tickets created.",
            "Tickets whose creation lies in the window, in the segment that they were created in. A deleted ticket is "
            "taken out again, a restored one put back.",
        ),
        Kpi(
            "tickets_solved",
            Shape.COUNT,
            (Cell.SOLVED,),
            "Tickets solved.",
            "Tickets whose most recent solve lies in the window, each once, in the segment that solved them. A "
            "reopened ticket keeps counting where it was solved until it is solved again.",
        ),
        Kpi(
            "net_flow",
            Shape.NET,
            (Cell.CREATED, Cell.SOLVED),
            "Tickets created less tickets solved.",
            "`tickets_created` less `tickets_solved` of the same window and segment: above zero, work piles up.",
        ),
        Kpi(
            "backlog",
            Shape.BACKLOG,
            (Cell.BACKLOG, *STANDING.values(), Cell.CREATED_IN),
            "Tickets neither solved nor closed.",
            "Tickets that are new, open, pending or on hold at the instant of the reading, in the segment that holds "
            "them now. Merged and deleted tickets are not in it. `by_status` has the four statuses; `by_age` counts "
            "clock hours, in UTC, from the hour in which a ticket was created to the present one (of a ticket whose "
            "creation nobody told, from the hour of the first event about it). Age is known of the present only: in "
            "series and for earlier windows `by_age` is null.",
        ),
        Kpi(
            "unassigned_backlog",
            Shape.GAUGE,
            (Cell.UNASSIGNED,),
            "Tickets of the backlog that no agent holds.",
            "Those of `backlog` that have no agent at the instant of the reading, whether or not a team holds them.",
        ),
        Kpi(
            "oldest_ticket_age",
            Shape.AGE,
            (Cell.CREATED_IN,),
            "Age of the oldest ticket of the backlog.",
            "From the beginning of the hour (UTC) in which it was created to that of the present hour: exact to an "
            "hour. Null without a backlog, and for any time but the present.",
        ),
        Kpi(
            "open_breached",
            Shape.GAUGE,
            (Cell.OVERDUE,),
            "Tickets of the backlog with a promise that is broken and still not fulfilled.",
            "Each ticket once, however many of its promises are broken, from the instant at which the first of them "
            "broke. A promise that was fulfilled late is no longer one of these.",
        ),
        Kpi(
            "first_response_time",
            Shape.DURATION,
            (Cell.FIRST_RESPONSE,),
            "From creation to the first public reply of a human agent.",
            "Counts at the time of the reply. Bots, automations and private notes never count; for a ticket that an "
            "agent created, the message it was created with does not count either.",
        ),
        Kpi(
            "next_response_time",
            Shape.DURATION,
            (Cell.NEXT_RESPONSE,),
            "From the oldest unanswered public message of a customer to the next public reply of a human agent.",
            "One case for each such wait after the first reply, at the time of the reply that ends it, whether or not "
            "anything was promised. Messages before the first reply belong to `first_response_time`. A wait that ends "
            "with the ticket's solving and not with a reply is no case.",
        ),
        Kpi(
            "resolution_time",
            Shape.DURATION,
            (Cell.FULL_RESOLUTION, Cell.FIRST_RESOLUTION),
            "From creation to solved.",
            "Full resolution runs to the most recent solve and is withdrawn while the ticket is reopened; first "
            "resolution runs to the first solve and stays. Both count at the time of their solve.",
            ("full", "first"),
        ),
        Kpi(
            "requester_wait_time",
            Shape.DURATION,
            (Cell.REQUESTER_WAIT,),
            "How long the customer waited: time in new, open and on hold.",
            "The sum of the ticket's times in these statuses from its creation to its most recent solve; counts at "
            "that solve and is withdrawn while the ticket is reopened. Time in solved and closed is in no status of "
            "these. Only tickets whose creation was seen: of others nobody knows where they had been before.",
        ),
        Kpi(
            "agent_work_time",
            Shape.DURATION,
            (Cell.AGENT_WORK,),
            "How long it was the team's turn: time in new and open.",
            "As `requester_wait_time`, of the times in new and open.",
        ),
        Kpi(
            "time_in_status",
            Shape.DURATIONS,
            tuple(STAYS.values()),
            "How long solved tickets had been new, open, pending and on hold.",
            "For each status, the sum of the ticket's times in it from its creation to its most recent solve; counts "
            "at that solve and is withdrawn while the ticket is reopened. A ticket that was not in a status, or not "
            "for a millisecond, is no case of it; nor is it in one while it is deleted. Only tickets "
            "whose creation was seen.",
            tuple(status.value for status in STAYS),
            "status",
        ),
        Kpi(
            "one_touch_rate",
            Shape.RATIO,
            (Cell.ONE_TOUCH, Cell.KNOWN),
            "Share of solved tickets that took exactly one public reply of a human agent.",
            f"Of {_SOLVED_KNOWN}, those with exactly one such reply by then.",
        ),
        Kpi(
            "zero_touch_rate",
            Shape.RATIO,
            (Cell.ZERO_TOUCH, Cell.KNOWN),
            "Share of solved tickets that took no public reply of a human agent.",
            f"Of {_SOLVED_KNOWN}, those without such a reply by then.",
        ),
        Kpi(
            "first_contact_resolution",
            Shape.RATIOS,
            (Cell.FIRST_CONTACT, Cell.FIRST_SOLVED, Cell.MATURED_CONTACT, Cell.MATURED),
            "Share of tickets that one reply solved for good.",
            "Of the tickets that were solved for the first time, whose creation was seen and which were not merged, "
            "those whose first solve came with exactly one public reply of a human agent by then and that were not "
            "reopened within `kpis.first_contact_days` (by default 7 times 24 hours, the last instant included) after "
            "it. `provisional` counts at the first solve, as far as is known now; `final` counts when the days are "
            "over, and changes no more.",
            ("provisional", "final"),
            "verdict",
        ),
        Kpi(
            "reopen_rate",
            Shape.RATIO,
            (Cell.REOPENED, Cell.SOLVED),
            "Share of solved tickets that were reopened.",
            "Of the tickets counted as solved in the window, those that left solved at least once.",
        ),
        Kpi(
            "escalation_rate",
            Shape.RATIO,
            (Cell.CREATED_ESCALATED, Cell.CREATED),
            "Share of the tickets created that were escalated.",
            "Of the tickets created in the window, in the segment that they were created in, those that were "
            "escalated at least once, whenever that was.",
        ),
        Kpi(
            "tickets_escalated",
            Shape.COUNT,
            (Cell.ESCALATED,),
            "Tickets escalated.",
            "Each ticket once, at its first escalation, in the segment that it was in then: an escalation that was "
            "raised; a priority that rose from a known lower one to one of `kpis.escalation.priorities` (urgent, "
            "unless configured); a move to one of `kpis.escalation.teams` from a team that is none of them.",
        ),
        Kpi(
            "agent_handoffs",
            Shape.MEAN,
            (Cell.AGENTS_PASSED, Cell.KNOWN),
            "How often solved tickets went from one agent to another, on average.",
            f"Changes of the agent to another agent by the most recent solve, over {_SOLVED_KNOWN}. The first agent "
            "is no handoff; one who gets a ticket back that nobody held in between is none either.",
        ),
        Kpi(
            "team_handoffs",
            Shape.MEAN,
            (Cell.TEAMS_PASSED, Cell.KNOWN),
            "How often solved tickets went from one team to another, on average.",
            "As `agent_handoffs`, of teams.",
        ),
        Kpi(
            "replies_per_resolution",
            Shape.MEAN,
            (Cell.REPLIED, Cell.KNOWN),
            "Public replies of human agents that solved tickets took, on average.",
            f"Such replies by the most recent solve, over {_SOLVED_KNOWN}.",
        ),
        Kpi(
            "agent_replies",
            Shape.COUNT,
            (Cell.REPLIES,),
            "Public replies of human agents.",
            "At the time of the reply, in the segment that holds the ticket then. The message that an agent created a "
            "ticket with is none; of tickets whose creation was not seen, none is counted.",
        ),
        Kpi(
            "after_hours_share",
            Shape.RATIO,
            (Cell.AFTER_HOURS, Cell.REPLIES),
            "Share of agents' replies that were written outside business hours.",
            "Of `agent_replies`, those at a time at which the ticket's business calendar is closed: the calendar of "
            "its SLA policy, else `business_calendar`. An opening time is open, a closing time is closed.",
        ),
        Kpi(
            "sla_attainment",
            Shape.PROMISES,
            tuple(_KEPT.values()) + tuple(_BROKEN.values()),
            "Share of promises that were kept.",
            "Timer instances that ended in the window, over those and the ones that broke in it. An instance counts "
            "once: as kept at the instant of its fulfilment, or as broken at the instant it broke, in the segment that "
            "held the ticket then; one that runs counts as broken when its time is up, and otherwise not at all. "
            "Instances of merged and deleted tickets count in neither, nor do those that were still open when their "
            "promise was withdrawn, which is when another policy applies.",
            tuple(metric.value for metric in SlaMetric),
            "metric",
        ),
        Kpi(
            "sla_breach_rate",
            Shape.PROMISES,
            tuple(_BROKEN.values()) + tuple(_KEPT.values()),
            "Share of promises that were broken.",
            "As `sla_attainment`, of the same instances: one less that share.",
            tuple(metric.value for metric in SlaMetric),
            "metric",
        ),
        Kpi(
            "csat",
            Shape.RATIO,
            (Cell.SATISFIED, Cell.RATED),
            "Share of satisfied customers among those who answered.",
            "Positive answers (good, or 4 and 5 of 5) over all answers, at the time of the answer. A customer who "
            "answers again replaces the earlier answer. No answer is no answer: it is left out.",
        ),
        Kpi(
            "ces",
            Shape.MEAN,
            (Cell.EFFORT_SUM, Cell.EFFORT),
            "Customer effort score, on average, from 1 to 7.",
            "The mean of the answers at the time of the answer, scaled from the survey's worst and best to 1 and 7. "
            "The last answer of a ticket replaces earlier ones.",
        ),
        Kpi(
            "nps",
            Shape.SCORE,
            (Cell.PROMOTERS, Cell.DETRACTORS, Cell.PROMOTION),
            "Net promoter score, from -100 to 100.",
            "Promoters less detractors, per hundred answers, at the time of the answer. Scaled from the survey's worst "
            "and best to 0 and 10, an answer from 9 up is a promoter's and one up to 6 a detractor's. The last answer "
            "of a ticket replaces earlier ones.",
        ),
        Kpi(
            "qa_score",
            Shape.MEAN,
            (Cell.REVIEWED_SUM, Cell.REVIEWED),
            "Quality reviews: the mean share of the best score, 0 to 1.",
            "Score over best possible score, of every review, at the time of the review. Below nothing is nothing.",
        ),
        Kpi(
            "bot_resolution_rate",
            Shape.RATIO,
            (Cell.BY_BOT, Cell.KNOWN),
            "Share of solved tickets that bots answered and no human did.",
            f"Of {_SOLVED_KNOWN}, those with at least one public message of a bot, other than one that the ticket was "
            "opened with, and no public reply of a human agent by then.",
        ),
        Kpi(
            "decision_velocity",
            Shape.DURATION,
            (Cell.DECIDED,),
            "From an escalation that was raised to its end.",
            "Ends when it is cleared, or when the ticket is solved; counts then. What is raised while another "
            "escalation of the ticket stands is the same one. Escalations by priority or team have no end and are "
            "not in it.",
        ),
        Kpi(
            "question_answer_time",
            Shape.DURATION,
            (Cell.ANSWERED,),
            "From an agent's question to its answer.",
            "Counts at the answer. What is asked while the same question stands is the same one.",
        ),
        Kpi(
            "knowledge_contribution",
            Shape.SHARE,
            (Cell.CONTRIBUTING, Cell.ACTIVE),
            "Share of the active agents that contributed knowledge.",
            "Distinct agents who contributed knowledge in the window, over distinct agents who did so, wrote a public "
            "reply or solved a ticket. Who did it is the agent that the event names, else the ticket's; what a "
            "customer, a bot or an automation solves is nobody's. The same id in two sources is two agents.",
        ),
        Kpi(
            "headcount",
            Shape.GAUGE,
            (Cell.STAFF,),
            "Agents who joined and have not left.",
            "At the instant of the reading, in the segment that the agent's events state. An agent of whom nobody told "
            "that they joined is not in it.",
        ),
        Kpi(
            "agent_retention",
            Shape.RETENTION,
            (Cell.STAFF_OF, Cell.STAFF),
            "Share of the agents there at the window's start who are there at its end.",
            "Of the agents in `headcount` at the start of the window, those who are in it at its end. Who left and "
            "came back in the window is there; who joined in it is not asked for.",
        ),
    )
}
