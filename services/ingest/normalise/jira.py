"""Jira and Jira Service Management: webhooks of issues and comments.

https://developer.atlassian.com/cloud/jira/platform/webhooks/. ``changelog`` has what changed; a changelog or a comment
has an id, which identifies the change: Jira tells of one comment twice (``comment_created``, and ``jira:issue_updated``
with ``issue_commented``), and both make the same event.

A comment is a customer's when its author is the issue's reporter or has an account that is only for customers, and
private when ``jsdPublic`` is false or it is restricted to a role. Editing or deleting a comment changes no number: it
has been read by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType, structs

from schemas.failure import Invalid, Reason
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Kind,
    Merge,
    Message,
    Priority,
    PriorityChange,
    Rating,
    Status,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.epoch import from_milliseconds
from services.ingest.normalise.fields import Object, identifier, instant, obj, pseudonym, required, word, words
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.vocabulary import extended, tier

STATUSES: Final[Mapping[str, Status]] = {
    "to do": Status.NEW,
    "new": Status.NEW,
    "open": Status.OPEN,
    "in progress": Status.OPEN,
    "reopened": Status.OPEN,
    "waiting for support": Status.OPEN,
    "escalated": Status.OPEN,
    "waiting for customer": Status.PENDING,
    "pending": Status.PENDING,
    "on hold": Status.ON_HOLD,
    "waiting for third party": Status.ON_HOLD,
    "resolved": Status.SOLVED,
    "done": Status.SOLVED,
    "closed": Status.CLOSED,
    "canceled": Status.CLOSED,
    "cancelled": Status.CLOSED,
}
CATEGORIES: Final[Mapping[str, Status]] = {
    "new": Status.NEW,
    "indeterminate": Status.OPEN,
    "done": Status.SOLVED,
}
"""What a status of another name counts as, by its category: that is the same in every language."""

PRIORITIES: Final[Mapping[str, Priority]] = {
    "highest": Priority.URGENT,
    "high": Priority.HIGH,
    "medium": Priority.NORMAL,
    "low": Priority.LOW,
    "lowest": Priority.LOW,
    "blocker": Priority.URGENT,
    "critical": Priority.HIGH,
    "major": Priority.NORMAL,
    "minor": Priority.LOW,
    "trivial": Priority.LOW,
    "1": Priority.URGENT,
    "2": Priority.HIGH,
    "3": Priority.NORMAL,
    "4": Priority.LOW,
    "5": Priority.LOW,
}
"""Both of Jira's own lists, and their ids, which stand for the same in every language."""

_TOLD: Final = frozenset({"jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created"})
_SILENT: Final = (
    *("comment_", "issuelink_", "worklog_", "attachment_", "issue_property_", "jira:worklog_updated"),
    *("jira:version_", "project_", "user_", "board_", "sprint_", "option_", "issuetype_", "filter_", "issue_link"),
)
_COMMENT_IS_OLD: Final = frozenset({"issue_comment_edited", "issue_comment_deleted"})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Jira source.

    ``statuses`` and ``priorities``: your site's names, or their ids, each with ours. ``team_field`` and ``csat_field``:
    the custom fields (``customfield_10001``) that hold the team and the satisfaction from 1 to 5. ``tiers``: label →
    tier, the first that the issue has counts. ``bots``: accounts that are programs; what they write is never a reply.
    ``ticket_ids``: ``key`` names tickets as people do (``SUP-12``), ``id`` by the number that survives a move.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    team_field: str | None = None
    csat_field: str | None = None
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()
    ticket_ids: Literal["key", "id"] = "key"


@dataclass(frozen=True, slots=True)
class _Hook:
    """A webhook about an issue. ``fields`` are the issue's, as many as Jira sent."""

    body: Object
    issue_id: str
    fields: Object
    reporter: str | None
    options: Options
    hash_key: bytes
    happening: Happening


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of a webhook; none for what no KPI is made of. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Jira webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    name = body.get("webhookEvent")
    if not isinstance(name, str):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "webhookEvent is missing: post with a webhook of Jira's system settings, not from an automation rule, see "
            "docs/guides/connect-jira.md",
        )
    if name not in _TOLD:
        if name.startswith(_SILENT):
            return []
        raise Invalid(Reason.UNKNOWN_TYPE, "webhookEvent is one that this version does not know: untick it in Jira")
    hook = _hook(body, delivery, options_of(settings, Options), settings.hash_key)
    match name:
        case "jira:issue_created":
            events = [_created(hook)]
        case "jira:issue_deleted":
            events = [hook.happening.tells(Kind.DELETED, hook.issue_id, "deleted")]
        case "comment_created":
            events = [_commented(hook)]
        case _:
            events = list(_updated(hook))
    return [structs.replace(event, sequence=place) for place, event in enumerate(events)]


def _hook(body: Object, delivery: Delivery, options: Options, hash_key: bytes) -> _Hook:
    if body.get("issue") is None:
        raise Invalid(
            Reason.MISSING_FIELD,
            "issue is missing, so nothing says which ticket this is: let the webhook send issue details",
        )
    issue = obj(body, "issue", "issue")
    fields = issue["fields"] if isinstance(issue.get("fields"), dict) else {}
    issue_id = required(issue.get("id"), "issue.id")
    named = required(issue.get("key"), "issue.key") if options.ticket_ids == "key" else issue_id
    reporter = _account(fields.get("reporter"))
    happening = Happening(
        delivery,
        named,
        from_milliseconds(body.get("timestamp"), "timestamp"),
        (issue_id, str(body.get("timestamp"))),
        actor=_actor(body.get("user"), reporter, options, hash_key),
        ticket=_attributes(fields, reporter, options, hash_key),
    )
    return _Hook(body, issue_id, fields, reporter, options, hash_key, happening)


def _account(user: Any) -> str | None:
    """``accountId``; servers, and Jira before 2019, have a ``key`` or a ``name``."""
    if not isinstance(user, dict):
        return None
    return next((found for name in ("accountId", "key", "name") if (found := identifier(user.get(name), name))), None)


def _actor(user: Any, reporter: str | None, options: Options, hash_key: bytes) -> Actor | None:
    account = _account(user)
    if account is None:
        return None
    kind = user.get("accountType")
    if account == reporter or kind == "customer":
        return customer(account, hash_key)
    return Actor(ActorKind.BOT, account) if kind == "app" else staff(account, options.bots)


def _attributes(fields: Object, reporter: str | None, options: Options, hash_key: bytes) -> Attributes:
    labels = words(fields["labels"], "issue.fields.labels") if "labels" in fields else UNSET
    return Attributes(
        status=_status_of(fields["status"], options) if isinstance(fields.get("status"), dict) else UNSET,
        priority=_priority_of(fields["priority"], options) if "priority" in fields else UNSET,
        team=_label(fields[options.team_field]) if options.team_field and options.team_field in fields else UNSET,
        agent=_account(fields["assignee"]) if "assignee" in fields else UNSET,
        tier=UNSET if isinstance(labels, UnsetType) else tier(labels, options.tiers),
        tags=labels,
        requester=pseudonym(hash_key, reporter) if reporter else UNSET,
        created_at=instant(fields["created"], "issue.fields.created") if fields.get("created") else UNSET,
    )


def _status_of(value: Object, options: Options) -> Status:
    category = value.get("statusCategory")
    key = category.get("key") if isinstance(category, dict) else None
    found = _known_status(value.get("id"), value.get("name"), options) or CATEGORIES.get(str(key).lower())
    if found is None:
        raise Invalid(Reason.BAD_VALUE, "issue.fields.status is none that is known: add its name to options.statuses")
    return found


def _known_status(number: Any, name: Any, options: Options) -> Status | None:
    known = extended(STATUSES, options.statuses)
    own = extended({}, options.statuses)
    return own.get(str(number)) or known.get(str(name).strip().lower())


def _priority_of(value: Any, options: Options) -> Priority | None:
    if not isinstance(value, dict):
        return None
    return _known_priority(value.get("id"), value.get("name"), options, "issue.fields.priority")


def _known_priority(number: Any, name: Any, options: Options, path: str) -> Priority:
    known = extended(PRIORITIES, options.priorities)
    found = known.get(str(name).strip().lower()) or known.get(str(number))
    return found or word(name, known, f"{path} (add your own names to options.priorities)")


def _label(value: Any) -> str | None:
    """The team's name in whichever form a custom field has it: text, an option, a team, or a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = next((value[name] for name in ("value", "name", "title", "id") if value.get(name)), None)
    return identifier(value, "the field of options.team_field")


def _created(hook: _Hook) -> TicketEvent:
    created = hook.happening.ticket.created_at
    at = created if isinstance(created, datetime) else hook.happening.at
    return hook.happening.tells(Kind.CREATED, hook.issue_id, "created", occurred_at=at)


def _commented(hook: _Hook) -> TicketEvent:
    comment = obj(hook.body, "comment", "comment")
    number = required(comment.get("id"), "comment.id")
    who = _actor(comment.get("author"), hook.reporter, hook.options, hook.hash_key)
    if who is None:
        raise Invalid(Reason.MISSING_FIELD, "comment.author is missing")
    private = comment.get("jsdPublic") is False or isinstance(comment.get("visibility"), dict)
    return hook.happening.tells(
        Kind.MESSAGE_ADDED,
        *(hook.issue_id, "comment", number),
        occurred_at=instant(comment.get("created"), "comment.created"),
        actor=who,
        message=Message(number, Visibility.PRIVATE if private else Visibility.PUBLIC, who.kind),
    )


def _updated(hook: _Hook) -> Iterator[TicketEvent]:
    if _has_new_comment(hook.body):
        yield _commented(hook)
    changelog = hook.body.get("changelog")
    items = changelog.get("items") if isinstance(changelog, dict) else None
    if not isinstance(items, list) or not isinstance(changelog, dict):
        return
    number = identifier(changelog.get("id"), "changelog.id")
    change = (hook.issue_id, "change", number) if number else hook.happening.identity
    seen_other = False
    for item in items:
        if not isinstance(item, dict):
            raise Invalid(Reason.BAD_VALUE, "changelog.items must be a list of objects")
        field = str(item.get("fieldId") or item.get("field")).lower()
        if reader := _READERS.get(field):
            yield from reader(hook, change, item)
        elif hook.options.team_field and _is(item, hook.options.team_field):
            yield hook.happening.tells(Kind.ASSIGNMENT_CHANGED, *change, "team", assignment=_team(hook, item))
        elif hook.options.csat_field and _is(item, hook.options.csat_field):
            yield from _rated(hook, change, item)
        elif field in ("reporter", "issuetype") and not seen_other:
            seen_other = True
            yield hook.happening.tells(Kind.UPDATED, *change)


def _has_new_comment(body: Object) -> bool:
    """A comment that was edited comes in the same form; without a name for it, its two times tell."""
    comment = body.get("comment")
    if not isinstance(comment, dict) or body.get("issue_event_type_name") in _COMMENT_IS_OLD:
        return False
    return body.get("issue_event_type_name") == "issue_commented" or comment.get("updated") in (
        None,
        comment.get("created"),
    )


def _is(item: Object, field: str) -> bool:
    return field in (item.get("fieldId"), item.get("field"))


def _status(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    to = _known_status(item.get("to"), item.get("toString"), hook.options)
    now = hook.fields.get("status")
    if to is None and isinstance(now, dict) and str(now.get("id")) == str(item.get("to")):
        to = _status_of(now, hook.options)
    if to is None:
        raise Invalid(
            Reason.BAD_VALUE,
            "the status that the changelog changes to is none that is known: add it to options.statuses",
        )
    previous = _known_status(item.get("from"), item.get("fromString"), hook.options)
    if to is not previous:
        yield hook.happening.tells(Kind.STATUS_CHANGED, *change, status=StatusChange(to, previous))


def _priority(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    def read(number: str, name: str) -> Priority | None:
        if not item.get(number):
            return None
        return _known_priority(item[number], item.get(name), hook.options, f"changelog {name}")

    to, previous = read("to", "toString"), read("from", "fromString")
    if to is not previous:
        yield hook.happening.tells(Kind.PRIORITY_CHANGED, *change, priority=PriorityChange(to, previous))


def _assignee(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    if item.get("to") != item.get("from"):
        assignment = Assignment(agent=identifier(item.get("to"), "changelog to"))
        yield hook.happening.tells(Kind.ASSIGNMENT_CHANGED, *change, assignment=assignment)


def _team(hook: _Hook, item: Object) -> Assignment:
    stated = hook.happening.ticket.team
    return Assignment(team=identifier(item.get("toString"), "changelog toString") if stated is UNSET else stated)


def _labels(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    before, after = (set(str(item.get(name) or "").split()) for name in ("fromString", "toString"))
    if before != after:
        tags = TagsChange(tuple(sorted(after - before)), tuple(sorted(before - after)))
        yield hook.happening.tells(Kind.TAGS_CHANGED, *change, tags=tags)


def _rated(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    answer = str(item.get("toString") or "").strip()
    if not answer:
        return  # the answer was taken back, and what it was is counted already
    try:
        score = float(answer)
    except ValueError:
        score = 0.0
    if not 1 <= score <= 5:
        raise Invalid(Reason.BAD_VALUE, "the field of options.csat_field must hold a number from 1 to 5")
    who = Actor(ActorKind.CUSTOMER, pseudonym(hook.hash_key, hook.reporter) if hook.reporter else None)
    yield hook.happening.tells(Kind.CSAT_RECEIVED, *change, actor=who, rating=Rating(score, best=5.0, worst=1.0))


def _moved(hook: _Hook, change: tuple[str, ...], item: Object) -> Iterator[TicketEvent]:
    """A move to another project gives a new key: the ticket of the old one goes on as that of the new one."""
    old = identifier(item.get("fromString"), "changelog fromString")
    if hook.options.ticket_ids != "key" or old is None or old == hook.happening.ticket_id:
        return
    yield hook.happening.tells(
        Kind.MERGED, *change, ticket_id=old, ticket=Attributes(), merge=Merge(hook.happening.ticket_id)
    )
    begun = structs.replace(hook.happening.ticket, status=UNSET)  # what it is now, it was not when it was created
    created_at = begun.created_at if isinstance(begun.created_at, datetime) else hook.happening.at
    yield hook.happening.tells(Kind.CREATED, *change, occurred_at=created_at, actor=None, ticket=begun)
    yield hook.happening.tells(Kind.UPDATED, *change)


_READERS: Final = {
    "status": _status,
    "priority": _priority,
    "assignee": _assignee,
    "labels": _labels,
    "key": _moved,
}
