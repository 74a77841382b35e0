"""What kept things become when they are tried again: deliveries, dead letters, lines of a file. No Kafka is asked."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from typer.testing import CliRunner

from schemas import topics
from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid, NotNow, Reason
from schemas.instant import from_datetime, parse_rfc3339
from services.cli.app import app
from services.cli.load import Load
from services.cli.moment import moment_us
from services.cli.progress import Progress
from services.config.document import parse
from services.ingest.delivery import Delivery
from services.ingest.history import of_line
from services.ingest.normalise import normalise
from services.ingest.raw import headers_of
from services.ingest.replay import Hurdle, Refusal, Replayed, of_delivery, of_events, of_letter, of_raw
from services.ingest.source import Ready, ready
from services.stream import dead_letter
from services.stream.record import Outgoing, Record

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples"
RECEIVED = parse_rfc3339("2026-03-02T09:00:05Z")
CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: [s]%s}
  generic: {vendor: generic, secrets: ["whsec_c2VjcmV0"]}
"""
SOURCES = ready(parse(CONFIG % "", {}))
CORRECTED = ready(parse(CONFIG % ', options: {statuses: {"en attente": pending}}', {}))
TRIGGER = json.loads((ROOT / "tests/fixtures/webhooks/zendesk/trigger_status.json").read_text())
HEADERS = {"x-zendesk-webhook-invocation-id": "77", "content-type": "application/json"}
EVENT = {"kind": "ticket.created", "ticket_id": "T-1", "occurred_at": "2026-03-02T09:00:00Z"}


def trigger(**changes: Any) -> Delivery:
    return Delivery("zendesk", "zendesk", HEADERS, json.dumps(TRIGGER | changes).encode(), RECEIVED)


def record(value: bytes, headers: Sequence[tuple[str, bytes]], topic: str = topics.TICKETS_DLQ) -> Record:
    return Record(topic, 2, 17, from_datetime(RECEIVED), b"zendesk:77", value, headers)


def letter_of(delivery: Delivery, failure: Invalid) -> dead_letter.Letter:
    """The letter as it is read back after ingest wrote it."""
    at_us = from_datetime(RECEIVED)
    out = dead_letter.from_delivery(
        delivery.body, headers_of(delivery), b"zendesk:77", failure, topics.TICKETS_DLQ, "ingest", at_us
    )
    return dead_letter.letter(record(out.value, out.headers))


def failed_record(topic: str, value: bytes, stage: str) -> dead_letter.Letter:
    """The letter as it is read back after a consumer wrote it."""
    lay = Record(topic, 3, 5, from_datetime(RECEIVED), b"k", value, [("ce_source", b"/deskpulse/sources/shop")])
    out = dead_letter.from_record(
        lay, Invalid(Reason.BAD_VALUE, "x"), topics.TICKETS_DLQ, stage, from_datetime(RECEIVED)
    )
    return dead_letter.letter(record(out.value, out.headers))


class TestDeliveries:
    def test_a_raw_copy_becomes_the_events_that_the_delivery_became_with_the_same_ids(self) -> None:
        delivery = trigger()
        kept = record(delivery.body, headers_of(delivery), topics.WEBHOOKS)
        replayed = of_raw(kept, SOURCES)
        assert list(replayed.events) == normalise(delivery, SOURCES["zendesk"].settings)
        assert [decode_ticket(out.value) for out in replayed.records] == list(replayed.events)
        assert {(out.topic, out.key) for out in replayed.records} == {(topics.TICKETS, b"zendesk:1001")}
        assert replayed.refusal is None
        assert not any(event.imported for event in replayed.events)

    def test_what_a_cloudevents_source_says_in_headers_is_in_the_raw_copy(self) -> None:
        delivery = Delivery("bus", "cloudevents", {"ce-type": "deskpulse.helpdesk.ticket.created.v1"}, b"{}", RECEIVED)
        assert ("http-ce-type", b"deskpulse.helpdesk.ticket.created.v1") in headers_of(delivery)

    @pytest.mark.parametrize(
        ("delivery", "hurdle"),
        [
            (Delivery("gone", "zendesk", {}, b"{}", RECEIVED), Hurdle.SOURCE_NOT_CONFIGURED),
            (Delivery("generic", "zendesk", {}, b"{}", RECEIVED), Hurdle.VENDOR_CHANGED),
            (Delivery("zendesk", "zendesk", {}, b"[]", RECEIVED), Reason.NOT_AN_EVENT),
        ],
    )
    def test_what_cannot_be_read_now_is_refused_by_name(self, delivery: Delivery, hurdle: Hurdle | Reason) -> None:
        replayed = of_delivery(delivery, SOURCES)
        assert (replayed.records, replayed.events) == ((), ())
        assert replayed.refusal is not None
        assert replayed.refusal.reason is hurdle

    def test_a_record_that_is_not_ours_is_refused(self) -> None:
        refusal = of_raw(record(b"{}", [], topics.WEBHOOKS), SOURCES).refusal
        assert refusal is not None
        assert refusal.reason is Reason.UNSUPPORTED_FORMAT

    def test_an_id_is_written_once_though_a_batch_has_it_twice(self) -> None:
        [event] = of_delivery(trigger(), SOURCES).events
        assert len(of_events([event, event]).records) == 1


class TestLetters:
    def test_a_webhook_is_refused_until_its_vocabulary_is_configured_and_then_an_event(self) -> None:
        delivery = trigger(status="En attente")
        with pytest.raises(Invalid) as caught:
            normalise(delivery, SOURCES["zendesk"].settings)
        letter = letter_of(delivery, caught.value)
        assert (letter.id, letter.stage, letter.reason) == ("helpdesk.tickets.v1.dlq:2:17", "ingest", "bad_value")
        assert (letter.source, letter.topic) == ("zendesk", "")
        again = of_letter(letter, SOURCES)
        assert again.refusal == Refusal(Reason.BAD_VALUE, caught.value.detail)
        assert again.records == ()
        [event] = of_letter(letter, CORRECTED).events
        assert event.status is not None
        assert (event.status.to.value, event.received_at) == ("pending", RECEIVED)
        assert event == normalise(delivery, CORRECTED["zendesk"].settings)[0]

    def test_a_ticket_record_that_can_be_read_now_goes_back_to_its_topic(self) -> None:
        [event] = of_delivery(trigger(), SOURCES).events
        replayed = of_letter(failed_record(topics.TICKETS, encode(event), "metrics"), {})
        assert replayed.events == (event,)
        assert [(out.topic, out.key) for out in replayed.records] == [(topics.TICKETS, event.key.encode())]

    @pytest.mark.parametrize(
        ("topic", "folder"), [(topics.SLA, "helpdesk.sla.v1"), (topics.ALERTS, "helpdesk.alerts.v1")]
    )
    def test_another_record_goes_back_untouched_without_the_headers_of_a_letter(self, topic: str, folder: str) -> None:
        value = next((EXAMPLES / folder / "v1").glob("*.json")).read_bytes()
        letter = failed_record(topic, value, "deskpulse-alerts")
        assert letter.source == "shop"
        headers = [("ce_source", b"/deskpulse/sources/shop")]
        assert of_letter(letter, {}) == Replayed((Outgoing(topic, b"zendesk:77", value, headers),))

    @pytest.mark.parametrize(
        ("topic", "stage", "reason"),
        [
            (topics.TICKETS, "metrics", Reason.NOT_JSON),
            (topics.SLA, "deskpulse-alerts", Reason.NOT_JSON),
            (topics.WEBHOOKS, "metrics", Hurdle.UNKNOWN_STAGE),
            ("payroll.v1", "metrics", Hurdle.UNKNOWN_STAGE),
        ],
    )
    def test_a_record_that_fails_again_stays_and_nothing_goes_to_a_topic_that_is_not_for_it(
        self, topic: str, stage: str, reason: Reason | Hurdle
    ) -> None:
        replayed = of_letter(failed_record(topic, b"\xff", stage), SOURCES)
        assert replayed.records == ()
        assert replayed.refusal is not None
        assert replayed.refusal.reason is reason


def line(value: Any, default: str | None = None, sources: Mapping[str, Ready] = SOURCES) -> Replayed:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return of_line(text, lambda: sources, default, RECEIVED)


class TestHistory:
    @pytest.mark.parametrize(
        "file", sorted((EXAMPLES / "helpdesk.tickets.v1" / "v1").glob("*.json")), ids=lambda p: p.stem
    )
    def test_a_canonical_event_is_taken_as_it_is_and_is_imported(self, file: Path) -> None:
        [event] = line(json.loads(file.read_text()), sources={}).events
        expected = json.loads(file.read_text()) | {"imported": True}
        expected.pop("personal", None)  # no source is configured to keep it
        assert json.loads(encode(event)) == json.loads(encode(decode_ticket(json.dumps(expected).encode())))
        assert event.imported

    def test_a_complete_event_asks_for_no_configuration(self) -> None:
        def nobody() -> Mapping[str, Ready]:
            raise AssertionError("the configuration was asked for")

        file = EXAMPLES / "helpdesk.tickets.v1/v1/created-by-email.json"
        assert of_line(json.dumps(json.loads(file.read_text())).encode(), nobody, None, RECEIVED).refusal is None

    def test_an_incomplete_one_is_read_as_the_generic_source_reads_it(self) -> None:
        [event] = line(EVENT | {"ticket": {"requester": "ann@example.com"}}).events
        assert (event.source, event.received_at, event.imported) == ("generic", RECEIVED, True)
        assert event.ticket.requester not in (None, "ann@example.com")
        assert line(EVENT, sources={"zendesk": SOURCES["zendesk"]}).refusal == Refusal(
            Hurdle.NO_SOURCE_GIVEN, "the line names no source: give --source or --vendor"
        )

    @pytest.mark.parametrize("as_text", [True, False])
    def test_a_kept_delivery_is_normalised_with_its_headers_and_its_time(self, as_text: bool) -> None:
        at = "2026-03-02T10:00:00Z"
        kept = {
            "source": "zendesk",
            "headers": {"X-Zendesk-Webhook-Invocation-Id": "77"},
            "body": json.dumps(TRIGGER) if as_text else TRIGGER,
            "received_at": at,
        }
        [event] = line(kept).events
        [live] = of_delivery(trigger(), SOURCES).events
        assert event.event_id == live.event_id
        assert (event.imported, live.imported) == (True, False)
        assert event.received_at == parse_rfc3339(at)
        assert line({"body": TRIGGER}, "zendesk").events

    def test_a_bare_payload_needs_a_source(self) -> None:
        [event] = line(TRIGGER, "zendesk").events
        assert (event.source, event.imported) == ("zendesk", True)
        refusal = line(TRIGGER).refusal
        assert refusal is not None
        assert refusal.reason is Hurdle.NO_SOURCE_GIVEN

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (b"{", Reason.NOT_JSON),
            ([EVENT], Reason.NOT_AN_EVENT),
            ({"body": TRIGGER, "source": "zendesk", "headers": []}, None),
            ({"body": TRIGGER, "source": "zendesk", "headers": [1]}, Reason.BAD_VALUE),
            ({"body": TRIGGER, "source": 7}, Reason.BAD_VALUE),
            ({"body": TRIGGER, "source": "zendesk", "received_at": "noon"}, Reason.BAD_VALUE),
            ({"body": TRIGGER, "source": "zendesk", "received_at": 7}, Reason.BAD_VALUE),
            ({"body": TRIGGER, "source": "gone"}, Hurdle.SOURCE_NOT_CONFIGURED),
            (b'{"source": "zendesk", "body": ' + b"[" * 600 + b"]" * 600 + b"}", Reason.TOO_DEEP),
            (EVENT | {"occurred_at": "soon"}, Reason.BAD_VALUE),
            (EVENT | {"kind": "ticket.sang", "source": "generic"}, Hurdle.NO_SOURCE_GIVEN),
        ],
    )
    def test_a_bad_line_says_why(self, value: Any, reason: Reason | Hurdle | None) -> None:
        refusal = line(value).refusal
        assert (refusal.reason if refusal else None) == reason


class Broker:
    """A producer that takes records, up to ``largest`` bytes, while it is not ``away``."""

    def __init__(self, largest: int = 1000, away: bool = False) -> None:
        self.records: list[Outgoing] = []
        self._largest, self._away = largest, away

    async def send(self, records: Sequence[Outgoing], deadline_s: float = 5.0) -> None:
        if self._away:
            raise NotNow("Kafka did not acknowledge in time")
        if any(len(one.value) > self._largest for one in records):
            raise Invalid(Reason.TOO_LARGE, "the record is larger than the topic takes")
        self.records += records


def loaded(broker: Broker | None) -> Load:
    return Load("lines", broker)  # type: ignore[arg-type]


@pytest.mark.anyio
class TestLoad:
    async def test_everything_is_written_once_and_counted(self, capsys: pytest.CaptureFixture[str]) -> None:
        broker = Broker()
        load = loaded(broker)
        for number in range(1234):
            await load.take(f"line {number}", Replayed((Outgoing("t", b"k", str(number).encode()),)))
        await load.take("line 1235", Replayed())
        await load.flush()
        assert [int(one.value) for one in broker.records] == list(range(1234))
        load.tell(as_json=False)
        assert capsys.readouterr().out == "1235 lines read, 1234 records written, 1 with nothing to say, 0 refused\n"

    async def test_one_record_that_is_too_large_does_not_cost_the_others(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        broker = Broker(largest=5)
        load = loaded(broker)
        for number, value in enumerate((b"a", b"much too large", b"b"), 1):
            await load.take(f"line {number}", Replayed((Outgoing("t", b"k", value),)))
        await load.flush()
        assert [one.value for one in broker.records] == [b"a", b"b"]
        with pytest.raises(typer.Exit) as end:
            load.tell(as_json=False)
        assert end.value.exit_code == 1
        told = capsys.readouterr()
        assert told.err == "line 2: too_large: the record is larger than the topic takes\n"
        assert "2 records written" in told.out

    async def test_a_dry_run_writes_nothing_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        load = loaded(None)
        await load.take("line 1", of_delivery(trigger(), SOURCES))
        await load.flush()
        load.tell(as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert (told["dry_run"], told["read"], told["written"]) == (True, 1, 1)
        assert told["kinds"] == {"status.changed": 1}

    async def test_what_was_stopped_says_where_and_ends_as_ctrl_c_does(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        load = loaded(None)
        load.stopped = True
        with pytest.raises(typer.Exit) as end:
            load.tell(as_json=False, where=" after line 7")
        assert end.value.exit_code == 130
        assert capsys.readouterr().out.startswith("stopped after line 7: 0 lines read")

    async def test_a_kafka_that_is_away_is_not_counted_as_written(self) -> None:
        load = loaded(Broker(away=True))
        await load.take("line 1", of_delivery(trigger(), SOURCES))
        with pytest.raises(NotNow):
            await load.flush()
        assert ", 0 records written" in load.line()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    @pytest.fixture
    def at(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [0.0]
        monkeypatch.setattr("services.clock.steady_s", lambda: now[0])
        return now

    def test_a_terminal_has_one_line_that_is_cleared_at_the_end(self, at: list[float]) -> None:
        shown = Terminal()
        progress = Progress("replay", shown)
        for at[0], done in ((0.05, 1), (0.2, 2), (0.21, 3), (0.4, 4)):
            progress.at(done, 8, f"{done} lines")
        progress.end()
        assert shown.getvalue() == "\r\x1b[Kreplay: 25 %, 2 lines\r\x1b[Kreplay: 50 %, 4 lines\r\x1b[K"

    def test_a_file_gets_a_line_every_few_seconds(self, at: list[float]) -> None:
        shown = io.StringIO()
        progress = Progress("replay", shown)
        for at[0] in (1.0, 4.9, 5.1, 6.0, 10.2):
            progress.at(1, 0, f"at {at[0]} s")
        progress.end()
        assert shown.getvalue() == "replay: at 5.1 s\nreplay: at 10.2 s\n"


class TestMoments:
    NOW_US = from_datetime(RECEIVED)

    def test_a_time_is_that_time_and_a_duration_is_so_long_ago(self) -> None:
        assert moment_us("--since", None, self.NOW_US) is None
        assert moment_us("--since", "2026-03-02T09:00Z", self.NOW_US) == from_datetime(RECEIVED - timedelta(seconds=5))
        assert moment_us("--since", "24h", self.NOW_US) == from_datetime(RECEIVED - timedelta(days=1))

    @pytest.mark.parametrize("text", ["yesterday", "2026-03-02T09:00", "24"])
    def test_anything_else_ends_the_command(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit):
            moment_us("--since", text, self.NOW_US)
        assert capsys.readouterr().err.startswith(f"--since: '{text}' is neither a time")


class TestMistakesOfAUser:
    @pytest.fixture(autouse=True)
    def _logging_stays_as_it_was(self) -> Iterator[None]:
        root, before = logging.getLogger(), structlog.get_config()
        handlers, level = root.handlers[:], root.level
        yield
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["replay"], "give either FILE or --from-topic"),
            (["replay", "x.jsonl", "--from-topic"], "give either FILE or --from-topic"),
            (["replay", "x.jsonl", "--since", "24h"], "--since and --until go with --from-topic"),
            (["replay", "no.jsonl", "--dry-run"], "no.jsonl: cannot be read (No such file or directory)"),
            (["replay", "no.jsonl"], "DESKPULSE_KAFKA_BOOTSTRAP is not set; `deskpulse up` starts an embedded broker"),
            (["dlq", "list"], "DESKPULSE_KAFKA_BOOTSTRAP is not set; `deskpulse up` starts an embedded broker"),
            (["dlq", "show", "seven"], "'seven' is no id of a dead letter"),
            (["dlq", "show", "0:1", "--json", "--body"], "give --body or --json, not both"),
            (["dlq", "replay"], "give either IDs, or --all, or what to choose by"),
            (["dlq", "replay", "0:1", "--all"], "give either IDs, or --all, or what to choose by"),
            (["dlq", "replay", "--reason", "tired"], "--reason: 'tired' is none of not_json"),
        ],
    )
    def test_are_one_line(self, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DESKPULSE_KAFKA_BOOTSTRAP", raising=False)
        told = CliRunner().invoke(app, arguments)
        assert told.exit_code == 1, told.exception
        assert told.stderr.startswith(said)
        assert len(told.stderr.splitlines()) == 1
