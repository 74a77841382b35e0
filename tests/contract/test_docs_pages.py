"""What pages promise: guides for helpdesks in one order, every KPI spoken of, guarantees with their tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.sla import SlaKind
from schemas.topics import TOPICS
from services.alerts.notify import mail
from services.alerts.notify.words import Wording
from services.config.board import BoardChoices
from services.config.document import parse
from services.kpi.catalogue import KPIS
from tests.contract.house import ROOT
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
    from services.ingest.normalise import VENDORS

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
