"""The published contracts side by side: topic, schema, record, codec, headers and examples."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from schemas import codec, envelope, topics
from schemas.alert import AlertEvent
from schemas.instant import parse_rfc3339
from schemas.json_schema import Schema, closed, load
from schemas.sla import SlaEvent
from schemas.ticket import TicketEvent

EXAMPLES_FOLDER = files("schemas") / "examples"

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or bool(parse_rfc3339(value))


@dataclass(frozen=True)
class Contract:
    """One topic whose values have a schema."""

    topic: str
    schema_name: str
    record: type[Any]
    decode: Callable[[bytes], Any]
    headers: Callable[[Any], envelope.Headers]

    @property
    def schema(self) -> Schema:
        return load(self.schema_name)


@dataclass(frozen=True)
class Example:
    """One example file."""

    contract: Contract
    name: str
    value: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.contract.schema_name}:{self.name}"


CONTRACTS = (
    Contract(topics.TICKETS, "ticket-event.v1", TicketEvent, codec.decode_ticket, envelope.ticket_headers),
    Contract(topics.SLA, "sla-event.v1", SlaEvent, codec.decode_sla, envelope.sla_headers),
    Contract(topics.ALERTS, "alert-event.v1", AlertEvent, codec.decode_alert, envelope.alert_headers),
)


def opened(contract: Contract) -> Draft202012Validator:
    """What consumers hold a value to."""
    return Draft202012Validator(contract.schema, format_checker=_formats)


def sealed(contract: Contract) -> Draft202012Validator:
    """What we hold our own producers to."""
    return Draft202012Validator(closed(contract.schema), format_checker=_formats)


def _examples() -> Iterator[Example]:
    for contract in CONTRACTS:
        folder = topics.TOPICS[contract.topic].examples
        assert folder is not None
        for file in sorted(EXAMPLES_FOLDER.joinpath(folder).iterdir(), key=lambda entry: entry.name):
            yield Example(contract, file.name.removesuffix(".json"), json.loads(file.read_text(encoding="utf-8")))


EXAMPLES = tuple(_examples())
