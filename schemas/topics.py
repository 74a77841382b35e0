"""The topics, as data: names for code, and what ``schemas/topics/*.yaml`` says about each of them.

Documentation, provisioning (``deskpulse topics apply``), the AsyncAPI document and the tests all read the same
files. They are part of the package and read once, when this module is imported.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

TICKETS: Final = "helpdesk.tickets.v1"
TICKETS_DLQ: Final = "helpdesk.tickets.v1.dlq"
WEBHOOKS: Final = "helpdesk.webhooks.v1"
SLA: Final = "helpdesk.sla.v1"
ALERTS: Final = "helpdesk.alerts.v1"

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

FOLDER: Final = files("schemas") / "topics"

# Only `.` and `-`: Kafka's metrics turn `.` into `_`, so names that differ in nothing else would collide.
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*\.v[1-9][0-9]*(\.dlq)?$", max_length=120)]
Prose = Annotated[str, Meta(min_length=40)]
Service = Annotated[str, Meta(pattern=r"^[a-z]+( [a-z]+)*$")]
Positive = Annotated[int, Meta(ge=1)]


class Config(
    Struct, frozen=True, forbid_unknown_fields=True, rename=lambda field: field.replace("_", ".")
):  # the YAML uses Kafka's own names
    """The topic settings of Kafka that we decide; everything else is the broker's default."""

    cleanup_policy: Annotated[str, Meta(pattern=r"^(delete|compact|compact,delete)$")]
    retention_ms: Positive
    max_message_bytes: Positive
    message_timestamp_type: Annotated[str, Meta(pattern=r"^(LogAppendTime|CreateTime)$")]
    segment_ms: Positive | None = None

    def items(self) -> dict[str, str]:
        """Kafka's names and values, as the brokers take and give them: text."""
        return {name: str(value) for name, value in msgspec.to_builtins(self).items() if value is not None}


class Value(Struct, frozen=True, forbid_unknown_fields=True, rename={"schema_name": "schema"}):
    """What a record's value is: JSON of a schema in ``schemas/json``, or bytes that prose describes."""

    schema_name: Annotated[str, Meta(pattern=r"^[a-z-]+\.v[1-9][0-9]*$")] | None = None
    bytes: Prose | None = None

    def __post_init__(self) -> None:
        if (self.schema_name is None) == (self.bytes is None):
            raise ValueError("value needs either 'schema' or 'bytes'")


class Topic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One topic. ``replication_factor`` is the wish: a cluster with fewer brokers gets as many as it has."""

    name: Name
    description: Prose
    key: Prose
    value: Value
    headers: dict[str, Annotated[str, Meta(min_length=10)]]
    partitions: Annotated[int, Meta(ge=1, le=1000)]
    replication_factor: Annotated[int, Meta(ge=1, le=10)]
    config: Config
    producers: Annotated[tuple[Service, ...], Meta(min_length=1)]
    consumers: Annotated[tuple[Service, ...], Meta(min_length=1)]
    examples: Annotated[str, Meta(pattern=r"^[a-z0-9.-]+/v[1-9][0-9]*$")] | None = None

    def __post_init__(self) -> None:
        if (self.examples is None) != (self.value.schema_name is None):
            raise ValueError("examples go with a schema: JSON has them, bytes have none")
        if self.examples is not None and self.examples.rpartition("/")[0] != self.name:
            raise ValueError("examples lie in the folder that is named after the topic")


def parse(text: str) -> Topic:
    """The topic that one YAML document describes.

    Raises :class:`msgspec.ValidationError` that names the field for whatever is missing, unknown or out of range.
    """
    document: Any = yaml.safe_load(text)
    return msgspec.convert(document, Topic)


def apart(webhooks: str, source: str) -> str:
    """The name of the topic that has only the raw webhooks of ``source``, beside the one called ``webhooks``."""
    return f"{webhooks}.{source}"


def webhooks_of(source: str, retention_ms: int) -> Topic:
    """The topic of a source whose raw webhooks are kept for a time of their own: Kafka deletes by topic.

    It deletes whole segments, when the newest record in one is old enough. A segment takes records for an eighth of
    the retention (an hour at least, a day at most), so a record is gone that much later at the latest.
    """
    shared = TOPICS[WEBHOOKS]
    segment_ms = min(shared.config.segment_ms or DAY_MS, max(HOUR_MS, retention_ms // 8))
    config = msgspec.structs.replace(shared.config, retention_ms=retention_ms, segment_ms=segment_ms)
    return msgspec.structs.replace(shared, name=apart(WEBHOOKS, source), config=config)


def _load(folder: Traversable) -> Mapping[str, Topic]:
    found: dict[str, Topic] = {}
    for entry in folder.iterdir():
        topic = parse(entry.read_text(encoding="utf-8"))
        if entry.name != f"{topic.name}.yaml":
            raise ValueError(f"schemas/topics/{entry.name} describes {topic.name}: name the file after the topic")
        found[topic.name] = topic
    return MappingProxyType(dict(sorted(found.items())))


TOPICS: Final[Mapping[str, Topic]] = _load(FOLDER)
"""Every topic by its name, in the order of the names."""
