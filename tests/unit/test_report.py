"""Leaders' digests: when they are due, what counts as a change, what is asked, and how channels show them."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from schemas.alert import Cause
from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.alerts.message import Bulletin
from services.alerts.notify import anything, mail, slack, teams, webhook
from services.alerts.notify.words import Wording
from services.alerts.report import ask, moved, words
from services.alerts.report.plan import Timetable
from services.alerts.report.report import (
    Ahead,
    Figure,
    Finding,
    Focus,
    Report,
    Risk,
    Risks,
    Side,
    Verdict,
    Win,
    decoded,
    encoded,
)
from services.config.document import ConfigInvalid, parse
from services.kpi import sketch
from tests.support import weeks

PEOPLE = """
segments: [[team], [agent]]
receivers:
  mail: {email: {host: mail.example.com, sender: d@example.com, to: [ana@example.com]}}
  pager: {pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}}
people:
  ana: {receivers: [mail], timezone: Europe/Paris}
  ben: {receivers: [pager]}
calendars:
  office: {timezone: Europe/Paris, weekly: {mon: [["09:00", "18:00"]], tue: [["09:00", "18:00"]],
           wed: [["09:00", "18:00"]], thu: [["09:00", "18:00"]], fri: [["09:00", "18:00"]]}, holidays: ["2026-11-11"]}
"""


def us(text: str) -> int:
    return from_datetime(parse_rfc3339(text))


def timetable(report: str) -> Timetable:
    document = parse(f"{PEOPLE}reports: [{report}]", {})
    return Timetable(document.reports[0], document)


def test_a_daily_report_tells_of_the_day_before_in_whole_hours() -> None:
    found = timetable("{name: a, leader: ana, when: daily 08:30}").last(us("2026-11-20T12:00Z"))
    assert found is not None
    assert found.at_us == us("2026-11-20T07:30Z")
    assert (found.since_us, found.until_us) == (us("2026-11-19T07:00Z"), us("2026-11-20T07:00Z"))
    assert found.ago_s == 7 * 86_400


def test_it_is_due_when_the_wall_clock_says_so_also_when_clocks_change() -> None:
    times = timetable("{name: a, leader: ana, when: daily 02:30}")
    assert times.next_us(us("2026-03-28T12:00Z")) == us("2026-03-29T01:30Z")  # 02:30 does not exist: an hour later
    assert times.next_us(us("2026-10-24T12:00Z")) == us("2026-10-25T00:30Z")  # 02:30 comes twice: the first
    assert times.next_us(us("2026-10-25T00:30Z")) == us("2026-10-26T01:30Z")


def test_after_a_weekend_and_a_closed_day_it_tells_of_all_of_them() -> None:
    times = timetable("{name: a, leader: ana, when: weekdays 08:30, calendar: office}")
    monday = times.last(us("2026-11-16T09:00Z"))
    assert monday is not None
    assert monday.since_us == us("2026-11-13T07:00Z")
    holiday = times.last(us("2026-11-11T12:00Z"))
    assert holiday is not None
    assert holiday.at_us == us("2026-11-10T07:30Z")
    after = times.last(us("2026-11-12T12:00Z"))
    assert after is not None
    assert (after.until_us - after.since_us) == 48 * 3600 * SECOND_US


def test_a_weekly_report_is_due_on_its_day_only() -> None:
    times = timetable("{name: a, leader: ana, when: weekly mon 08:30, timezone: UTC}")
    found = times.last(us("2026-11-20T12:00Z"))
    assert found is not None
    assert found.at_us == us("2026-11-16T08:30Z")
    assert found.window_s == 7 * 86_400
    assert times.next_us(us("2026-11-16T08:30Z")) == us("2026-11-23T08:30Z")


@pytest.mark.parametrize(
    ("report", "line"),
    [
        ("{name: a, leader: eva, when: daily 08:30}", "reports[0].leader: no person 'eva' (there is: ana, ben)"),
        ("{name: a, when: daily 08:30}", "reports[0]: say who gets it, with leader (one of people) or receiver"),
        ("{name: a, leader: ben, when: daily 08:30}", "reports[0]: pagerduty takes alerts only"),
        ("{name: a, receiver: pager, when: daily 08:30}", "reports[0]: pagerduty takes alerts only"),
        ("{name: a, leader: ana, when: at noon}", "reports[0].when: 'at noon' is no time; write  daily 08:30"),
        ("{name: a, leader: ana, when: daily 08:30, focus: [fun]}", "reports[0].focus[0]: there is no KPI 'fun'"),
        ("{name: a, leader: ana, when: daily 08:30, scope: 'brand:x'}", "reports[0].scope: 'brand:x' is no configured"),
        ("{name: a, leader: ana, when: daily 08:30, calendar: x}", "reports[0].calendar: no calendar 'x'"),
        ("{name: a, leader: ana, when: daily 08:30, late_by: 30s}", "reports[0].late_by: must be from 1m to 7d"),
        ("{name: a, leader: ana, when: daily 08:30}, {name: a, leader: ana, when: daily 9:30}", "reports[1].when"),
    ],
)
def test_a_mistake_in_a_report_is_said_with_its_place(report: str, line: str) -> None:
    with pytest.raises(ConfigInvalid) as found:
        parse(f"{PEOPLE}reports: [{report}]", {})
    assert any(problem.startswith(line) for problem in found.value.problems), found.value.problems


def test_chance_alone_is_hardly_ever_news() -> None:
    rng = Random(5)
    rounds, news = 1500, {"counts": 0, "shares": 0, "durations": 0}
    for _ in range(rounds):
        a, b = (weeks.poisson(rng, 60) for _ in range(2))
        news["counts"] += moved.of_counts(a, b)
        n, m = rng.randrange(20, 120), rng.randrange(20, 120)
        hits = [sum(rng.random() < 0.9 for _ in range(k)) for k in (n, m)]
        news["shares"] += moved.of_shares(hits[0] / n, n, hits[1] / m, m)
        now, then = (_sketch([rng.lognormvariate(8, 1.5) for _ in range(k)]) for k in (n, m))
        news["durations"] += moved.of_durations(now, then, _middle(now), _middle(then))
    assert all(count <= rounds * 0.006 for count in news.values()), news


def test_what_really_changed_is_news() -> None:
    rng = Random(6)
    slower = [_sketch([rng.lognormvariate(8 + shift, 1) for _ in range(80)]) for shift in (0.9, 0.0)]
    assert moved.of_durations(slower[0], slower[1], _middle(slower[0]), _middle(slower[1]))
    assert moved.of_counts(130, 60)
    assert moved.of_shares(0.7, 60, 0.95, 60)
    assert not moved.of_shares(0.95, 60, 0.95, 60)


def _sketch(seconds: list[float]) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in seconds:
        cell = sketch.cell(round(one * 1000))
        found[cell] = found.get(cell, 0) + 1
    return found


def _middle(cells: dict[int, int]) -> float:
    return (sketch.quantile(cells, 0.5) or 0.0) / 1000


@pytest.mark.parametrize("cause", [None, *Cause])
@pytest.mark.parametrize("kpi", ["first_response_time", "csat", "backlog"])
def test_every_question_asks_about_the_system_and_names_nobody(kpi: str, cause: Cause | None) -> None:
    question = ask.question(kpi, cause, "team:billing")
    assert question.endswith("?")
    assert not any(word in question.lower() for word in ("fault", "blame", "who did"))


def figure(**more: Any) -> Figure:
    given: dict[str, Any] = {
        "kpi": "first_response_time",
        "statistic": "p50_s",
        "unit": "seconds",
        "now": 9600.0,
        "then": 3600.0,
        "count": 41,
        "count_then": 38,
        "verdict": Verdict.WORSE,
        "segment": "team:billing",
        "said": "median 2 h 40 min, a week earlier 1 h (41 and 38 cases)",
    }
    return Figure(**(given | more))


def report(lines: int = 1) -> Report:
    long = "This is what happened, and <b>how</b> *it* is. " * (3 if lines > 1 else 1)
    return Report(
        name="morning",
        leader="ana",
        scope="all",
        timezone="Europe/Paris",
        due_us=us("2026-11-20T07:30Z"),
        since_us=us("2026-11-19T07:00Z"),
        until_us=us("2026-11-20T07:00Z"),
        ago_s=604_800,
        composed_us=us("2026-11-20T07:30:02Z"),
        headline="First response time (team billing) got worse.",
        changed=(Finding(figure=figure(), why="It is in one place.", cause=Cause.ONE_PART, ask="What changed?"),),
        noted=tuple([long] * lines),
        wins=(Win(said="Team sales: CSAT got better.", segment="team:sales"),),
        focus=(
            Focus(
                kpi="csat",
                statistic="ratio",
                unit="share",
                figure=figure(kpi="csat"),
                line=(0.9,) * 7,
                before=(None,) * 7,
                said="90 %.",
            ),
        ),
        scorecard={Side.OPERATIONS: (figure(),) * 6, Side.PEOPLE: (figure(verdict=Verdict.BETTER),) * 5},
        risks=Risks(
            breached=1,
            at_risk=2,
            said="1 ticket with a broken promise, 2 in danger.",
            tickets=(
                Risk(source="z", ticket_id="7", url="https://h.example/7", said="Ticket 7: first response broken"),
            ),
        ),
        ahead=Ahead(said=("About 412 tickets in 7 days.",)),
        notes=("Few tickets came.",),
    )


def test_the_report_says_words_first_and_everything_once() -> None:
    text = words.markdown(report())
    order = ["# Digest", "## What changed", "Why: ", "Ask: ", "## To praise", "## Your focus", "## Open risks"]
    places = [text.index(one) for one in [*order, "## Operations", "## People", "## The coming week", "## Notes"]]
    assert places == sorted(places)
    assert "[open](https://h.example/7)" in text
    assert "&lt;b>" in text


def test_a_stored_report_is_read_back_as_it_was() -> None:
    assert decoded(encoded(report())) == report()


@pytest.mark.parametrize("lines", [1, 200])
def test_every_channel_shows_a_report_within_its_limits(lines: int) -> None:
    found = Wording(board_url="https://d.example").of(Bulletin("id", report(lines), encoded(report(lines))))
    blocks = slack.rendered(found)["blocks"]
    assert len(blocks) <= 50
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
    assert all(len(text) <= slack.SECTION for text in texts)
    assert any("*To praise*" in text for text in texts)
    assert not any("<b>" in text for text in texts)
    card = teams.rendered(found)
    assert len(card) <= teams.MESSAGE_BYTES
    assert b"What changed" in card
    assert "To praise\n- Team sales" in mail.plain(found)
    assert "<h3>Open risks</h3>" in mail.rich(found)
    assert "<b>" not in mail.rich(found)
    assert "Open risks\n- 1 ticket" in anything.text(found)
    body = msgspec.json.decode(webhook.payload(Bulletin("id", report(), b"")))
    assert body["type"] == "report"
    assert body["report"]["due_at"] == "2026-11-20T07:30:00Z"
