"""What ``schemas/topics`` says is well formed, and each of its rules refuses a document that breaks it."""

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

import schemas
from schemas import topics
from schemas.envelope import ticket_headers
from schemas.failure import Invalid, Reason
from schemas.json_schema import load
from schemas.topics import TOPICS, parse
from services.config.environment import Environment
from services.ingest.delivery import Delivery
from services.ingest.raw import headers_of
from services.stream import dead_letter
from services.stream.record import Record
from tests.contract.contracts import EXAMPLES

GOOD: dict[str, Any] = yaml.safe_load(topics.FOLDER.joinpath(f"{topics.SLA}.yaml").read_text(encoding="utf-8"))


def test_the_names_in_the_code_are_the_topics_there_are() -> None:
    named = [topics.TICKETS, topics.TICKETS_DLQ, topics.WEBHOOKS, topics.SLA, topics.ALERTS]
    assert set(named) == set(TOPICS)


def test_names_differ_also_where_kafka_writes_an_underscore_for_a_dot() -> None:
    assert len({name.replace(".", "_") for name in TOPICS}) == len(TOPICS)
    assert all("_" not in name for name in TOPICS)


def test_a_topic_is_parsed_as_it_is_written() -> None:
    topic = parse(yaml.safe_dump(GOOD))
    assert topic == TOPICS[topics.SLA]
    assert topic.config.items() == {name: str(value) for name, value in GOOD["config"].items()}


@pytest.mark.parametrize("missing", sorted(GOOD.keys() - {"examples"}))
def test_a_topic_without_one_of_its_parts_is_refused(missing: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=missing):
        parse(yaml.safe_dump({name: value for name, value in GOOD.items() if name != missing}))


@pytest.mark.parametrize("missing", sorted(GOOD["config"]))
def test_a_topic_that_leaves_a_setting_open_is_refused(missing: str) -> None:
    settings = {name: value for name, value in GOOD["config"].items() if name != missing}
    with pytest.raises(msgspec.ValidationError, match=missing):
        parse(yaml.safe_dump(GOOD | {"config": settings}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"retention": "30d"}, "unknown field `retention`"),
        ({"config": GOOD["config"] | {"retention_ms": 1}}, "unknown field `retention_ms`"),
        ({"value": {"schema": "sla-event.v1", "registry": "x"}}, "unknown field `registry`"),
        ({"name": "helpdesk_sla.v1"}, "name"),
        ({"name": "helpdesk.sla_ticks.v1"}, "name"),
        ({"name": "Helpdesk.sla.v1"}, "name"),
        ({"name": "helpdesk.sla"}, "name"),
        ({"name": "helpdesk..sla.v1"}, "name"),
        ({"name": "helpdesk.sla.v0"}, "name"),
        ({"description": "SLA events."}, "description"),
        ({"key": "ticket"}, "key"),
        ({"value": {}}, "either 'schema' or 'bytes'"),
        ({"value": {"schema": "sla-event.v1", "bytes": "x" * 40}}, "either 'schema' or 'bytes'"),
        ({"value": {"schema": "sla_event"}}, r"value\.schema"),
        ({"value": {"bytes": "bytes"}}, r"value\.bytes"),
        ({"headers": {"ce_id": ""}}, "headers"),
        ({"partitions": 0}, "partitions"),
        ({"partitions": "12"}, "partitions"),
        ({"replication_factor": 0}, "replication_factor"),
        ({"config": GOOD["config"] | {"cleanup.policy": "keep"}}, "cleanup.policy"),
        ({"config": GOOD["config"] | {"retention.ms": 0}}, "retention.ms"),
        ({"config": GOOD["config"] | {"max.message.bytes": "1 MiB"}}, "max.message.bytes"),
        ({"config": GOOD["config"] | {"message.timestamp.type": "EventTime"}}, "message.timestamp.type"),
        ({"producers": []}, "producers"),
        ({"producers": ["Metrics!"]}, "producers"),
        ({"consumers": []}, "consumers"),
        ({"examples": None}, "examples go with a schema"),
        ({"value": {"bytes": "x" * 40}}, "examples go with a schema"),
        ({"examples": "helpdesk.tickets.v1/v1"}, "named after the topic"),
        ({"examples": "../v1"}, "examples"),
    ],
)
def test_a_topic_that_breaks_a_rule_is_refused_with_the_field(change: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        parse(yaml.safe_dump(GOOD | change))


def test_a_file_that_is_not_named_after_its_topic_is_refused(tmp_path: Path) -> None:
    (tmp_path / "helpdesk.other.v1.yaml").write_text(yaml.safe_dump(GOOD))
    with pytest.raises(ValueError, match="name the file after the topic"):
        topics._load(tmp_path)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_the_schema_that_a_topic_names_exists_and_names_the_topic(topic: topics.Topic) -> None:
    if topic.value.schema_name is None:
        assert topic.value.bytes
    else:
        assert f"topic {topic.name}," in load(topic.value.schema_name)["description"]


@pytest.mark.parametrize("name", [topics.WEBHOOKS, topics.TICKETS_DLQ, topics.TICKETS])
def test_the_largest_webhook_fits_with_its_headers(name: str) -> None:
    largest_body = Environment.model_fields["max_body_bytes"].default
    assert TOPICS[name].config.max_message_bytes >= largest_body + 256 * 1024


@pytest.mark.parametrize("name", [topics.TICKETS, topics.SLA])
def test_the_partition_clock_cannot_be_moved_by_a_producer(name: str) -> None:
    assert TOPICS[name].config.message_timestamp_type == "LogAppendTime"


def test_timers_are_announced_in_as_many_partitions_as_tickets_have() -> None:
    assert TOPICS[topics.TICKETS].partitions == TOPICS[topics.SLA].partitions == 12


def test_the_headers_of_webhooks_and_dead_letters_are_those_that_their_topics_name() -> None:
    http = {"content-type": "application/json", "x-vendor-event": "1"}
    raw = headers_of(Delivery("zendesk", "zendesk", http, b"{}", datetime(2026, 3, 2, tzinfo=UTC)))
    assert _other_than_named(topics.WEBHOOKS, {name for name, _ in raw}) == set()

    failure = Invalid(Reason.NOT_AN_EVENT, "x")
    of_webhook = dead_letter.from_delivery(b"{}", raw, b"zendesk:1", failure, topics.TICKETS_DLQ, "ingest", 0)
    event = EXAMPLES[0].contract.decode(json.dumps(EXAMPLES[0].value).encode())
    record = Record(topics.TICKETS, 0, 0, 0, b"zendesk:1", b"{", ticket_headers(event))
    of_record = dead_letter.from_record(record, failure, topics.TICKETS_DLQ, "metrics", 0)
    written = {name for letter in (of_webhook, of_record) for name, _ in letter.headers}
    assert _other_than_named(topics.TICKETS_DLQ, written) == set()


def _other_than_named(topic: str, written: set[str]) -> set[str]:
    """Headers that the topic does not name, and names that no header has."""
    named = TOPICS[topic].headers
    unnamed = {header for header in written if not any(fnmatchcase(header, name) for name in named)}
    return unnamed | {name for name in named if not any(fnmatchcase(header, name) for header in written)}


def test_the_wheel_carries_the_contracts() -> None:
    root = Path(schemas.__file__).parents[1]
    carried = {file.distribution_path for file in WheelBuilder(str(root)).recurse_selected_project_files()}
    present = [path for path in (root / "schemas").rglob("*") if path.suffix in {".json", ".yaml"}]
    assert len(present) > 50
    assert {str(path.relative_to(root)) for path in present} <= carried
