"""CloudEvents 1.0 over HTTP that carry Deskpulse's own event as their data.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md, in structured mode
(``application/cloudevents+json``), batched (``…-batch+json``) and binary (``ce-*`` headers, the data as the body).

The data is what a generic source takes, see :mod:`services.ingest.normalise.generic`. What the envelope says need not
be repeated in it: ``type`` (``deskpulse.helpdesk.<kind>.v1``) is the kind, ``time`` is ``occurred_at``, ``source`` with
``id`` is the identity. Items of a batch that cannot be read do not cost the others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import orjson

from schemas.failure import Invalid, Reason
from schemas.ticket import Kind, TicketEvent, event_id
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import generic
from services.ingest.normalise.batch import each
from services.ingest.normalise.fields import Object, required
from services.ingest.normalise.reading import json_value

_TYPE: Final = re.compile(r"deskpulse\.helpdesk\.(.+)\.v(\d+)")
_JSON: Final = re.compile(r"application/(?:[\w.-]+\+)?json", re.IGNORECASE)
_PREFIX: Final = "ce-"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A CloudEvents source takes no ``options``: its events are in our words already."""


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of one delivery. Raises :class:`Invalid`, or its kind :class:`PartlyInvalid`."""
    body = json_value(delivery, settings)
    attributes = {
        name.removeprefix(_PREFIX): value for name, value in delivery.headers.items() if name.startswith(_PREFIX)
    }
    if "specversion" in attributes:
        kind = delivery.headers.get("content-type")
        return _events({**attributes, **({"datacontenttype": kind} if kind else {}), "data": body}, delivery, settings)
    if isinstance(body, list):
        if len(body) > generic.BATCH_LIMIT:
            raise Invalid(
                Reason.BAD_VALUE, f"the batch has more than {generic.BATCH_LIMIT} events: send several deliveries"
            )
        return each(body, lambda item: _events(item, delivery, settings))
    return _events(body, delivery, settings)


def _events(event: Any, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    if not isinstance(event, dict):
        raise Invalid(Reason.NOT_AN_EVENT, "a CloudEvent is a JSON object")
    if event.get("specversion") is None:
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "neither specversion in the body nor a ce-specversion header: send CloudEvents 1.0, or use a source of "
            "vendor generic for the bare event",
        )
    if event["specversion"] != "1.0":
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "specversion must be 1.0")
    data = _data(event)
    kind = _kind(event, data)
    canonical = {
        **data,
        "kind": kind.value,
        "occurred_at": data.get("occurred_at") or event.get("time"),
        "event_id": data.get("event_id") or _identity(event, delivery),
    }
    try:
        written = orjson.dumps(canonical)
    except orjson.JSONEncodeError:  # it reads 1024 levels and writes 254
        raise Invalid(Reason.TOO_DEEP, "data is nested too deeply") from None
    return generic.normalise(replace(delivery, body=written), settings)


def _identity(event: Object, delivery: Delivery) -> str:
    """Source and id together are unique, by the specification."""
    return event_id(
        delivery.source, "cloudevents", required(event.get("source"), "source"), required(event.get("id"), "id")
    )


def _kind(event: Object, data: Mapping[str, Any]) -> Kind:
    given = event.get("type")
    if not isinstance(given, str) or not given:
        raise Invalid(Reason.MISSING_FIELD, "type is missing, for example deskpulse.helpdesk.status.changed.v1")
    ours = _TYPE.fullmatch(given)
    if ours is None or ours[1] not in set(Kind):
        raise Invalid(
            Reason.UNKNOWN_TYPE, f"type must be deskpulse.helpdesk.<kind>.v1, with a kind of: {', '.join(Kind)}"
        )
    if ours[2] != "1":
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "type is of another version than v1")
    if data.get("kind") not in (None, ours[1]):
        raise Invalid(Reason.BAD_VALUE, "data.kind is not the kind that type names")
    return Kind(ours[1])


def _data(event: Object) -> dict[str, Any]:
    form = event.get("datacontenttype")
    if form is not None and not (isinstance(form, str) and _JSON.match(form.strip())):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "datacontenttype must be application/json")
    data = event.get("data")
    if data is None and isinstance(event.get("data_base64"), str):
        try:
            data = orjson.loads(base64.b64decode(event["data_base64"], validate=True))
        except (binascii.Error, ValueError):
            raise Invalid(Reason.BAD_VALUE, "data_base64 does not hold JSON") from None
    if data is None:
        raise Invalid(Reason.MISSING_FIELD, "data is missing: the event")
    if not isinstance(data, dict):
        raise Invalid(Reason.BAD_VALUE, "data must be an object: the event")
    return data
