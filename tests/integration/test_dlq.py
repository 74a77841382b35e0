"""``deskpulse dlq`` on a real Kafka: from a webhook that nobody understands to the event that it is after all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import Kind, Status
from services import clock
from services.embedded.broker import BrokerProcess
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from services.stream import dead_letter
from services.stream.record import Outgoing, Record
from tests.support import signing
from tests.support.command import ROOT, deskpulse
from tests.support.doorway import doorway
from tests.support.kafka import Kafka
from tests.support.topics import configured, held, send

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

FIXTURES = ROOT / "tests/fixtures/webhooks/zendesk"
TRIGGER = json.loads((FIXTURES / "trigger_status.json").read_text())
CONFIG = "sources: {zendesk: {vendor: zendesk, secrets: [hush], hash_key: k%s}}"
BROKEN = CONFIG % ""
CORRECTED = CONFIG % ", options: {statuses: {en attente: pending}}"


@pytest.fixture
async def environment(kafka: Kafka, tmp_path: Path) -> dict[str, str]:
    """Of commands; the topics are empty, and the configuration misses a word."""
    return await configured(kafka, tmp_path, BROKEN)


async def posted(bootstrap: str, *changes: dict[str, Any]) -> list[Any]:
    """Webhooks of triggers, and what ingest answered."""
    answers = []
    async with doorway(bootstrap, BROKEN) as client:
        for number, change in enumerate(changes):
            body = json.dumps(TRIGGER | change).encode()
            headers = signing.zendesk(body, "hush") | {"x-zendesk-webhook-invocation-id": f"inv-{number}"}
            answers.append((await client.post("/webhooks/zendesk", content=body, headers=headers)).json())
    return answers


async def test_a_webhook_that_cannot_be_mapped_is_listed_and_is_an_event_once_the_vocabulary_is_corrected(
    kafka: Kafka, environment: dict[str, str]
) -> None:
    [answer] = await posted(kafka.bootstrap, {"status": "En attente"})
    assert (answer["dead_lettered"], answer["reason"]) == (1, "bad_value")

    told = json.loads(deskpulse("dlq", "list", "--json", **environment).stdout)
    [letter] = told["letters"]
    assert (told["total"], told["by_reason"]) == (1, {"bad_value": 1})
    assert (letter["source"], letter["stage"], letter["reason"]) == ("zendesk", "ingest", "bad_value")
    lines = deskpulse("dlq", "list", **environment).stdout.decode().splitlines()
    assert [lines[0].split()[0], lines[1]] == [letter["id"], "1 dead letter: bad_value 1"]
    assert "En attente" not in "".join(lines)

    again = deskpulse("dlq", "replay", letter["id"], **environment)
    assert again.returncode == 1
    assert again.stderr.decode().startswith(f"{letter['id']}: bad_value: ")
    assert await held(kafka.bootstrap, topics.TICKETS) == []

    Path(environment["DESKPULSE_CONFIG"]).write_text(CORRECTED)
    tried = json.loads(deskpulse("dlq", "replay", "--all", "--dry-run", "--json", **environment).stdout)
    assert (tried["dry_run"], tried["written"], tried["kinds"]) == (True, 1, {"status.changed": 1})
    assert await held(kafka.bootstrap, topics.TICKETS) == []

    for _ in range(2):
        done = deskpulse("dlq", "replay", "--reason", "bad_value", **environment)
        assert done.returncode == 0, done
        assert done.stdout.decode().startswith("1 dead letters read, 1 records written (status.changed 1)")
    first, second = await held(kafka.bootstrap, topics.TICKETS)
    event = decode_ticket(first.value or b"")
    assert (event.kind, event.source, event.ticket_id) == (Kind.STATUS_CHANGED, "zendesk", "1001")
    assert event.status is not None
    assert event.status.to is Status.PENDING
    assert not event.imported
    assert first.key == b"zendesk:1001"
    assert first.value == second.value, "the same event with the same id: the fold counts it once"
    assert json.loads(deskpulse("dlq", "list", "--json", **environment).stdout)["total"] == 1, "nothing is deleted"


async def test_one_letter_is_shown_without_its_body_and_its_parts_feed_normalise(
    kafka: Kafka, environment: dict[str, str], tmp_path: Path
) -> None:
    await posted(kafka.bootstrap, {"status": "En attente"})
    [letter] = json.loads(deskpulse("dlq", "list", "--json", **environment).stdout)["letters"]
    shown = deskpulse("dlq", "show", letter["id"], **environment)
    assert shown.returncode == 0, shown
    assert b"bad_value" in shown.stdout
    assert b"En attente" not in shown.stdout
    short = letter["id"].partition(":")[2]
    as_json = deskpulse("dlq", "show", short, "--json", **environment).stdout
    assert json.loads(as_json)["http"]["x-zendesk-webhook-invocation-id"] == "inv-0"
    body = deskpulse("dlq", "show", short, "--body", **environment).stdout
    assert json.loads(body) == TRIGGER | {"status": "En attente"}

    (tmp_path / "letter.json").write_bytes(as_json)
    Path(environment["DESKPULSE_CONFIG"]).write_text(CORRECTED)
    asked = ("normalise", "--source", "zendesk", "--headers", tmp_path / "letter.json", "--json", "-")
    [row] = json.loads(deskpulse(*asked, given=body, **environment).stdout)
    deskpulse("dlq", "replay", "--all", **environment)
    [record] = await held(kafka.bootstrap, topics.TICKETS)
    assert row["events"][0]["event_id"] == decode_ticket(record.value or b"").event_id

    gone = deskpulse("dlq", "show", "0:999999", **environment)
    assert (gone.returncode, gone.stderr) == (1, b"0:999999: there is no such letter (any more)\n")


async def test_letters_are_chosen_by_source_stage_reason_and_time_and_the_newest_are_shown(
    kafka: Kafka, environment: dict[str, str]
) -> None:
    await posted(kafka.bootstrap, *({"status": f"Wort {number}"} for number in range(4)), {"schema": "other"})

    def listed(*options: str) -> Any:
        return json.loads(deskpulse("dlq", "list", "--json", *options, **environment).stdout)

    everything = listed()
    assert everything["by_reason"] == {"bad_value": 4, "unsupported_format": 1}
    assert [one["appended_at"] for one in everything["letters"]] == sorted(
        one["appended_at"] for one in everything["letters"]
    )
    assert listed("--limit", "2")["letters"] == everything["letters"][-2:]
    assert listed("--limit", "2")["total"] == 5
    assert listed("--reason", "unsupported_format")["total"] == 1
    assert (listed("--source", "other")["total"], listed("--stage", "metrics")["total"]) == (0, 0)
    assert listed("--since", "1h")["total"] == 5
    late = everything["letters"][-1]["appended_at"]
    assert listed("--since", late)["total"] == sum(one["appended_at"] >= late for one in everything["letters"])
    assert listed("--since", "2100-01-01T00:00Z")["total"] == 0


async def test_records_of_other_stages_go_back_where_they_lay_if_they_can_be_read_now(
    kafka: Kafka, environment: dict[str, str]
) -> None:
    at_us = clock.now_us()
    body = (FIXTURES / "created.json").read_bytes()
    delivery = Delivery("zendesk", "zendesk", {}, body, parse_rfc3339("2026-03-02T09:00:00Z"))
    [event] = normalise(delivery, SourceSettings(b"k"))
    sla = next((ROOT / "schemas/examples/helpdesk.sla.v1/v1").glob("*.json")).read_bytes()

    def letter(topic: str, value: bytes, stage: str) -> Outgoing:
        lay = Record(topic, 0, 7, at_us, b"zendesk:1001", value)
        failure = Invalid(Reason.BAD_VALUE, "a field that an older version did not know")
        return dead_letter.from_record(lay, failure, topics.TICKETS_DLQ, stage, at_us)

    await send(
        kafka.bootstrap,
        letter(topics.TICKETS, encode(event), "metrics"),
        letter(topics.TICKETS, b"\x00 not ours", "metrics"),
        letter(topics.SLA, sla, "deskpulse-alerts"),
    )
    done = deskpulse("dlq", "replay", "--all", "--json", **environment)
    told = json.loads(done.stdout)
    assert (done.returncode, told["read"], told["written"], told["refused"]) == (1, 3, 2, {"not_json": 1})
    [ticket], [announced] = await held(kafka.bootstrap, topics.TICKETS), await held(kafka.bootstrap, topics.SLA)
    assert (ticket.key, decode_ticket(ticket.value or b"")) == (b"zendesk:1001", event)
    assert (announced.key, announced.value, list(announced.headers)) == (b"zendesk:1001", sla, [])


async def test_a_kafka_that_is_away_or_has_no_such_topic_is_told_in_one_line_and_no_topic_is_made() -> None:
    with BrokerProcess() as broker:
        away = deskpulse("dlq", "list", DESKPULSE_KAFKA_BOOTSTRAP="127.0.0.1:1")
        for _ in range(2):  # the second would find what the first had made
            bare = deskpulse("dlq", "list", DESKPULSE_KAFKA_BOOTSTRAP=broker.bootstrap)
            assert (bare.returncode, bare.stderr.decode()) == (
                1,
                f"{broker.bootstrap}: there is no topic {topics.TICKETS_DLQ}; `deskpulse topics apply` creates it\n",
            )
    assert away.returncode == 1
    assert away.stderr.decode().startswith("127.0.0.1:1: Kafka does not answer")
    assert len(away.stderr.splitlines()) == 1
