"""Where every vendor's payload has the subject, the texts, and the name and address of the customer who asks.

Nothing here is kept by being found: :mod:`services.ingest.normalise.personal` decides. A vendor that is missing has
none of it in what it posts (HubSpot), or has the canonical event's own object (generic, CloudEvents). Of people only
the customer who asks is looked for, never an agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from schemas.ticket import TicketEvent


class Found(Struct, frozen=True):
    """As the payload has it: text, or anything else, which counts as nothing. ``message`` is the text of an added
    message, ``description`` the one that a ticket was created with."""

    subject: Any = None
    message: Any = None
    description: Any = None
    name: Any = None
    email: Any = None


def at(value: Any, *way: str | int) -> Any:
    """What lies at the end of ``way``; ``None`` where it does not go on."""
    for step in way:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and value:
            value = value[step]
        else:
            return None
    return value


def first(*values: Any) -> Any:
    """The first that is there."""
    return next((value for value in values if value), None)


def full_name(person: Any) -> str | None:
    """The name in one piece, or the first and the last, in the spellings that vendors have."""
    given = (first(*(at(person, part + end) for end in ("name", "Name", "_name", ""))) for part in ("first", "last"))
    parts = " ".join(part for part in given if isinstance(part, str) and part)
    whole = first(at(person, "name"), at(person, "displayName"))
    return whole if isinstance(whole, str) else parts or None


def _chatwoot(body: Any, _: TicketEvent) -> Found:
    conversation = first(at(body, "conversation"), body)
    sender = at(conversation, "meta", "sender")
    return Found(
        subject=at(conversation, "additional_attributes", "mail_subject"),
        message=at(body, "content"),
        description=at(body, "messages", 0, "content"),
        name=full_name(sender),
        email=at(sender, "email"),
    )


def _scout(customer: str) -> Callable[[Any, TicketEvent], Found]:
    def found(body: Any, event: TicketEvent) -> Found:
        threads = at(body, "_embedded", "threads")
        listed = threads if isinstance(threads, list) else []
        said = event.message.id if event.message is not None else None
        message = next((thread for thread in listed if said is not None and str(at(thread, "id")) == said), None)
        person = at(body, customer)
        return Found(
            subject=at(body, "subject"),
            message=at(message, "body"),
            description=at(min(listed, key=lambda thread: str(at(thread, "createdAt")), default=None), "body"),
            name=full_name(person),
            email=at(person, "email"),
        )

    return found


def _freshdesk(body: Any, _: TicketEvent) -> Found:
    fields = first(at(body, "freshdesk_webhook"), body)
    return Found(
        subject=at(fields, "ticket_subject"),
        message=at(fields, "message_body"),
        description=at(fields, "ticket_description"),
        name=first(at(fields, "ticket_requester_name"), at(fields, "requester_name")),
        email=first(at(fields, "ticket_requester_email"), at(fields, "requester_email")),
    )


def _front(body: Any, _: TicketEvent) -> Found:
    event = first(at(body, "payload"), body)
    handle = at(event, "conversation", "recipient", "handle")
    message = at(event, "target", "data")
    text = first(at(message, "text"), at(message, "body"))
    return Found(
        subject=at(event, "conversation", "subject"),
        message=text,
        description=text,  # a conversation is created by its first message
        name=at(event, "conversation", "recipient", "name"),
        email=handle if isinstance(handle, str) and "@" in handle else None,
    )


def _gorgias(body: Any, _: TicketEvent) -> Found:
    ticket, message = first(at(body, "ticket"), body), first(at(body, "message"), body)
    asks = at(message, "sender") if at(message, "from_agent") is False else None
    return Found(
        subject=at(ticket, "subject"),
        message=first(at(message, "body_text"), at(message, "stripped_text")),
        description=first(at(ticket, "messages", 0, "body_text"), at(ticket, "messages", 0, "stripped_text")),
        name=first(full_name(at(ticket, "customer")), at(ticket, "customer_name"), full_name(asks)),
        email=first(at(ticket, "customer", "email"), at(ticket, "customer_email"), at(asks, "email")),
    )


def _intercom(body: Any, _: TicketEvent) -> Found:
    item = at(body, "data", "item")
    ticket = first(at(item, "ticket"), item)
    part = first(
        at(item, "ticket_part"),
        at(item, "conversation_parts", "conversation_parts", -1),
        at(item, "ticket_parts", "ticket_parts", -1),
    )
    opening = first(at(ticket, "source"), at(ticket, "conversation_message"))
    author = at(opening, "author")
    customer = first(
        at(ticket, "user"),
        author if at(author, "type") in ("user", "lead", "contact") else None,
        at(ticket, "contacts", "contacts", 0),
    )
    return Found(
        subject=first(at(opening, "subject"), at(ticket, "ticket_attributes", "_default_title_")),
        message=at(part, "body"),
        description=first(at(opening, "body"), at(ticket, "ticket_attributes", "_default_description_")),
        name=full_name(customer),
        email=at(customer, "email"),
    )


def _jira(body: Any, _: TicketEvent) -> Found:
    fields = at(body, "issue", "fields")
    return Found(
        subject=at(fields, "summary"),
        message=at(body, "comment", "body"),
        description=at(fields, "description"),
        name=full_name(at(fields, "reporter")),
        email=at(fields, "reporter", "emailAddress"),
    )


def _salesforce(item: Any, _: TicketEvent) -> Found:
    """``item`` is a flow's body, a change event, or the record of an outbound message."""
    record = first(at(item, "record"), at(item, "payload"), item)
    incoming = str(at(record, "Incoming")).lower() == "true"
    return Found(
        subject=at(record, "Subject"),
        message=first(at(record, "TextBody"), at(record, "CommentBody"), at(record, "HtmlBody")),
        description=at(record, "Description"),
        name=first(at(record, "SuppliedName"), at(record, "FromName") if incoming else None),
        email=first(
            at(record, "ContactEmail"), at(record, "SuppliedEmail"), at(record, "FromAddress") if incoming else None
        ),
    )


def _servicenow(body: Any, _: TicketEvent) -> Found:
    current = at(body, "current")

    def text(parent: Any, name: str) -> Any:
        value = at(parent, name)
        return first(at(value, "display_value"), at(value, "value")) if isinstance(value, dict) else value

    return Found(
        subject=text(current, "short_description"),
        message=text(body, "value"),
        description=text(current, "description"),
        name=text(body, "caller_name"),
        email=text(body, "caller_email"),
    )


def _zammad(body: Any, _: TicketEvent) -> Found:
    customer = at(body, "ticket", "customer")
    return Found(
        subject=at(body, "ticket", "title"),
        message=at(body, "article", "body"),
        description=at(body, "article", "body"),
        name=full_name(customer),
        email=at(customer, "email"),
    )


def _zendesk(body: Any, _: TicketEvent) -> Found:
    """An event subscription has no names; the template of a trigger has what was put into it."""
    detail = at(body, "detail")
    return Found(
        subject=at(detail, "subject") if detail else at(body, "subject"),
        message=first(*(at(body, "event", part, "body") for part in ("comment", "message")), at(body, "message_body")),
        description=first(at(detail, "description"), at(body, "message_body")),
        name=at(body, "requester_name"),
        email=at(body, "requester_email"),
    )


def _zoho_desk(item: Any, _: TicketEvent) -> Found:
    payload = at(item, "payload")
    author = at(payload, "author") if at(payload, "direction") == "in" else None
    return Found(
        subject=at(payload, "subject"),
        message=first(at(payload, "content"), at(payload, "summary")),
        description=at(payload, "description"),
        name=first(full_name(at(payload, "contact")), full_name(author)),
        email=first(at(payload, "contact", "email"), at(payload, "email"), at(author, "email")),
    )


FOUND: Final[Mapping[str, Callable[[Any, TicketEvent], Found]]] = {
    "chatwoot": _chatwoot,
    "freescout": _scout("customer"),
    "freshdesk": _freshdesk,
    "front": _front,
    "gorgias": _gorgias,
    "helpscout": _scout("primaryCustomer"),
    "intercom": _intercom,
    "jira": _jira,
    "salesforce": _salesforce,
    "servicenow": _servicenow,
    "zammad": _zammad,
    "zendesk": _zendesk,
    "zoho_desk": _zoho_desk,
}
