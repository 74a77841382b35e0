"""Dead letters: the original bytes untouched, and headers that say what was wrong with them and where they lay."""

from __future__ import annotations

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
