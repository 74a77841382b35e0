"""The examples are the contract in concrete terms, so every one of them is held to every form of it."""

import json
import re
from pathlib import Path

import pytest

import schemas
from schemas import codec
from schemas.alert import AlertEvent, Transition
from schemas.sla import SlaEvent, SlaKind, SlaMetric
from schemas.ticket import ActorKind, Kind, Priority, Status, TicketEvent
from schemas.topics import TICKETS, TOPICS
from tests.contract.contracts import EXAMPLES, Example, sealed

ROOT = Path(schemas.__file__).parent

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


@each_example
def test_an_example_says_nothing_that_the_closed_schema_does_not_name(example: Example) -> None:
    assert [error.message for error in sealed(example.contract).iter_errors(example.value)] == []


@each_example
def test_an_example_is_exactly_what_we_would_write(example: Example) -> None:
    record = example.contract.decode(json.dumps(example.value).encode())
    assert json.loads(codec.encode(record)) == example.value


@each_example
def test_the_headers_of_an_example_are_those_that_its_topic_names(example: Example) -> None:
    headers = example.contract.headers(example.contract.decode(json.dumps(example.value).encode()))
    assert {name for name, _ in headers} == set(TOPICS[example.contract.topic].headers)


@each_example
def test_an_example_holds_no_personal_data(example: Example) -> None:
    text = json.dumps(example.value)
    assert re.search(r"[\w.+-]+@[\w-]+\.\w+", text) is None, "an e-mail address"
    hosts = set(re.findall(r"https?://([^/\"]+)", text))
    assert all(host.endswith(".example") for host in hosts)


def test_every_name_of_the_vocabularies_has_an_example() -> None:
    said: set[object] = set()
    for example in EXAMPLES:
        record = example.contract.decode(json.dumps(example.value).encode())
        match record:
            case TicketEvent():
                said |= {record.kind, record.ticket.status, record.ticket.priority}
                said |= {record.actor.kind} if record.actor else set()
                said |= {record.status.to} if record.status else set()
                said |= {record.priority.to} if record.priority else set()
            case SlaEvent():
                said |= {record.kind, record.metric, record.ticket.priority}
            case AlertEvent():
                said.add(record.transition)
    wanted = {*Kind, *Status, *Priority, *ActorKind, *SlaKind, *SlaMetric, *Transition}
    assert {str(name) for name in wanted - said} == set()


def test_ids_of_ticket_examples_are_their_own() -> None:
    # Those of timers and alerts share ids on purpose: they tell different endings of the same story.
    ids = [example.value["event_id"] for example in EXAMPLES if example.contract.topic == TICKETS]
    assert len(ids) == len(set(ids))


def test_every_example_and_every_schema_belongs_to_a_topic() -> None:
    named = {ROOT / "examples" / topic.examples for topic in TOPICS.values() if topic.examples}
    present = [path for path in (ROOT / "examples").rglob("*") if path.is_file()]
    assert present
    assert {path for path in present if path.parent not in named or path.suffix != ".json"} == set()

    schema_files = {f"{topic.value.schema_name}.schema.json" for topic in TOPICS.values() if topic.value.schema_name}
    assert {path.name for path in (ROOT / "json").iterdir()} == schema_files
