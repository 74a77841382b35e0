"""What of a person may stand in a canonical event: nothing, unless the source is configured to keep it.

A normaliser says with :func:`stated` what its payload has; what leaves normalising goes through :func:`filtered`, and
there alone it is decided what stays. So no normaliser can let something through that its source does not keep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import structs

from schemas.ticket import Kind, Personal, TicketEvent
from services.ingest.normalise.personal_fields import FOUND

LIMITS: Final[Mapping[str, int]] = {
    "subject": 1000,
    "message_body": 32_768,
    "requester_name": 200,
    "requester_email": 320,
}
"""What a source can keep, and after how many characters it is cut: an event must stay well below a record's limit."""


def stated(events: list[TicketEvent], item: Any, vendor: str, keep: Collection[str]) -> list[TicketEvent]:
    """The events that ``item`` tells, with what it has of a person. Not looked for where nothing is kept."""
    return [_with(event, item, vendor) for event in events] if keep else events


def filtered(events: Iterable[TicketEvent], keep: Collection[str]) -> list[TicketEvent]:
    """The events with no more of a person than ``keep`` names; a deletion states nothing anew."""
    return [
        event if event.personal is None else structs.replace(event, personal=_kept(event, event.personal, keep))
        for event in events
    ]


def _with(event: TicketEvent, item: Any, vendor: str) -> TicketEvent:
    found = FOUND[vendor](item, event)
    text = {Kind.MESSAGE_ADDED: found.message, Kind.CREATED: found.description}.get(event.kind)
    personal = Personal(_text(found.subject), _text(text), _text(found.name), _text(found.email))
    return event if personal == Personal() else structs.replace(event, personal=personal)


def _kept(event: TicketEvent, personal: Personal, keep: Collection[str]) -> Personal | None:
    if event.kind is Kind.DELETED:
        return None
    kept = {name: (_text(getattr(personal, name)) or "")[:limit] for name, limit in LIMITS.items() if name in keep}
    kept = {name: value for name, value in kept.items() if value}
    return Personal(**kept) if kept else None


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
