"""Dead letters: the original bytes untouched, and headers that say what was wrong with them and where they lay."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.failure import Invalid
from schemas.instant import to_rfc3339
from services.stream.record import Outgoing, Record

PREFIX = "dlq-"


def from_record(record: Record, failure: Invalid, topic: str, stage: str, at_us: int) -> Outgoing:
    """The dead letter of a consumed record that ``stage`` could not process."""
    return Outgoing(
        topic,
        record.key,
        record.value or b"",
        [
            *((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
            *_why(failure, stage, at_us),
            (PREFIX + "topic", record.topic.encode()),
            (PREFIX + "partition", str(record.partition).encode()),
            (PREFIX + "offset", str(record.offset).encode()),
            (PREFIX + "appended-at", to_rfc3339(record.appended_us).encode()),
        ],
    )


def from_delivery(
    body: bytes, headers: list[tuple[str, bytes]], key: bytes, failure: Invalid, topic: str, stage: str, at_us: int
) -> Outgoing:
    """The dead letter of a webhook that could not be normalised. ``headers`` carry source and delivery id."""
    return Outgoing(topic, key, body, [*headers, *_why(failure, stage, at_us)])


def _why(failure: Invalid, stage: str, at_us: int) -> list[tuple[str, bytes]]:
    return [
        (PREFIX + "reason", failure.reason.value.encode()),
        (PREFIX + "detail", failure.detail.encode()[:1000]),
        (PREFIX + "stage", stage.encode()),
        (PREFIX + "failed-at", to_rfc3339(at_us).encode()),
    ]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it lies in the topic. A header that is missing is an empty string here."""

    record: Record
    stage: str
    reason: str
    detail: str
    failed_at: str
    source: str
    topic: str
    """Where the record lay that became it; empty for a webhook."""

    @property
    def id(self) -> str:
        """``topic:partition:offset``: its place, which never changes."""
        return f"{self.record.topic}:{self.record.partition}:{self.record.offset}"

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The headers that it had before it became a dead letter."""
        return [(name, value) for name, value in self.record.headers if not name.startswith(PREFIX)]


def letter(record: Record) -> Letter:
    """What the headers of a record of the dead-letter topic say."""
    said = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return Letter(
        record=record,
        stage=said.get(PREFIX + "stage", ""),
        reason=said.get(PREFIX + "reason", ""),
        detail=said.get(PREFIX + "detail", ""),
        failed_at=said.get(PREFIX + "failed-at", ""),
        source=said.get("source") or said.get("ce_source", "").rpartition("/")[2],
        topic=said.get(PREFIX + "topic", ""),
    )
