"""``deskpulse replay`` on a real Kafka: kept webhooks and files become events, once, and history stays silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas import topics
from schemas.codec import decode_sla, decode_ticket
from schemas.instant import from_datetime, to_rfc3339
from services import clock
from services.embedded.port import free_port
from services.ingest.delivery import Delivery
from services.ingest.raw import headers_of
from services.stream.record import Outgoing
from tests.support import signing
from tests.support.command import ROOT, deskpulse
from tests.support.doorway import doorway
from tests.support.kafka import Kafka
from tests.support.service import Service
from tests.support.topics import configured, held, send
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(240)]

CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: [hush]}
  other: {vendor: zendesk, secrets: [hush]}
  generic: {vendor: generic, secrets: ["whsec_c2VjcmV0"]}
sla_policies:
  - {name: quick, targets: {first_response: {"*": 1s}}}
retention: {closed_tickets: never}  # the saved webhooks are of whenever they were saved
"""


@pytest.fixture
async def environment(kafka: Kafka, tmp_path: Path) -> dict[str, str]:
    return await configured(kafka, tmp_path, CONFIG)


async def ids(bootstrap: str) -> list[str]:
    """Of the events in the topic of tickets, sorted."""
    return sorted(decode_ticket(record.value or b"").event_id for record in await held(bootstrap, topics.TICKETS))


async def posted(bootstrap: str, source: str, *events: str, config: str = CONFIG) -> None:
    async with doorway(bootstrap, config) as client:
        for event in events:
            body = signing.status_changed(event)
            answer = await client.post(f"/webhooks/{source}", content=body, headers=signing.zendesk(body, "hush"))
            assert answer.json()["accepted"] == 1, answer.text


def jsonl(folder: Path, *lines: Any) -> Path:
    file = folder / "history.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


class TestFromTopic:
    async def test_what_was_missing_comes_and_what_was_there_keeps_its_id(
        self, kafka: Kafka, environment: dict[str, str]
    ) -> None:
        await posted(kafka.bootstrap, "zendesk", "e-1", "e-2")
        live = await ids(kafka.bootstrap)
        # Kept by a version that made no event of it.
        missed = Delivery("zendesk", "zendesk", {}, signing.status_changed("e-3"), clock.now() - timedelta(hours=2))
        await send(kafka.bootstrap, Outgoing(topics.WEBHOOKS, b"zendesk:3", missed.body, headers_of(missed)))

        tried = deskpulse("replay", "--from-topic", "--dry-run", **environment)
        assert (tried.returncode, await ids(kafka.bootstrap)) == (0, live)
        assert tried.stdout.decode().startswith("3 webhooks read, 3 records would be written (status.changed 3)")

        done = json.loads(deskpulse("replay", "--from-topic", "--json", **environment).stdout)
        assert (done["read"], done["written"], done["refused"]) == (3, 3, {})
        after = await ids(kafka.bootstrap)
        [new] = set(after) - set(live)
        assert after == sorted([*live, *live, new])
        events = [decode_ticket(record.value or b"") for record in await held(kafka.bootstrap, topics.TICKETS)]
        assert not any(event.imported for event in events)
        [brought] = [event for event in events if event.event_id == new]
        assert brought.received_at == missed.received_at

    async def test_source_and_times_choose(self, kafka: Kafka, environment: dict[str, str]) -> None:
        await posted(kafka.bootstrap, "zendesk", "e-1", "e-2")
        await posted(kafka.bootstrap, "other", "e-1")

        def read(*options: str) -> int:
            told = deskpulse("replay", "--from-topic", "--dry-run", "--json", *options, **environment)
            assert told.returncode == 0, told
            return int(json.loads(told.stdout)["read"])

        last_us = max(record.appended_us for record in await held(kafka.bootstrap, topics.WEBHOOKS))
        assert [read("--source", name) for name in ("zendesk", "other", "generic")] == [2, 1, 0]
        assert read("--since", "1h") == 3
        assert read("--since", "1h", "--until", to_rfc3339(last_us + 1000)) == 3
        assert read("--until", "1h") == 0
        assert read("--since", "2100-01-01T00:00Z") == 0
        wrong = deskpulse("replay", "--from-topic", "--source", "shop", **environment)
        assert (wrong.returncode, wrong.stderr) == (1, b"--source: no source 'shop' is configured\n")

    async def test_a_source_with_a_retention_of_its_own_has_a_topic_of_its_own(
        self, kafka: Kafka, environment: dict[str, str]
    ) -> None:
        apart = CONFIG.replace(
            "other: {vendor: zendesk, secrets: [hush]}",
            'other: {vendor: zendesk, secrets: ["${NOT_HERE}"], raw_retention: 2d}',
        )
        Path(environment["DESKPULSE_CONFIG"]).write_text(apart)
        topic = f"{topics.WEBHOOKS}.other"
        told = deskpulse("doctor", "--json", **environment)
        found = {one["what"]: one for one in json.loads(told.stdout)["findings"]}["topics"]
        assert (found["ok"], found["detail"], found["fix"]) == (False, f"missing: {topic}", "deskpulse topics apply")

        made = json.loads(deskpulse("topics", "apply", "--json", **environment).stdout)
        assert {row["topic"]: row["outcome"] for row in made}[topic] == "created"
        again = deskpulse("topics", "apply", "--json", **environment)
        assert again.returncode == 0, "the broker has the retention that the source asks for"
        Path(environment["DESKPULSE_CONFIG"]).write_text(apart.replace("2d", "3d"))
        differs = deskpulse("topics", "apply", **environment)
        assert differs.returncode == 1
        assert b"retention.ms is 172800000, declared is 259200000" in differs.stdout

        Path(environment["DESKPULSE_CONFIG"]).write_text(apart.replace("${NOT_HERE}", "hush"))
        await posted(kafka.bootstrap, "zendesk", "e-1", config=apart.replace("${NOT_HERE}", "hush"))
        await posted(kafka.bootstrap, "other", "e-1", "e-2", config=apart.replace("${NOT_HERE}", "hush"))
        assert len(await held(kafka.bootstrap, topics.WEBHOOKS)) == 1
        assert len(await held(kafka.bootstrap, topic)) == 2

        def read(*options: str) -> int:
            told = deskpulse("replay", "--from-topic", "--dry-run", "--json", *options, **environment)
            assert told.returncode == 0, told
            return int(json.loads(told.stdout)["written"])

        assert [read(), read("--source", "zendesk"), read("--source", "other")] == [3, 1, 2]
        # What lies there is found when the source no longer asks for it, too.
        Path(environment["DESKPULSE_CONFIG"]).write_text(CONFIG)
        assert read("--source", "other") == 2


class TestFile:
    async def test_the_good_lines_are_loaded_as_imported_and_the_bad_ones_told_with_their_number(
        self, kafka: Kafka, environment: dict[str, str], tmp_path: Path
    ) -> None:
        event = json.loads(next((ROOT / "schemas/examples/helpdesk.tickets.v1/v1").glob("created-by*")).read_text())
        payload = json.loads(signing.status_changed("e-1"))
        file = jsonl(
            tmp_path, event, "", "{", {"source": "other", "body": payload}, {"source": "shop", "body": payload}, payload
        )
        done = deskpulse("replay", file, "--source", "zendesk", **environment)
        assert done.returncode == 1
        assert [line.split(": ")[:2] for line in done.stderr.decode().splitlines()] == [
            ["line 3", "not_json"],
            ["line 5", "source_not_configured"],
        ]
        assert done.stdout.decode().startswith("5 lines read, 3 records written")
        events = [decode_ticket(record.value or b"") for record in await held(kafka.bootstrap, topics.TICKETS)]
        assert sorted(one.source for one in events) == sorted([event["source"], "other", "zendesk"])
        assert all(one.imported for one in events)

    async def test_ctrl_c_stops_it_where_it_is(self, environment: dict[str, str], tmp_path: Path) -> None:
        event = json.loads(next((ROOT / "schemas/examples/helpdesk.tickets.v1/v1").glob("created-by*")).read_text())
        pipe = tmp_path / "endless"
        os.mkfifo(pipe)
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "replay", str(pipe)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with pipe.open("wb", buffering=0) as lines:  # opens when the command listens for Ctrl-C already
            process.send_signal(signal.SIGINT)
            with pytest.raises(BrokenPipeError):
                while True:
                    lines.write(json.dumps(event | {"event_id": str(uuid4())}).encode() + b"\n")
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, b"")
        assert out.decode().startswith("stopped after line ")


class TestCounting:
    @pytest.fixture
    async def worker(self, environment: dict[str, str], redis_db: str, tmp_path: Path) -> AsyncIterator[str]:
        """The URL of a metrics worker's /metrics."""
        port = free_port()
        more = {"DESKPULSE_REDIS_URL": redis_db, "DESKPULSE_METRICS_PORT": str(port)}
        service = Service("metrics", {**environment, **more}, tmp_path / "metrics.log")
        yield f"http://127.0.0.1:{port}/metrics"
        assert service.stop() == 0, service.said()

    async def test_a_replay_counts_nothing_twice_and_history_is_counted_and_never_announced(
        self, kafka: Kafka, environment: dict[str, str], worker: str, tmp_path: Path
    ) -> None:
        async def folded(outcome: str) -> float:
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    text = (await client.get(worker)).text
            except httpx.TransportError:
                return -1
            return sum(
                sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == "deskpulse_metrics_events_total" and sample.labels["outcome"] == outcome
            )

        async def reaches(outcome: str, number: int) -> None:
            async def there() -> bool:
                return await folded(outcome) == number

            await eventually(there, f"{number} {outcome}", timeout_s=60)

        def created(ticket_id: str) -> dict[str, str]:
            at = to_rfc3339(from_datetime(clock.now()))
            return {"kind": "ticket.created", "ticket_id": ticket_id, "occurred_at": at}

        await posted(kafka.bootstrap, "zendesk", "e-1", "e-2")
        await reaches("folded", 2)
        deskpulse("replay", "--from-topic", **environment)
        await reaches("duplicate", 2)

        file = jsonl(tmp_path, created("history"))
        assert deskpulse("replay", file, **environment).returncode == 0
        await reaches("folded", 3)
        async with doorway(kafka.bootstrap, CONFIG) as client:  # the same, live: the control
            body = json.dumps(created("live")).encode()
            headers = signing.standard(body, b"secret", "msg_1")
            assert (await client.post("/webhooks/generic", content=body, headers=headers)).json()["accepted"] == 1
        await reaches("folded", 4)

        async def announced() -> list[str]:
            return [decode_sla(record.value or b"").ticket_id for record in await held(kafka.bootstrap, topics.SLA)]

        await eventually(announced, "the live ticket's breach is announced", timeout_s=30)
        assert set(await announced()) == {"live"}
        assert (await folded("folded"), await folded("duplicate")) == (4, 2)
