"""Zendesk: its two kinds of webhook, told apart by what only they have.

Event subscriptions post a fixed envelope whose ``type`` begins with ``zen:event-type:``. Triggers and automations
post what an admin typed; only our template (``"schema": "zendesk.trigger.v1"``) is read, nothing is guessed.
"""

from __future__ import annotations

from schemas.failure import Invalid, Reason
from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import zendesk_event, zendesk_trigger
from services.ingest.normalise.fields import Object
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.zendesk_ticket import Options as Options


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of a Zendesk webhook. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Zendesk webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    options = options_of(settings, Options)
    kind = body.get("type")
    if isinstance(kind, str) and kind.startswith(zendesk_event.PREFIX):
        return zendesk_event.events(body, delivery, settings.hash_key, options)
    if body.get("schema") == zendesk_trigger.SCHEMA:
        return zendesk_trigger.events(body, delivery, settings.hash_key, options)
    if _integration_services(body):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "this is a trigger event of Zendesk Integration Services or EventBridge, not a webhook: subscribe a "
            "webhook to the ticket events instead",
        )
    raise Invalid(
        Reason.UNSUPPORTED_FORMAT,
        "neither an event subscription (type zen:event-type:…) nor our trigger template (schema "
        f"{zendesk_trigger.SCHEMA}): see docs/guides/connect-zendesk.md",
    )


def _integration_services(body: Object) -> bool:
    """The same happenings in another shape: numeric ids, lower-case words, times of another meaning."""
    inner = (body, body.get("input"), body.get("detail"))
    return "integration_key" in body or any(isinstance(part, dict) and "ticket_event" in part for part in inner)
