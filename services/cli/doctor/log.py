"""Kafka: whether it answers, its topics, what came in of late, and what waits among the dead letters."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson

from schemas import topics
from schemas.failure import NotNow
from schemas.instant import SECOND_US, from_datetime, parse_rfc3339, to_rfc3339
from schemas.topics import TOPICS, WEBHOOKS, apart, webhooks_of
from services.cli.doctor.finding import Finding, ok, problem, warning
from services.config.document import ConfigInvalid, Document, raw_retentions
from services.config.environment import Environment
from services.stream import admin
from services.stream.record import Record
from services.stream.survey import survey
from services.stream.tail import Tail, tail

QUIET_S: Final = 86_400
"""A helpdesk of which nothing was heard for so long has hardly had a quiet day."""
_NEW_US: Final = 86_400 * SECOND_US


@dataclass(frozen=True, slots=True)
class Log:
    """What was found, and the ends of two topics for those who judge further."""

    findings: tuple[Finding, ...]
    tickets: Tail | None = None
    letters: Tail | None = None


async def look(environment: Environment, file: Path) -> Log:
    """Never raises for anything that Kafka does."""
    if not environment.kafka_bootstrap:
        return Log((_embedded(),))
    connection = environment.kafka()
    where = f"{connection.bootstrap} ({connection.security_protocol})"
    try:
        seen = await survey(connection)
    except NotNow as exc:
        fix = "start Kafka, or correct DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_KAFKA_SECURITY_PROTOCOL"
        return Log((problem("kafka", f"{where}: {exc.what}", fix),))
    found = [ok("kafka", f"{where}, brokers: {seen.brokers}")]
    kept = _kept(file)
    missing = [name for name in (*TOPICS, *(apart(WEBHOOKS, name) for name in kept)) if name not in seen.partitions]
    if missing:
        found.append(problem("topics", f"missing: {', '.join(missing)}", "deskpulse topics apply"))
    tickets = letters = None
    try:
        if not missing:
            declared = [*TOPICS.values(), *(webhooks_of(name, kept_s * 1000) for name, kept_s in kept.items())]
            found += compared(await admin.compare(connection, declared))
        if (number := seen.partitions.get(topics.TICKETS)) is not None:
            tickets = await tail(connection, topics.TICKETS, number)
        if (number := seen.partitions.get(topics.TICKETS_DLQ)) is not None:
            letters = await tail(connection, topics.TICKETS_DLQ, number, most=200)
    except NotNow as exc:
        found.append(problem("kafka", f"{where}: {exc.what}", "the account may lack rights: docs/guides/operate.md"))
    return Log(tuple(found), tickets, letters)


def compared(rows: Sequence[admin.TopicChange]) -> Iterator[Finding]:
    """What the comparison with what is declared means."""
    good = [row for row in rows if row.outcome in admin.IN_ORDER or row.outcome is admin.Outcome.NOT_SUPPORTED]
    if len(good) == len(rows):
        yield ok("topics", ", ".join(f"{row.topic} ({row.partitions} partitions)" for row in rows))
    for row in rows:
        if row in good:
            continue
        fix = {
            admin.Outcome.PARTITIONS_DIFFER: "leave it; to repartition see docs/guides/operate.md",
            admin.Outcome.SETTINGS_UNREADABLE: "allow the account DescribeConfigs",
        }.get(row.outcome, "set them with your Kafka's tools (kafka-configs --alter), or keep them knowingly")
        yield warning("topics", f"{row.topic}: {row.detail}", fix)


@dataclass(slots=True)
class Received:
    """By source, when ingest last received something that became an event."""

    newest_us: dict[str, int] = field(default_factory=dict)
    waits_us: list[int] = field(default_factory=list)
    appended_us: int | None = None


def received(records: Sequence[Record]) -> Received:
    """Out of the last records of the topic of events."""
    found = Received()
    for record in records:
        found.appended_us = max(found.appended_us or 0, record.appended_us)
        try:
            said = orjson.loads(record.value or b"")
            at_us = from_datetime(parse_rfc3339(said["received_at"]))
            source = str(said["source"])
        except (ValueError, KeyError, TypeError):
            continue
        found.newest_us[source] = max(found.newest_us.get(source, 0), at_us)
        found.waits_us.append(record.appended_us - at_us)
    return found


def sources(
    document: Document, newest_us: Mapping[str, int], now_us: int, *, whole: bool, address: str
) -> Iterator[Finding]:
    """Whether each helpdesk posts. ``whole``: what is not in ``newest_us`` is not in the topic at all."""
    for name, source in document.sources.items():
        at_us = newest_us.get(name)
        guide = f"docs/guides/connect-{source.vendor.replace('_', '-')}.md"
        if at_us is None:
            said = "no webhook has ever been received" if whole else "no webhook among the last of all sources"
            fix = f"paste {address}/webhooks/{name} into {source.vendor}: {guide}; try it: deskpulse send-test {name}"
            yield warning("sources", f"{name}: {said}", fix)
        elif now_us - at_us > QUIET_S * SECOND_US:
            days = (now_us - at_us) // (86_400 * SECOND_US)
            fix = f"did {source.vendor} switch the webhook off, or its secret change? {guide}"
            yield warning("sources", f"{name}: last received {to_rfc3339(at_us)}, {days} days ago", fix)
        else:
            yield ok("sources", f"{name}: last received {to_rfc3339(at_us)}")


def dead_letters(letters: Tail, now_us: int) -> Finding:
    """What lies in the dead-letter topic."""
    if not letters.held:
        return ok("dead letters", "none")
    fresh = [record for record in letters.records if now_us - record.appended_us < _NEW_US]
    if not fresh:
        return ok("dead letters", f"{letters.held}, none of the last day")
    reasons = Counter(dict(record.headers).get("dlq-reason", b"unknown").decode("utf-8", "replace") for record in fresh)
    told = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(3))
    fix = "deskpulse dlq list, correct the cause, then deskpulse dlq replay"
    return warning("dead letters", f"{letters.held}, of the last day {len(fresh)} ({told})", fix)


def _kept(file: Path) -> dict[str, int]:
    """The sources with topics of their own; what is wrong with the file is another finding."""
    try:
        return raw_retentions(file, os.environ)
    except ConfigInvalid:
        return {}


def _embedded() -> Finding:
    if find_spec("confluent_kafka") is None:
        fix = "pip install 'deskpulse[embedded]', or set DESKPULSE_KAFKA_BOOTSTRAP"
        return problem("kafka", "none configured and no embedded broker here", fix)
    return ok("kafka", "none configured; `deskpulse up` starts an embedded broker, for trying only")
