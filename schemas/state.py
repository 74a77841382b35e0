"""What the metrics worker keeps in Redis for a ticket: the records, their encoding and their keys.

One writer: the metrics worker that owns the partition. Readers: the query API and the exporter. Records are
MessagePack arrays in a short form (:mod:`schemas.compact`); a field is only ever appended, with a default, so an old
worker's bytes decode. Anything else about the form of a record raises the version (:mod:`schemas.forms`); tickets of an
older one are read, and written anew when they change or when the metrics workers come by (ADR 0025). No record can be
part of a cycle, so the collector need not look at them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from schemas.compact import is_short, restored, shortened
from schemas.forms import KNOWN
from schemas.sla import SlaMetric
from schemas.ticket import ActorKind, Kind, Priority, Status, Visibility

Order = tuple[int, int, bytes]
"""``(occurred_at in µs, sequence, event_id)``: the order in which a ticket's facts are folded."""


class Who(Struct, frozen=True, array_like=True, gc=False):
    """The attributes that segments are made of, as they were at one instant."""

    channel: str | None = None
    team: str | None = None
    agent: str | None = None
    priority: Priority | None = None
    brand: str | None = None
    tier: str | None = None
    tags: tuple[str, ...] = ()


class Stated(
    Struct,
    frozen=True,
    gc=False,
    omit_defaults=True,
    rename={
        "status": "s",
        "priority": "p",
        "channel": "c",
        "team": "t",
        "agent": "a",
        "brand": "b",
        "tier": "r",
        "tags": "g",
        "requester": "q",
        "organisation": "o",
        "created_us": "n",
    },
):
    """What a fact says of its ticket: absent says nothing, ``None`` says that there is none. Names are short, since
    every fact of every ticket is kept."""

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
    created_us: int | UnsetType = UNSET


class Fact(Struct, frozen=True, array_like=True, gc=False):
    """A TicketEvent reduced to what the fold needs. ``event_id`` is the 16 bytes of the UUID.

    ``by`` is the agent who acted, where a KPI asks who did. ``amount`` is a CES answer (1 to 7), an NPS answer (0 to
    10) or a QA score (0 to 1), in millionths. ``handed``: it tells of the team's getting or losing the ticket.
    ``heard_us`` is when the log took the event, 0 where nobody asks; it is not stored.
    """

    at_us: int
    sequence: int
    event_id: bytes
    kind: Kind
    stated: Stated = Stated()
    actor: ActorKind | None = None
    visibility: Visibility | None = None
    message_id: str | None = None
    opening: bool = False
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    positive: bool | None = None
    score: float | None = None
    into: str | None = None
    imported: bool = False
    by: str | None = None
    amount: int | None = None
    handed: bool = False
    heard_us: int = 0

    @property
    def order(self) -> Order:
        """The fact's place among the facts of its ticket."""
        return (self.at_us, self.sequence, self.event_id)


class Mark(Struct, frozen=True, array_like=True, gc=False):
    """A moment that KPIs count, with the durations up to it in milliseconds of both clocks where they apply."""

    at_us: int
    who: Who
    calendar_ms: int | None = None
    business_ms: int | None = None


class Rated(Struct, frozen=True, array_like=True, gc=False):
    """The customer's standing CSAT answer."""

    at_us: int
    who: Who
    positive: bool


class Answered(Struct, frozen=True, array_like=True, gc=False):
    """The customer's standing answer on a scale, in millionths."""

    at_us: int
    who: Who
    amount: int


class Effort(Struct, frozen=True, array_like=True, gc=False):
    """What a ticket had taken by its most recent solve. ``bot``: a bot had written to the customer. ``spent_us``: as
    :attr:`Ticket.spent_us`."""

    replies: int = 0
    bot: bool = False
    agents_passed: int = 0
    teams_passed: int = 0
    spent_us: tuple[int, ...] = ()


class Gone(StrEnum):
    """Why a ticket left the books other than by being solved."""

    DELETED = "deleted"
    MERGED = "merged"


class Mode(StrEnum):
    """What a timer's clock is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"


class Timer(Struct, frozen=True, array_like=True, gc=False):
    """One SLA timer instance. ``elapsed_us`` is settled up to ``since_us``, the start of the present mode.

    ``due_us`` is the earliest instant at which the target is used up, ``breach_after_us`` the latest instant at
    which it is not yet exceeded (they differ when a target ends exactly at closing time); both only while running.
    ``breached_us`` is the latch: when the promise broke. ``who`` are the attributes at that instant, or those at the
    fulfilment of a promise that was kept.
    """

    metric: SlaMetric
    cycle: int
    policy: str
    target_us: int
    calendar: str | None
    mode: Mode
    since_us: int
    elapsed_us: int = 0
    due_us: int | None = None
    breach_after_us: int | None = None
    breached_us: int | None = None
    who: Who | None = None


class Level(StrEnum):
    """What the world has been told of a timer instance."""

    QUIET = "quiet"
    WARNED = "warned"
    BREACHED = "breached"
    LATE = "late"


class Notice(Struct, frozen=True, array_like=True, gc=False):
    """The last word sent about a timer instance: the other half of exactly-once announcements."""

    metric: SlaMetric
    cycle: int
    revision: int
    level: Level
    policy: str = ""
    threshold_us: int = 0
    target_us: int = 0
    muted: bool = False
    breached_us: int | None = None


class Cycle(Struct, frozen=True, array_like=True, gc=False):
    """What repeats on a ticket: how many instances there have been, and since when the last one runs, if it does."""

    number: int = 0
    since_us: int | None = None


class Recomputed(Struct, frozen=True, array_like=True, gc=False):
    """A ticket's promises were made anew on request at ``at_us``; ``timers`` are those that stood before."""

    at_us: int
    timers: tuple[Timer, ...] = ()


class Ticket(Struct, array_like=True, gc=False):
    """A ticket: the fold of its facts. ``last`` is the order of the newest fact in it; ``withdrawn`` are ids of
    messages that turned out never to have been public.

    ``awaiting_us`` and ``cycles`` are the customer's unanswered question, ``updates`` the time since an agent last
    wrote, ``holding`` the stay with a team. ``statuses`` are the newest states, ``None`` while deleted or merged, each
    with its beginning. ``settled_us`` is when the timers were last brought up to date without a fact.

    ``former_agent`` and ``former_team`` held it last while nobody does. ``spent_us`` is the time in new, open, pending
    and on hold so far, each on the clock and in business hours, without the present stay. ``first_replies`` are those
    by the first solve, which is final for first contact at ``mature_us``; ``reopened_us`` is the first reopening.
    ``matter_us`` is since when an escalation stands. ``overdue_us`` is since when the present holder has a broken
    promise, as far as facts tell. ``recomputed`` are the requests that changed its timers, oldest first.

    ``hours_until`` are the calendars in which business time was measured before the present one, each with the instant
    up to which it was; ``None`` is the business calendar.

    People events are folded as tickets of their own that no list and no backlog has: of a question ``matter_us`` is
    since when it stands, of an agent since when they are there.

    What happened before ``floor_us`` may have been counted already, under a ticket that was forgotten: a creation then
    is known and not counted (``services.fold.retention``).
    """

    source: str
    ticket_id: str
    last: Order = (0, 0, b"")
    facts: int = 0
    seen_us: int = 0
    born: bool = False
    imported: bool = False
    created_us: int | None = None
    created: Mark | None = None
    opened_by: ActorKind | None = None
    status: Status | None = None
    status_since_us: int | None = None
    who: Who = Who()
    requester: str | None = None
    organisation: str | None = None
    gone: Gone | None = None
    merged_into: str | None = None
    first_reply: Mark | None = None
    replies: int = 0
    awaiting_us: int | None = None
    first_solved: Mark | None = None
    solved: Mark | None = None
    reopens: int = 0
    rated: Rated | None = None
    timers: tuple[Timer, ...] = ()
    cycles: int = 0
    withdrawn: tuple[str, ...] = ()
    updates: Cycle = Cycle()
    holding: Cycle = Cycle()
    statuses: tuple[tuple[int, Status | None], ...] = ()
    settled_us: int = 0
    former_agent: str | None = None
    former_team: str | None = None
    agents_passed: int = 0
    teams_passed: int = 0
    bot: bool = False
    spent_us: tuple[int, ...] = ()
    effort: Effort | None = None
    first_replies: int | None = None
    mature_us: int | None = None
    reopened_us: int | None = None
    escalated: Mark | None = None
    matter_us: int | None = None
    overdue_us: int | None = None
    ces: Answered | None = None
    nps: Answered | None = None
    floor_us: int = 0
    hours_until: tuple[tuple[int, str | None], ...] = ()
    recomputed: tuple[Recomputed, ...] = ()


FORM: Final = KNOWN.newest
"""The form, which is the version, of what is written unless an older one has to be. 0, before ADR 0018: no short forms,
every fact in a list of its own ticket, and timers in one list for each state."""


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """The stored value: the fold, what has been announced of it, and the facts that came last.

    ``newest`` are facts as :func:`with_facts` packs them; those before them are in the list at :func:`facts_key`.
    ``recent`` are tails of the ids of the newest in that list: they catch a redelivery whose time differs (helpdesks
    without event times). A match sends the worker to the facts themselves, so a chance collision costs a look and
    nothing else. ``revision`` says in which cuts the ticket counts: those that were added up to it
    (``services.kpi.cuts``). ``heard_us`` is when the log took the last of its facts. ``form`` is the :data:`FORM` in
    which it was written.
    """

    ticket: Ticket
    notices: tuple[Notice, ...] = ()
    recent: bytes = b""
    revision: int = 0
    heard_us: int = 0
    newest: bytes = b""
    form: int = FORM


_encoder: Final = msgspec.msgpack.Encoder()
_entries: Final = msgspec.msgpack.Decoder(Entry)
_some_facts: Final = msgspec.msgpack.Decoder(tuple[Fact, ...])
_one_fact: Final = msgspec.msgpack.Decoder(Fact)
_STORED: Final = Fact.__struct_fields__.index("heard_us")
_REQUIRED: Final = Fact.__struct_fields__.index("stated")
_USUAL: Final = Fact.__struct_fields__.index("tags_added")
_DEFAULTS: Final = structs.astuple(Fact(0, 0, b"", Kind.CREATED))
_HEAD: Final = 5
_HEAD_OF: Final = b"\xdd"
_WAS_GONE_US: Final = 16
"""The place in form 0 of a field of tickets that nobody read."""


def pack(entry: Entry) -> bytes:
    """The entry as stored."""
    return shortened(_encoder.encode(entry))


def unpack_entry(stored: bytes) -> Entry:
    """The reverse of :func:`pack`; also of form 0."""
    if is_short(stored):
        return _entries.decode(restored(stored))
    values: list[Any] = msgspec.msgpack.decode(stored)
    del values[0][_WAS_GONE_US : _WAS_GONE_US + 1]
    return structs.replace(_entries.decode(_encoder.encode(values)), form=0)


def outdated(entry: Entry, first: bytes | None, form: int) -> bool:
    """Whether the ticket is not wholly of this form; ``first`` is the first element of its list of facts, which is the
    oldest. A ticket whose entry was written anew may still have facts of form 0."""
    return entry.form != form or (first is not None and not is_short(first))


def with_facts(packed: bytes, facts: Sequence[Fact]) -> bytes:
    """``packed`` (empty, or made by this) with ``facts`` after those that are in it. Nothing that is in it is read."""
    number = len(facts) + (int.from_bytes(packed[1:_HEAD], "big") if packed else 0)
    return b"".join((_HEAD_OF, number.to_bytes(_HEAD - 1, "big"), packed[_HEAD:], *map(_packed, facts)))


def facts_of(packed: bytes) -> tuple[Fact, ...]:
    """The reverse of :func:`with_facts`."""
    return _some_facts.decode(packed) if packed else ()


def pack_facts(packed: bytes) -> bytes:
    """What :func:`with_facts` made as an element of the list at :func:`facts_key`."""
    return shortened(packed)


def unpack_facts(listed: Iterable[bytes], packed: bytes = b"") -> list[Fact]:
    """The facts of a ticket in order of arrival: those in the list, and those in its :attr:`Entry.newest`. In form 0 an
    element is one fact."""
    found: list[Fact] = []
    for element in listed:
        if is_short(element):
            found += _some_facts.decode(restored(element))
        else:
            found.append(_one_fact.decode(element))
    found += facts_of(packed)
    return found


def _packed(fact: Fact) -> bytes:
    """Of a fact, what is as by default at its end is left out: there are very many."""
    values = structs.astuple(fact)
    end = _USUAL
    if values[_USUAL:_STORED] != _DEFAULTS[_USUAL:_STORED]:
        end = _STORED
    while end > _REQUIRED and values[end - 1] == _DEFAULTS[end - 1]:
        end -= 1
    return _encoder.encode(values[:end])


def slot(partition: int) -> str:
    """The hash tag of a partition: everything of one atomic step lies in one Redis Cluster slot."""
    return f"dp:{{p{partition}}}:"


def position_key(partition: int) -> str:
    """Hash: ``epoch``, ``step``, ``next`` (offset), ``last`` (identity of the last record), ``clock_us``, ``life``
    (another value with each owner), ``swept`` (the revision of the cuts in which every ticket counts), ``oldest`` and
    ``newest`` (the versions that occur in it, absent for 0: :mod:`schemas.forms`); for readers ``logged`` and
    ``listed`` (the epoch, where :func:`late_key` and :func:`listed_key` can be relied on) and ``late_from`` (the last
    step of which :func:`late_key` may have forgotten something)."""
    return slot(partition) + "pos"


def ticket_key(partition: int, source: str, ticket_id: str) -> str:
    """String: an :class:`Entry` (:func:`pack`)."""
    return f"{slot(partition)}t:{source}:{ticket_id}"


def facts_key(partition: int, source: str, ticket_id: str) -> str:
    """List of packs of :class:`Fact` (:func:`pack_facts`), in order of arrival, older than those in the entry. A young
    ticket has none."""
    return f"{slot(partition)}f:{source}:{ticket_id}"


def due_key(partition: int) -> str:
    """Sorted set: ticket (``source:ticket_id``) by the instant in µs at which a timer of it has news; of one without,
    by :data:`FORGET_FROM` plus the instant at which it may be forgotten."""
    return slot(partition) + "due"


FORGET_FROM: Final = 4_000_000_000_000_000
"""Added to the score of tickets that wait to be forgotten: they come after every timer, and never before one."""


def outbox_key(partition: int) -> str:
    """Stream of SlaEvents that are to be relayed to Kafka."""
    return slot(partition) + "outbox"


class TimerState(StrEnum):
    """The states by which timers can be listed."""

    RUNNING = "running"
    PAUSED = "paused"
    AT_RISK = "at_risk"
    BREACHED = "breached"


PAUSED_FROM: Final = 4_000_000_000_000_000
"""Added to the score of paused timers, which break nothing for now: they come after every running one. Scores stay
below 2^53, so that Redis' floating point keeps them exact."""


TimerPlace = tuple[str, str]
"""Where a timer is listed: the list (:func:`timer_list`) and its member there (:func:`timer_member`)."""


def timers_key(partition: int, listed: str) -> str:
    """Sorted set: tickets with a timer in this list by the instant in µs at which it breaks, or broke, its promise;
    paused ones by :data:`PAUSED_FROM` plus the instant of the pause."""
    return f"{slot(partition)}timers:{listed}"


def timer_list(state: TimerState, metric: SlaMetric) -> str:
    """The list of timers of one metric in one state. In form 0 there was one for each state, named as it is."""
    return f"{state.value}:{metric.value}"


def timer_member(source: str, ticket_id: str, team: str | None) -> str:
    """A ticket in a list of timers, and by whom it is held: very many are kept, so of the team only :func:`hint`."""
    return f"{source}:{ticket_id}{hint(team)}"


def former_place(state: TimerState, source: str, ticket_id: str, metric: SlaMetric, team: str | None) -> TimerPlace:
    """Where form 0 listed a timer."""
    return state.value, "\x1f".join((source, ticket_id, metric.value, team or ""))


@lru_cache(4096)
def hint(team: str | None) -> str:
    """Two letters, :data:`HINTED` bytes, that tell teams apart: a team that has others is not meant, one that has the
    same may be."""
    if team is None:
        return ".."
    number = crc32(team.encode())
    return _LETTERS[number & 63] + _LETTERS[number >> 6 & 63]


HINTED: Final = 2
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def segments_key(partition: int) -> str:
    """Sorted set: segments that have counted anything, by the second in which they last did."""
    return slot(partition) + "segments"


def bucket_key(partition: int, resolution: str, start_s: int, segment: str) -> str:
    """String or hash: the counters of one bucket of one segment (fields: ``services.kpi.bucket``).

    A small one is a MessagePack map of field and amount, behind ``@`` and twelve letters where it has a version; one
    that has grown is a hash, with its version in the field ``@``.
    """
    return f"{bucket_prefix(partition)}{resolution}:{start_s}:{segment}"


def bucket_prefix(partition: int) -> str:
    """What the keys of a partition's buckets begin with."""
    return f"{slot(partition)}k:"


def listed_key(partition: int, resolution: str, start_s: int) -> str:
    """Hash: the segments that have, or had, a bucket of this start, as fields without a value."""
    return f"{slot(partition)}i:{resolution}:{start_s}"


def late_key(partition: int) -> str:
    """Sorted set: buckets that were changed after their end, by the step that last did: what follows
    :func:`bucket_prefix` in their keys. Some thousands of the newest."""
    return slot(partition) + "late"


def gauge_key(partition: int, segment: str) -> str:
    """The gauges of one segment as they stand now, by cell: a bucket that never ends."""
    return bucket_key(partition, NOW, 0, segment)


NOW: Final = "now"
"""Stands for the resolution of the bucket that never ends."""

PARTITIONS_KEY: Final = "dp:partitions"
"""Set of the partition numbers that have state."""

RECOMPUTE_KEY: Final = "dp:{recompute}"
"""Hash: the request to make promises anew (``id``, ``asked_us``, ``digest`` of the rules that are meant, ``policy``),
and for each partition that is done ``done:<number>`` with the number of tickets whose timers changed."""

CUTS_KEY: Final = "dp:{segments}:cuts"
"""Hash: ``revision``, and for each cut that is counted (``team,priority``) the revision with which it came."""
SEALED_KEY: Final = "dp:{segments}:sealed"
"""Set: cuts that had a value too many, as ``cut:revision``; what is not among their values counts as ``other``."""


def values_key(cut: str, added: int) -> str:
    """Set: the values of a cut, as segments, that are counted by themselves."""
    return f"dp:{{segments}}:values:{cut}:{added}"
