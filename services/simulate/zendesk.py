"""Zendesk's side of a ticket's life: the event-subscription webhooks of each step, and their signature. Pure.

Shapes as Zendesk publishes them (docs/sources/zendesk.md): string ids, upper-case enums, ``detail`` is the ticket
after the action, ``event.meta.sequence`` joins the webhooks of one action, ``time`` has nine fractional digits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid5

from schemas.instant import to_datetime
from schemas.ticket import ActorKind, Priority, Status, Visibility
from services.simulate.life import Deed, Life, Step

_NAMES: Final = UUID("0b9f3a52-6c53-5a3c-8a35-0a7b8a1b6f11")
_STATUS: Final = {status: "HOLD" if status is Status.ON_HOLD else status.value.upper() for status in Status}
_CHANNEL: Final = {
    "email": "mail",
    "web": "web_form",
    "chat": "native_messaging",
    "voice": "voice",
    "api": "web_service",
}
_WORDS: Final = {
    ActorKind.CUSTOMER: "Hello, could you have a look at this please?",
    ActorKind.AGENT: "Thank you for writing to us. Here is what you can do.",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The simulated Zendesk account. With ``opening_comment`` a new ticket's first message comes as
    ``comment_added`` too, in the same sequence as ``ticket.created``."""

    id: int = 22_129_848
    webhook_id: str = "01F1KRFQ6BG29CNWFR60NK5FNY"
    opening_comment: bool = True


@dataclass(frozen=True, slots=True)
class Webhook:
    """One HTTP request body. ``event_id`` is the vendor's: a redelivery has the same."""

    ticket_id: str
    event_id: str
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """What Zendesk knows about a ticket between two steps."""

    id: str
    life: Life
    created_us: int
    submitter: str | None = None
    status: Status = Status.NEW
    deleted: bool = False
    priority: Priority | None = None
    team: str | None = None
    agent: str | None = None
    tags: tuple[str, ...] = ()

    def after(self, step: Step) -> Ticket:
        """The ticket after ``step``."""
        removed = self.deleted or step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM)
        kept = tuple(tag for tag in self.tags if tag not in step.tags_removed)
        return replace(
            self,
            submitter=self.submitter or step.actor.id,
            status=step.status or self.status,
            deleted=removed and step.deed is not Deed.RESTORED,
            priority=step.priority or self.priority,
            team=step.team or self.team,
            agent=step.agent or self.agent,
            tags=kept + tuple(tag for tag in step.tags_added if tag not in kept),
        )


def webhooks(account: Account, ticket: Ticket, number: int, step: Step, at_us: int) -> tuple[Webhook, ...]:
    """The webhooks of ``step``, the ``number``-th of ``ticket`` (its state before), happening at ``at_us``."""
    after = ticket.after(step)
    detail = _detail(after, step, at_us)
    sequence = int(f"{account.id}{int(ticket.id):012d}{number:06d}")
    made = []
    for position, (kind, event) in enumerate(_events(account, ticket, after, number, step), start=1):
        event_id = str(uuid5(_NAMES, f"{account.id}:{ticket.id}:{number}:{position}"))
        messaging = kind.startswith("messaging_ticket.")
        if not messaging:
            event = {**event, "meta": {"sequence": {"id": sequence, "position": position}}}
        body = {
            "account_id": account.id,
            "detail": {"id": ticket.id} if messaging else detail,
            "event": event,
            "id": event_id,
            "subject": f"zen:ticket:{ticket.id}",
            "time": _time(at_us, digits=f"{position:03d}"),
            "type": f"zen:event-type:{kind}",
            "zendesk_event_version": "2022-11-06",
        }
        # json and not orjson: the sequence id is beyond 64 bits.
        made.append(Webhook(ticket.id, event_id, kind, json.dumps(body, separators=(",", ":")).encode()))
    return tuple(made)


def weight(step: Step) -> int:
    """How many webhooks ``step`` becomes, as near as can be told without its ticket."""
    if step.deed is Deed.CREATED:
        return 2
    changed = (step.message, step.team, step.agent, step.priority, step.status, step.good, step.into)
    tagged = bool(step.tags_added or step.tags_removed)
    removed = {Deed.MARKED_AS_SPAM: 2, Deed.DELETED: 1, Deed.RESTORED: 1}.get(step.deed, 0)
    return max(1, sum(value is not None for value in changed) + tagged + removed)


def headers(account: Account, secret: str, invocation_id: int, sent_us: int, body: bytes) -> dict[str, str]:
    """The headers of one delivery, signed at ``sent_us``; every delivery has an ``invocation_id`` of its own."""
    timestamp = _time(sent_us, digits=None)
    return {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Zendesk Webhook",
        "x-zendesk-account-id": str(account.id),
        "x-zendesk-webhook-id": account.webhook_id,
        "x-zendesk-webhook-invocation-id": str(invocation_id),
        "x-zendesk-webhook-signature-timestamp": timestamp,
        "x-zendesk-webhook-signature": signature(secret, timestamp, body),
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``base64(HMAC-SHA256(secret, timestamp + body))``; the secret is used as it is written."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")).decode()


def _events(
    account: Account, before: Ticket, after: Ticket, number: int, step: Step
) -> Iterator[tuple[str, dict[str, Any]]]:
    if step.deed is Deed.CREATED:
        yield "ticket.created", {}
        if account.opening_comment:
            yield "ticket.comment_added", _comment(before, number, step)
        return
    if step.message is not None and step.actor.kind is ActorKind.BOT:
        yield "messaging_ticket.message_added", _bot_message(before, number, step)
    elif step.message is not None:
        yield "ticket.comment_added", _comment(before, number, step)
    changes = (
        ("group_assignment", before.team, after.team),
        ("agent_assignment", before.agent, after.agent),
        ("priority", _upper(before.priority), _upper(after.priority)),
        ("status", _STATUS[before.status], _STATUS[after.status]),
    )
    for name, previous, current in changes:
        if previous != current:
            yield f"ticket.{name}_changed", {"current": current, "previous": previous}
    if step.tags_added or step.tags_removed:
        yield "ticket.tags_changed", {"tags_added": list(step.tags_added), "tags_removed": list(step.tags_removed)}
    if step.good is not None:
        yield "ticket.csat_received", {"satisfaction_score": {"score": "GOOD" if step.good else "BAD"}}
    if step.into is not None:
        yield "ticket.merged", {"target_ticket_id": step.into}
    if step.deed is Deed.MARKED_AS_SPAM:
        yield "ticket.marked_as_spam", {}
    if step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM):
        yield "ticket.soft_deleted", {}
    if step.deed is Deed.RESTORED:
        yield "ticket.undeleted", {}


def _comment(ticket: Ticket, number: int, step: Step) -> dict[str, Any]:
    staff = step.actor.kind is ActorKind.AGENT
    return {
        "comment": {
            "id": _comment_id(ticket, number),
            "body": _WORDS[ActorKind.AGENT if staff else ActorKind.CUSTOMER],
            "is_public": step.message is Visibility.PUBLIC,
            "author": {
                "id": step.actor.id,
                "is_staff": staff,
                "name": "Simulated agent" if staff else "Simulated customer",
            },
        }
    }


def _bot_message(ticket: Ticket, number: int, step: Step) -> dict[str, Any]:
    return {
        "actor": {"id": step.actor.id, "name": "Simulated bot", "type": "system"},
        "conversation_id": hashlib.sha256(ticket.id.encode()).hexdigest()[:24],
        "message": {"body": "Hi there. How can I help you today?", "id": _comment_id(ticket, number)},
    }


def _comment_id(ticket: Ticket, number: int) -> str:
    return f"{int(ticket.id)}{number:03d}"


def _detail(ticket: Ticket, step: Step, at_us: int) -> dict[str, Any]:
    subject = ticket.tags[0] if ticket.tags else "question"
    return {
        "actor_id": step.actor.id or "-1",
        "assignee_id": ticket.agent,
        "brand_id": ticket.life.brand,
        "created_at": _time(ticket.created_us, digits=None),
        "custom_status": None,
        "description": f"Simulated ticket about {subject}",
        "external_id": None,
        "form_id": "8646151517822",
        "group_id": ticket.team,
        "id": ticket.id,
        "is_public": True,
        "organization_id": ticket.life.organisation,
        "priority": _upper(ticket.priority),
        "requester_id": ticket.life.requester,
        "status": "DELETED" if ticket.deleted else _STATUS[ticket.status],
        "subject": f"Simulated: {subject}",
        "submitter_id": ticket.submitter,
        "tags": list(ticket.tags),
        "type": "QUESTION",
        "updated_at": _time(at_us, digits=None),
        "via": {"channel": _CHANNEL.get(ticket.life.channel, ticket.life.channel)},
    }


def _upper(priority: Priority | None) -> str | None:
    return priority.value.upper() if priority else None


def _time(at_us: int, *, digits: str | None) -> str:
    """RFC 3339: whole seconds, or with nine fractional digits of which ``digits`` are the last three."""
    at = to_datetime(at_us)
    return f"{at:%Y-%m-%dT%H:%M:%S}Z" if digits is None else f"{at:%Y-%m-%dT%H:%M:%S.%f}{digits}Z"
