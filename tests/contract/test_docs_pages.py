"""What pages promise: guides for helpdesks in one order, every KPI spoken of, guarantees with their tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from schemas.failure import Reason
from schemas.sla import SlaKind, SlaMetric
from schemas.topics import TOPICS
from services.alerts.notify import mail
from services.alerts.notify.words import Wording
from services.config.board import BoardChoices
from services.config.document import parse
from services.config.rule import Rule
from services.ingest.normalise import VENDORS
from services.ingest.verify.presented import Outcome
from services.kpi.catalogue import KPIS
from tests.contract.house import ROOT, tracked
from tests.support.documented import in_text
from tests.support.news import fired, gathered, notice

GUIDES = ROOT / "docs/guides"
HELPDESKS = sorted(GUIDES.glob("connect-*.md"))
ORDER = [
    "What you need",
    "Where to click",
    "What to paste",
    "Test it",
    "What is counted, and what is not",
    "When something is wrong",
]


def _headings(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)


def test_there_is_a_page_for_every_helpdesk() -> None:
    assert {path.stem.removeprefix("connect-").replace("-", "_") for path in HELPDESKS} == set(VENDORS)


@pytest.mark.parametrize("path", HELPDESKS, ids=lambda path: path.stem)
def test_a_helpdesks_page_has_the_order_of_all_others(path: Path) -> None:
    text = path.read_text()
    assert _headings(text) == ORDER
    parts = dict(zip(ORDER, re.split(r"^## .+$", text, flags=re.M)[1:], strict=True))
    assert "```yaml" in parts["What to paste"]
    assert "```bash" in parts["Test it"]
    assert "| you see | fix |" in parts["When something is wrong"]
    assert "webhook-answers.md" in parts["When something is wrong"]
    assert len(parts["What is counted, and what is not"].split()) > 30


def test_choosing_speaks_of_every_kpi_once_as_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [A-Z].*\?", (GUIDES / "choose-kpis.md").read_text(), re.M)
    assert sorted(rows) == sorted(KPIS)


def test_what_choosing_puts_side_by_side_exists() -> None:
    text = (GUIDES / "choose-kpis.md").read_text()
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+|backlog|csat|ces|nps|headcount)`", text))
    assert named - set(KPIS) - {"mean_s", "p50_s", "p90_s", "by_age", "by_status", "by_metric", "p95_s"} == set()


def test_the_boards_of_choosing_are_ones_that_the_services_take() -> None:
    boards = [block for block in in_text((GUIDES / "choose-kpis.md").read_text(), "") if block.language == "yaml"]
    assert len(boards) >= 4
    for block in boards:
        board = parse(block.text, {}).board
        assert isinstance(board, BoardChoices)
        assert board.title != BoardChoices().title or board.kpis != BoardChoices().kpis


def test_the_messages_of_the_leads_page_are_as_they_arrive() -> None:
    wording = Wording(board_url="https://deskpulse.example.com")
    broken = fired()
    news = [broken, fired(SlaKind.FULFILLED, broken.alert, 2), fired(SlaKind.RETRACTED, broken.alert, 2)]
    many = gathered(*(fired(ticket_id=ticket_id) for ticket_id in ("5158", "5159", "5160")))
    sent = [mail.plain(wording.of(message)) for message in (*map(notice, news), many)]
    shown = [block.text for block in in_text((GUIDES / "lead.md").read_text(), "") if block.language == "text"]
    assert shown == sent


def test_the_leads_page_explains_every_line_of_its_first_message() -> None:
    text = (GUIDES / "lead.md").read_text()
    first = next(block.text for block in in_text(text, "") if block.language == "text")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", text, re.M)
    for line in (line for line in first.splitlines() if line):
        assert any(word in line for row in rows for word in row.split(", ")), line


ARCHITECTURE = ROOT / "docs/architecture.md"


def test_the_architecture_names_every_package_and_every_folder_of_one() -> None:
    text = ARCHITECTURE.read_text()
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "services").glob("**/__init__.py")}
    missing = [str(one) for one in packages if len(one.parts) == 2 and f"`{one}/`" not in text]
    missing += [str(one) for one in packages if len(one.parts) == 3 and f"`{one.name}/`" not in text]
    assert missing == []


def test_the_architecture_names_no_package_that_is_gone() -> None:
    named = re.findall(r"`(services/[\w/.]+?)/?`", ARCHITECTURE.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_diagram_has_every_service_and_every_topic() -> None:
    drawn = re.findall(r"<text[^>]*>([^<]+)</text>", (ROOT / "docs/architecture.svg").read_text())
    services = {name for name in ("ingest", "metrics", "alerts", "api") if name not in drawn}
    topics = {name for name in TOPICS if not any(text.startswith(name) for text in drawn)}
    assert (services, topics) == (set(), set())


BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


def _bytes(value: float) -> str:
    unit = next(unit for unit in ("TB", "GB", "MB") if value >= BYTES[unit])
    return f"{value / BYTES[unit]:.{0 if value >= 10 * BYTES[unit] else 1}f} {unit}"


def _sized(events: int, costs: dict[str, float]) -> list[str]:
    """A row of the sizing page, from the costs that the page names."""
    tickets, peak = events / costs["a ticket"], events / 86_400 * costs["peak"]
    return [
        f"{events:,}",
        f"{tickets:,.0f}",
        f"{peak:.0f}/s",
        f"{peak * costs['ingest'] / 1e6:.2f} cores",
        f"{peak * costs['worker'] / 1e6:.2f} cores",
        _bytes(tickets * costs["days"] * costs["KB"] * 1000),
        _bytes(events * costs["seen days"] * costs["seen"]),
        _bytes(events * costs["event days"] * costs["event"]),
        _bytes(events * costs["raw days"] * costs["raw KB"] * 1000),
    ]


def test_the_table_of_sizes_follows_from_the_costs_beside_it() -> None:
    text = (GUIDES / "sizing.md").read_text()

    def found(pattern: str) -> list[float]:
        match = re.search(pattern, text)
        assert match is not None, pattern
        return [float(number) for number in match.groups()]

    [a_ticket], [peak] = found(r"events for each ticket \| (\d+)"), found(r"peak over the mean \| (\d+)")
    [ingest], worker = found(r"webhook in ingest \| (\d+) µs"), found(r"and in Redis \| (\d+) \+ (\d+) µs")
    [kilobytes], [days] = found(r"ticket in Redis \| (\d+) KB"), found(r"tickets are kept \| (\d+) days")
    seen, event = found(r"(\d+) bytes for (\d+) days"), found(r"event in Kafka \| (\d+) bytes for (\d+) days")
    raw = found(r"raw webhook in Kafka \| (\d+) KB for (\d+) days")
    costs = {"a ticket": a_ticket, "peak": peak, "ingest": ingest, "worker": sum(worker), "KB": kilobytes, "days": days}
    costs |= {"seen": seen[0], "seen days": seen[1], "event": event[0], "event days": event[1]}
    costs |= {"raw KB": raw[0], "raw days": raw[1]}
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| [\d,]+ \|", line)]
    assert len(rows) == 4
    assert rows == [_sized(int(row[0].replace(",", "")), costs) for row in rows]


def test_the_costs_of_sizing_are_those_that_were_measured() -> None:
    sizing, measured = (GUIDES / "sizing.md").read_text(), (ROOT / "docs/performance.md").read_text()
    for cost in ("560 µs", "65 + 43 µs"):
        assert cost in sizing
        assert cost in measured


def _promises() -> list[tuple[str, str]]:
    """Test and file of each promise of the README."""
    part = (ROOT / "README.md").read_text().split("## What it guarantees")[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
    assert all(re.search(r"\]\(tests/", row) for row in rows), "a promise without a test"
    return [pair for row in rows for pair in re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", row)]


def test_every_promise_of_the_readme_has_a_test_that_is_there() -> None:
    promises = _promises()
    assert len(promises) >= 12
    assert [f"{file}::{name}" for name, file in promises if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_the_readme_links_every_guide() -> None:
    text = (ROOT / "README.md").read_text()
    guides = [path for path in tracked(".md") if path.parent == GUIDES]
    assert [path.name for path in guides if f"docs/guides/{path.name}" not in text] == []


def test_the_numbers_of_the_readme_are_those_of_the_code() -> None:
    words = {16: "sixteen", 8: "eight", 9: "nine", 7: "seven"}
    state = (ROOT / "README.md").read_text().split("## State of things")[1]
    rules = get_args(Rule)
    for number, of in ((len(VENDORS), "kinds of sources"), (len(SlaMetric), "SLA metrics"), (len(rules), "types of")):
        assert f"{words[number]} {of}" in state
    assert f"{len(KPIS)} KPIs" in state


@pytest.mark.parametrize("path", [*HELPDESKS, GUIDES / "webhook-answers.md"], ids=lambda path: path.stem)
def test_what_a_helpdesks_page_says_one_may_see_is_what_ingest_says(path: Path) -> None:
    text = path.read_text().rpartition("## When something is wrong")[2]
    seen = [line.split("|")[1] for line in text.splitlines() if re.match(r"\| (?:\d{3}|`\w+`)", line)]
    outcomes = {outcome.value.replace("_", "-") for outcome in Outcome}
    types = {name for cell in seen if re.search(r"\b40[01] ", cell) for name in re.findall(r"`([a-z-]+)`", cell)}
    assert types - outcomes - {"malformed-timestamp", "not-json"} == set()
    reasons = {name for cell in seen for name in re.findall(r"`([a-z]+_[a-z_]+)`", cell)}
    reasons |= set(
        re.findall(r"`(\w+)`", text.partition("`reason` of a dead letter is one of:")[2].partition("\n\n")[0])
    )
    fields = {"dead_lettered", "occurred_at", "delivery_delay", "detail"}
    assert reasons - {reason.value for reason in Reason} - fields == set()
