"""TicketEvent v1: the one canonical event that every helpdesk's webhooks become.

Topic ``helpdesk.tickets.v1``, key ``source:ticket_id``. The published contract is
``schemas/json/ticket-event.v1.schema.json``; this record and that document are held together by tests.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha1
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from schemas.instant import Instant, Number

NAMESPACE: Final = UUID("6f0d2d3c-8f5e-5d0b-9d0a-3c2f8f6f1b7e")
"""Namespace of every deterministic id of Deskpulse. Changing it makes every redelivery look new: never do."""
_NAMESPACE: Final = NAMESPACE.bytes


class Kind(StrEnum):
    """What happened. The object that each kind carries is in :data:`OBJECT_OF`."""

    CREATED = "ticket.created"
    UPDATED = "ticket.updated"
    STATUS_CHANGED = "status.changed"
    PRIORITY_CHANGED = "priority.changed"
    ASSIGNMENT_CHANGED = "assignment.changed"
    MESSAGE_ADDED = "message.added"
    MESSAGE_RETRACTED = "message.retracted"
    TAGS_CHANGED = "tags.changed"
    CSAT_RECEIVED = "csat.received"
    CES_RECEIVED = "ces.received"
    NPS_RECEIVED = "nps.received"
    QA_SCORED = "qa.scored"
    ESCALATION_RAISED = "escalation.raised"
    ESCALATION_CLEARED = "escalation.cleared"
    MERGED = "ticket.merged"
    DELETED = "ticket.deleted"
    RESTORED = "ticket.restored"
    KNOWLEDGE_CONTRIBUTED = "knowledge.contributed"
    QUESTION_ASKED = "agent.question_asked"
    QUESTION_ANSWERED = "agent.question_answered"
    AGENT_JOINED = "agent.joined"
    AGENT_LEFT = "agent.left"


class Status(StrEnum):
    """A ticket's status; every vendor's vocabulary is mapped onto these six."""

    NEW = "new"
    OPEN = "open"
    PENDING = "pending"
    ON_HOLD = "on_hold"
    SOLVED = "solved"
    CLOSED = "closed"


DONE: Final = frozenset({Status.SOLVED, Status.CLOSED})
"""Statuses outside the backlog."""


class Priority(StrEnum):
    """A ticket's priority; a ticket without one is handled as ``normal`` where a target must be chosen."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class ActorKind(StrEnum):
    """Who acted. Only ``agent`` ends a reply timer; ``bot`` and ``system`` never do."""

    CUSTOMER = "customer"
    AGENT = "agent"
    BOT = "bot"
    SYSTEM = "system"


class Visibility(StrEnum):
    """Whether the customer can see a message."""

    PUBLIC = "public"
    PRIVATE = "private"


class Actor(Struct, frozen=True, omit_defaults=True):
    """Who caused the event. ``id`` is the vendor's id, never a name or an address."""

    kind: ActorKind
    id: str | None = None


class Attributes(Struct, frozen=True, omit_defaults=True):
    """What this event states about the ticket. Absent: says nothing. ``null``: states that there is none.

    ``requester`` is a keyed hash. ``created_at`` is when the ticket was created in the helpdesk.
    """

    status: Status | UnsetType = UNSET
    priority: Priority | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET
    team: str | UnsetType | None = UNSET
    agent: str | UnsetType | None = UNSET
    brand: str | UnsetType | None = UNSET
    tier: str | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    requester: str | UnsetType | None = UNSET
    organisation: str | UnsetType | None = UNSET
    created_at: Instant | UnsetType = UNSET


class StatusChange(Struct, frozen=True, omit_defaults=True):
    """``status.changed``: the new status, and the old one where the vendor tells."""

    to: Status
    previous: Status | None = None


class PriorityChange(Struct, frozen=True, omit_defaults=True):
    """``priority.changed``: ``to`` is null when the priority was removed."""

    to: Priority | None
    previous: Priority | None = None


class Assignment(Struct, frozen=True, omit_defaults=True):
    """``assignment.changed``: the holder that changed, agent or team or both; null is nobody."""

    agent: str | UnsetType | None = UNSET
    team: str | UnsetType | None = UNSET


class Message(Struct, frozen=True, omit_defaults=True):
    """``message.added`` and ``message.retracted``: never the text.

    ``opening`` marks the message that the ticket was created with: it neither answers nor asks again.
    """

    id: str | None = None
    visibility: Visibility = Visibility.PUBLIC
    author: ActorKind = ActorKind.SYSTEM
    opening: bool = False


class TagsChange(Struct, frozen=True, omit_defaults=True):
    """``tags.changed``: what was added and what was removed."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Rating(Struct, frozen=True, omit_defaults=True):
    """``csat``, ``ces``, ``nps`` and ``qa``: the score on the scale ``worst`` to ``best``.

    ``positive`` is the vendor's own reading of a CSAT answer; without it 4 and 5 of 5 are positive
    (generally: the upper 40 per cent of the scale).
    """

    score: float
    best: float
    worst: float = 0.0
    positive: bool | None = None


class Merge(Struct, frozen=True):
    """``ticket.merged``: the ticket that goes on in this one's place."""

    into: str


class Escalation(Struct, frozen=True, omit_defaults=True):
    """``escalation.raised`` and ``escalation.cleared``: the vendor's name for the rule or level."""

    name: str | None = None


class Personal(Struct, frozen=True, omit_defaults=True):
    """What of a person the source is configured to keep (``keep``), as far as the webhook has it; never by default.

    ``message_body`` is the text of ``message.added``, or the one that ``ticket.created`` was opened with. No KPI and
    no timer is made of it: the metrics worker reads past it.
    """

    subject: str | None = None
    message_body: str | None = None
    requester_name: str | None = None
    requester_email: str | None = None


class TicketEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to one ticket.

    ``event_id`` is the uuid5 of source and vendor identity, so a redelivery has the same id. Facts of a ticket
    are ordered by ``(occurred_at, sequence, event_id)``. ``imported`` marks history that was loaded: it is
    computed and never alerted on. For people events ``ticket_id`` is the id of the article, question or agent.
    """

    event_id: str
    source: str
    vendor: str
    ticket_id: str
    kind: Kind
    occurred_at: Instant
    received_at: Instant
    sequence: Number = 0
    imported: bool = False
    actor: Actor | None = None
    ticket: Attributes = Attributes()
    status: StatusChange | None = None
    priority: PriorityChange | None = None
    assignment: Assignment | None = None
    message: Message | None = None
    tags: TagsChange | None = None
    rating: Rating | None = None
    merge: Merge | None = None
    escalation: Escalation | None = None
    personal: Personal | None = None

    @property
    def key(self) -> str:
        """The partition key: all facts of a ticket meet in one partition."""
        return f"{self.source}:{self.ticket_id}"


OBJECT_OF: Final[dict[Kind, str]] = {
    Kind.STATUS_CHANGED: "status",
    Kind.PRIORITY_CHANGED: "priority",
    Kind.ASSIGNMENT_CHANGED: "assignment",
    Kind.MESSAGE_ADDED: "message",
    Kind.MESSAGE_RETRACTED: "message",
    Kind.TAGS_CHANGED: "tags",
    Kind.CSAT_RECEIVED: "rating",
    Kind.CES_RECEIVED: "rating",
    Kind.NPS_RECEIVED: "rating",
    Kind.QA_SCORED: "rating",
    Kind.MERGED: "merge",
}
"""The object that a kind cannot do without; kinds that are not here need none."""


def event_id(source: str, *identity: str) -> str:
    """The deterministic id of what ``source`` calls ``identity``: the same delivery, the same id, for ever.

    The uuid5 of the name in :data:`NAMESPACE`, written out: every webhook needs some, and ``uuid.UUID`` costs more than
    the hash."""
    name = "\x1f".join((source, *identity)).encode()
    made = bytearray(sha1(_NAMESPACE + name, usedforsecurity=False).digest()[:16])
    made[6] = made[6] & 0x0F | 0x50
    made[8] = made[8] & 0x3F | 0x80
    text = made.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
