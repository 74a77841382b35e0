"""History from a file: JSON lines to events that are computed and never announced.

A line is one of three things:

- a canonical event: it has a ``kind`` of ours. With ``event_id``, ``source``, ``vendor`` and ``received_at`` it is
  taken as it is, ids of customers included, which must be pseudonyms then; else as a generic source takes it.
- a kept delivery: ``{"source", "headers", "body", "received_at"}`` of which only ``body`` is needed. A ``body`` that
  is text is taken byte for byte, one that is JSON is written anew.
- anything else is the vendor's payload itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from schemas.codec import decode_ticket
from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import Kind, TicketEvent
from services.ingest.delivery import Delivery
from services.ingest.normalise.fields import json_of
from services.ingest.replay import Hurdle, Refusal, Replayed, Sources, allowed, of_delivery, of_events

_COMPLETE: Final = frozenset({"event_id", "source", "vendor", "received_at"})
_KEPT: Final = frozenset({"source", "vendor", "headers", "body", "received_at"})
_KINDS: Final = frozenset(Kind)


def of_line(line: bytes, sources: Sources, default: str | None, received_at: datetime) -> Replayed:
    """The imported events of one line. ``default`` is the source of a line that names none; ``received_at`` of a
    line that does not say."""
    try:
        replayed = _of(json_of(line), line, sources, default, received_at)
    except Invalid as failure:
        return Replayed(refusal=Refusal(failure.reason, failure.detail))
    return of_events([_imported(event) for event in replayed.events], replayed.refusal)


def _of(said: Any, line: bytes, sources: Sources, default: str | None, received_at: datetime) -> Replayed:
    if not isinstance(said, dict):
        raise Invalid(Reason.NOT_AN_EVENT, "a line is one JSON object: an event, a delivery or a payload")
    if _complete(said):
        return of_events([allowed(decode_ticket(line), sources)])
    if "body" in said and said.keys() <= _KEPT:
        return _of_kept(said, sources, default, received_at)
    if _canonical(said) and default is None:
        named = said.get("source")
        generic = [name for name, source in sources().items() if source.vendor == "generic"]
        default = named if isinstance(named, str) else generic[0] if len(generic) == 1 else None
    return _of_body(line, {}, default, sources, received_at)


def _of_kept(said: dict[str, Any], sources: Sources, default: str | None, received_at: datetime) -> Replayed:
    body, headers, source = said["body"], said.get("headers") or {}, said.get("source") or default
    if not isinstance(headers, dict) or not isinstance(source, str | None):
        raise Invalid(Reason.BAD_VALUE, "headers must be an object of names and values, source a name")
    at = said.get("received_at")
    if at is not None:
        try:
            received_at = parse_rfc3339(at)
        except (TypeError, ValueError):
            raise Invalid(Reason.BAD_VALUE, "received_at must be a time such as 2026-03-02T09:00:00Z") from None
    try:
        value = body.encode() if isinstance(body, str) else orjson.dumps(body)
    except TypeError:
        raise Invalid(Reason.TOO_DEEP, "body is nested too deeply") from None
    return _of_body(value, {str(k).lower(): str(v) for k, v in headers.items()}, source, sources, received_at)


def _of_body(
    body: bytes, headers: Mapping[str, str], name: str | None, sources: Sources, received_at: datetime
) -> Replayed:
    if name is None:
        return Replayed(refusal=Refusal(Hurdle.NO_SOURCE_GIVEN, "the line names no source: give --source or --vendor"))
    known = sources()
    vendor = known[name].vendor if name in known else ""
    return of_delivery(Delivery(name, vendor, headers, body, received_at), known)


def _complete(said: Mapping[str, Any]) -> bool:
    return _canonical(said) and said.keys() >= _COMPLETE


def _canonical(said: Mapping[str, Any]) -> bool:
    kind = said.get("kind")
    return isinstance(kind, str) and kind in _KINDS


def _imported(event: TicketEvent) -> TicketEvent:
    return msgspec.structs.replace(event, imported=True)
