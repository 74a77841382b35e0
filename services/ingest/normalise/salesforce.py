"""Salesforce Service Cloud: its three ways of telling, each recognised by what only it has.

- A record-triggered flow's HTTP callout posts our template (docs/guides/connect-salesforce.md): ``eventType`` and
  ``record``.
- A relay of Change Data Capture posts change events, one or an array: ``ChangeEventHeader``.
- A workflow's outbound message posts SOAP. It has no word for what happened: ``options.actions`` gives each action its
  own, without which a case that was never modified is new, and any other is a snapshot (``ticket.updated``).

Several notifications or change events in one delivery do not cost each other, see
:mod:`services.ingest.normalise.batch`.
"""

from __future__ import annotations

from typing import Any

from schemas.failure import Invalid, Reason
from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import salesforce_case, salesforce_change, salesforce_soap
from services.ingest.normalise.batch import each
from services.ingest.normalise.fields import Object, obj
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import context as context_of
from services.ingest.normalise.reading import json_value
from services.ingest.normalise.salesforce_record import EVENTS, READ, Context, record_id
from services.ingest.normalise.salesforce_record import Options as Options

_MESSAGES = {"EmailMessage": "email_message_created", "CaseComment": "case_comment_created"}


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of one callout. Raises :class:`Invalid`, or its kind :class:`PartlyInvalid`."""
    context = context_of(delivery, settings, Options)
    if delivery.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        message = salesforce_soap.read(delivery.body)
        return each(
            message.notifications,
            lambda one: stated(_notified(message.action, one, context), one.record, delivery.vendor, settings.keep),
        )

    def read(item: Any) -> list[TicketEvent]:
        return stated(_read(item, context), item, delivery.vendor, settings.keep)

    body = json_value(delivery, settings)
    return each(body, read) if isinstance(body, list) else read(body)


def _read(body: Any, context: Context) -> list[TicketEvent]:
    if not isinstance(body, dict):
        raise Invalid(Reason.NOT_AN_EVENT, "a callout of Salesforce is a JSON object")
    inner = body.get("payload", body)
    if isinstance(inner, dict) and salesforce_change.HEADER in inner:
        event = body.get("event")
        return salesforce_change.changes(inner, event.get("replayId") if isinstance(event, dict) else None, context)
    if "eventType" in body:
        return _flow(body, context)
    raise Invalid(
        Reason.UNSUPPORTED_FORMAT,
        "neither our flow template (eventType, record), nor a change event (ChangeEventHeader), nor an outbound "
        "message: see docs/guides/connect-salesforce.md",
    )


def _flow(body: Object, context: Context) -> list[TicketEvent]:
    name = str(body["eventType"]).strip().lower().replace(".", "_")
    record = obj(body, "record", "record")
    for field in ("Id", "ParentId", "LastModifiedDate", "CreatedDate", *sorted(READ)):
        value = record.get(field)
        if isinstance(value, str) and value.startswith(("{!", "{{")):
            raise Invalid(
                Reason.UNRENDERED_TEMPLATE, f"record.{field} still holds a placeholder: the flow did not fill it in"
            )
    if name not in EVENTS:
        raise Invalid(Reason.UNKNOWN_TYPE, f"eventType is none of: {', '.join(EVENTS)}")
    return salesforce_case.told(name, body, record, context)


def _notified(action: str | None, one: salesforce_soap.Notification, context: Context) -> list[TicketEvent]:
    if one.entity in _MESSAGES:
        return salesforce_case.told(_MESSAGES[one.entity], {}, one.record, context)
    if one.entity != "Case":
        return []
    return salesforce_case.told(_named(action, one.record, context), {}, one.record, context)


def _named(action: str | None, record: Object, context: Context) -> str:
    actions = {record_id(key, "options.actions"): name for key, name in context.options.actions.items()}
    configured = actions.get(record_id(action, "ActionId")) if action else None
    if configured is not None:
        return configured
    created = record.get("CreatedDate")
    return "case_created" if created is not None and created == record.get("LastModifiedDate") else "case_updated"
