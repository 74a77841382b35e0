"""Jira webhooks to canonical events. Bodies and the events they must become lie in fixtures/webhooks/jira."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Assignment, Kind, Merge, Rating
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

JIRA = Webhooks("jira")


def changed(name: str, **values: Any) -> Any:
    return JIRA.with_changes(name, {way.replace("__", "."): value for way, value in values.items()})


def item(**members: Any) -> dict[str, Any]:
    """A webhook of one change."""
    return dict(changed("summary", changelog__items=[members]))


@pytest.mark.parametrize("name", JIRA.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    JIRA.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in set(JIRA.names()) - {"comment_in_update_old"}:  # before 2019 an agent's id was a login name
        written = JIRA.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"where is", b"any news"))


def test_a_comment_that_is_told_twice_is_one_event() -> None:
    told, again = JIRA.event(JIRA.body("comment_agent")), JIRA.event(JIRA.body("comment_in_update"))
    assert told.event_id == again.event_id
    assert told.occurred_at == again.occurred_at


def test_a_redelivery_is_the_same_event_and_the_next_change_another() -> None:
    first = JIRA.event(JIRA.body("status"))
    assert JIRA.event(changed("status", timestamp=1772442999000)).event_id == first.event_id
    assert JIRA.event(changed("status", changelog__id="20002")).event_id != first.event_id


def test_changes_made_at_once_are_one_event_each_in_order() -> None:
    events = JIRA.events(JIRA.body("unassigned_and_status"))
    assert [(event.kind, event.sequence) for event in events] == [
        (Kind.ASSIGNMENT_CHANGED, 0),
        (Kind.STATUS_CHANGED, 1),
    ]


def test_an_offset_without_a_colon_is_read() -> None:
    assert JIRA.event(JIRA.body("comment_agent")).occurred_at.isoformat() == "2026-03-02T08:59:59+00:00"


@pytest.mark.parametrize(
    ("author", "kind"),
    [
        ({"accountId": "qm:zz", "accountType": "customer"}, ActorKind.CUSTOMER),
        ({"accountId": "qm:bb", "accountType": "atlassian"}, ActorKind.CUSTOMER),
        ({"accountId": "712020:zz", "accountType": "atlassian"}, ActorKind.AGENT),
        ({"accountId": "557058:zz", "accountType": "app"}, ActorKind.BOT),
        ({"key": "JIRAUSER10100", "name": "robin"}, ActorKind.AGENT),
    ],
)
def test_the_reporter_and_customer_accounts_are_customers(author: dict[str, str], kind: ActorKind) -> None:
    found = JIRA.event(changed("comment_agent", comment__author=author))
    assert found.message is not None
    assert found.message.author is kind


def test_an_account_that_is_configured_as_a_bot_writes_as_one() -> None:
    found = JIRA.event(JIRA.body("comment_agent"), bots=["712020:aa"])
    assert found.message is not None
    assert found.message.author is ActorKind.BOT


def test_a_comment_from_before_service_management_is_public() -> None:
    found = JIRA.event(changed("comment_agent", comment__jsdPublic=...)).message
    assert found is not None
    assert found.visibility.value == "public"


def test_an_own_status_counts_by_name_by_id_and_else_by_its_category() -> None:
    body = JIRA.body("status_by_category")
    assert JIRA.event(body, statuses={"gelöst": "closed"}).status.to == "closed"  # type: ignore[union-attr]
    assert JIRA.event(body, statuses={"5": "closed"}).status.to == "closed"  # type: ignore[union-attr]
    body["issue"]["fields"]["status"] = {"id": "5", "name": "Gelöst"}
    assert "options.statuses" in JIRA.refusal(body).detail


def test_an_old_status_that_nobody_knows_is_left_out() -> None:
    body = changed("status", changelog__items__0__fromString="Bei uns", changelog__items__0__from="10099")
    found = JIRA.event(body).status
    assert found is not None
    assert (found.to, found.previous) == ("pending", None)


@pytest.mark.parametrize(
    ("number", "name", "priority"),
    [("1", "Höchste", "urgent"), ("10001", "Critical", "high"), ("10002", "P1", "urgent"), ("3", "Mittel", "normal")],
)
def test_priorities_are_known_by_name_or_by_jiras_own_number(number: str, name: str, priority: str) -> None:
    body = changed("status", issue__fields__priority={"id": number, "name": name})
    assert JIRA.event(body, priorities={"p1": "urgent"}).ticket.priority == priority


def test_a_priority_may_be_taken_away() -> None:
    found = JIRA.event(item(field="priority", **{"from": "2", "fromString": "High", "to": None, "toString": None}))
    assert found.priority is not None
    assert (found.priority.to, found.priority.previous) == (None, "high")


@pytest.mark.parametrize(
    "members",
    [
        {"field": "assignee", "from": "a", "to": "a"},
        {"field": "priority", "from": "2", "fromString": "High", "to": "2", "toString": "High"},
        {"field": "labels", "fromString": "a b", "toString": "b a"},
        {"field": "description", "fromString": "a", "toString": "b"},
    ],
)
def test_a_change_that_changes_nothing_we_count_is_no_event(members: dict[str, str]) -> None:
    assert JIRA.events(item(**members)) == []


@pytest.mark.parametrize("value", ["Billing", {"value": "Billing"}, {"id": "1", "title": "Billing"}, ["Billing"]])
def test_the_team_is_in_the_field_that_the_site_says(value: object) -> None:
    body = changed("status", issue__fields__customfield_10050=value)
    assert JIRA.event(body, team_field="customfield_10050").ticket.team == "Billing"


def test_another_team_is_an_assignment() -> None:
    body = item(field="Team", fieldId="customfield_10050", to="1", toString="Billing", **{"from": None})
    found = JIRA.event(body, team_field="customfield_10050")
    assert (found.kind, found.assignment) == (Kind.ASSIGNMENT_CHANGED, Assignment(team="Billing"))


def test_satisfaction_is_in_the_field_that_the_site_says() -> None:
    body = item(field="Satisfaction", fieldId="customfield_10060", fromString=None, toString="4")
    assert JIRA.events(body) == []
    found = JIRA.event(body, csat_field="customfield_10060")
    assert (found.kind, found.rating) == (Kind.CSAT_RECEIVED, Rating(4.0, best=5.0, worst=1.0))
    assert found.actor is not None
    assert (found.actor.kind, found.actor.id) == (ActorKind.CUSTOMER, found.ticket.requester)
    body["changelog"]["items"][0]["toString"] = "great"
    assert "options.csat_field" in JIRA.refusal(body, csat_field="customfield_10060").detail
    body["changelog"]["items"][0]["toString"] = ""
    assert JIRA.events(body, csat_field="customfield_10060") == []


def test_a_move_ends_the_old_key_and_begins_the_new_one() -> None:
    merged, created, updated = JIRA.events(JIRA.body("moved"))
    assert (merged.ticket_id, merged.merge) == ("SUP-12", Merge("FIN-7"))
    assert (created.ticket_id, created.kind, created.occurred_at) == ("FIN-7", Kind.CREATED, created.ticket.created_at)
    assert (updated.ticket_id, updated.ticket.status) == ("FIN-7", "open")
    assert created.event_id != JIRA.event(JIRA.body("created")).event_id


def test_tickets_named_by_number_keep_it_when_they_move() -> None:
    assert JIRA.events(JIRA.body("moved"), ticket_ids="id") == []
    assert JIRA.event(JIRA.body("status"), ticket_ids="id").ticket_id == "10100"


def test_a_label_gives_the_tier_where_the_source_says_so() -> None:
    assert JIRA.event(JIRA.body("status"), tiers={"vip": "gold"}).ticket.tier == "gold"


@pytest.mark.parametrize(
    "name", ["comment_updated", "issuelink_deleted", "worklog_created", "attachment_created", "jira:version_released"]
)
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(name: str) -> None:
    assert JIRA.events({"webhookEvent": name, "timestamp": 1}) == []


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        (changed("created", webhookEvent="jira:issue_exploded"), Reason.UNKNOWN_TYPE, "webhookEvent"),
        (changed("created", webhookEvent=...), Reason.UNSUPPORTED_FORMAT, "connect-jira.md"),
        ({"accountId": "1", "username": "2"}, Reason.UNSUPPORTED_FORMAT, "connect-jira.md"),
        (changed("comment_agent", issue=...), Reason.MISSING_FIELD, "issue"),
        (changed("created", issue__key=...), Reason.MISSING_FIELD, "issue.key"),
        (changed("created", timestamp=...), Reason.MISSING_FIELD, "timestamp"),
        (changed("created", timestamp="soon"), Reason.BAD_VALUE, "timestamp"),
        (changed("created", issue__fields__created="today"), Reason.BAD_VALUE, "issue.fields.created"),
        (changed("comment_agent", comment__author=None), Reason.MISSING_FIELD, "comment.author"),
        (changed("comment_agent", comment__id=None), Reason.MISSING_FIELD, "comment.id"),
        (changed("created", issue__fields__priority={"name": "P1"}), Reason.BAD_VALUE, "options.priorities"),
        (changed("created", issue__fields__labels="a"), Reason.BAD_VALUE, "labels"),
        (changed("status", changelog__items=["status"]), Reason.BAD_VALUE, "changelog.items"),
        ([], Reason.NOT_AN_EVENT, "object"),
        (b"{", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = JIRA.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_wrong_options_are_told() -> None:
    assert options_problem("jira", {"statuses": {"In the lab": "on_hold"}, "team_field": "customfield_1"}) is None
    assert "ticket_ids" in str(options_problem("jira", {"ticket_ids": "name"}))
