"""What the guides tell admins to paste is what normalising reads, and the worked example works."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.failure import Invalid, Reason
from schemas.ticket import Kind, Status
from services.config.document import parse
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from services.ingest.source import problems
from tests.support.webhooks import KEY, RECEIVED_AT

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
MINE = ("chatwoot", "cloudevents", "front", "gorgias", "hubspot", "salesforce", "servicenow", "zoho-desk")
VALUES = {"datetime": "2026-03-02T08:59:00+00:00", "Date": "2026-03-02T08:59:00.000+0000", "from_agent": "True"}


def text(guide: str) -> str:
    return (GUIDES / f"{guide}.md").read_text()


def blocks(guide: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text(guide), re.S)


def taken(vendor: str, body: bytes) -> Any:
    return normalise(Delivery("desk", vendor, {}, body, RECEIVED_AT), SourceSettings(KEY))


def filled(body: str) -> bytes:
    """The template with a value for each placeholder, and nothing for those that may be empty."""

    def value(found: re.Match[str]) -> str:
        name = found[0]
        known = next((value for word, value in VALUES.items() if word in name), None)
        if known and "snooze" not in name and "trashed" not in name:
            return known
        return {"status": "open", "Status": "New", "public": "True"}.get(re.split(r"\W", name.strip("{!$}"))[-1], "")

    ids = re.sub(r"\{\{?!?[\w.$]*\b(?:id|Id|ContactId|OwnerId|AccountId)\}\}?", "17", body)
    closed = ids.replace("{!$Record.IsClosed}", "false").replace("{!$Record__Prior.Status}", "Working")
    return re.sub(r"\{\{[\w.]+\}\}|\{![\w.$]+\}", value, closed).encode()


@pytest.mark.parametrize(
    ("vendor", "place", "kind"),
    [
        ("gorgias", 0, Kind.UPDATED),
        ("gorgias", 1, Kind.MESSAGE_ADDED),
        ("salesforce", 0, Kind.STATUS_CHANGED),
    ],
)
def test_a_template_of_a_guide_is_read_when_filled_in_and_named_when_not(vendor: str, place: int, kind: Kind) -> None:
    template = blocks(f"connect-{vendor}", "json")[place]
    [event] = taken(vendor, filled(template))
    assert event.kind is kind
    with pytest.raises(Invalid) as caught:
        taken(vendor, template.encode())
    assert caught.value.reason is Reason.UNRENDERED_TEMPLATE


@pytest.mark.parametrize("name", MINE)
def test_a_guides_source_is_one_that_ingest_can_work_with(name: str) -> None:
    [block] = blocks(f"connect-{name}", "yaml")
    secrets = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "0123456789abcdef" * 4)
    assert problems(parse(block, secrets)) == []


@pytest.mark.parametrize("name", MINE)
def test_a_guides_example_is_read(name: str) -> None:
    examples = re.findall(r"(?:echo|-d|body=) ?'([\[{].*?[\]}])'", text(f"connect-{name}"))
    assert examples
    for example in examples:
        assert taken(name.replace("-", "_"), example.encode())


@pytest.fixture
def acme() -> Iterator[types.ModuleType]:
    module = types.ModuleType("acme_of_the_guide")
    sys.modules[module.__name__] = module
    exec(blocks("add-a-helpdesk", "python")[0], module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_the_worked_example_reads_the_webhook_that_it_is_about(acme: types.ModuleType) -> None:
    body = json.loads(blocks("add-a-helpdesk", "json")[0])

    def read(**changes: Any) -> Any:
        delivery = Delivery("desk", "acme", {}, json.dumps({**body, **changes}).encode(), RECEIVED_AT)
        return acme.normalise(delivery, SourceSettings(KEY))

    [event] = read()
    assert (event.kind, event.ticket_id, event.ticket.status) == (Kind.STATUS_CHANGED, "12", Status.SOLVED)
    assert read(to="waiting") == []
    assert read(event="ticket.viewed") == []
    with pytest.raises(Invalid, match=r"options\.statuses"):
        read(to="parked")
