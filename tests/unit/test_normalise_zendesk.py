"""Zendesk webhooks to canonical events. Payloads and the events they must become lie in fixtures/webhooks/zendesk.

``<name>.json`` is what Zendesk posts, ``<name>.events.json`` the canonical events of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import ActorKind, Kind, Rating, TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise, options_problem

FOLDER = Path(__file__).parents[1] / "fixtures" / "webhooks" / "zendesk"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".events"))
SETTINGS = SourceSettings(b"a key for tests")


def delivery(body: Any, headers: dict[str, str] | None = None) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-zendesk-webhook-invocation-id": "8350205582"} if headers is None else headers
    return Delivery("zendesk", "zendesk", headers, raw, parse_rfc3339("2026-03-02T09:00:01Z"))


def payload(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def events(body: Any, **options: Any) -> list[TicketEvent]:
    return normalise(delivery(body), SourceSettings(SETTINGS.hash_key, options))


def event(body: Any, **options: Any) -> TicketEvent:
    [found] = events(body, **options)
    return found


def refusal(body: Any, **options: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        events(body, **options)
    return caught.value


def changed(name: str, **parts: dict[str, Any]) -> dict[str, Any]:
    """The fixture ``name`` with members of ``detail`` or ``event`` replaced."""
    body = payload(name)
    return {**body, **{part: {**body[part], **members} for part, members in parts.items()}}


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_becomes_the_events_beside_it(name: str) -> None:
    body = (FOLDER / f"{name}.json").read_bytes()
    made = [json.loads(encode(one)) for one in normalise(delivery(body), SETTINGS)]
    assert made == json.loads((FOLDER / f"{name}.events.json").read_text())
    for one in made:
        assert decode_ticket(json.dumps(one).encode()).source == "zendesk"


def test_no_text_of_a_message_or_name_of_a_person_is_in_any_event() -> None:
    for name in NAMES:
        made = b"".join(encode(one) for one in normalise(delivery(payload(name)), SETTINGS))
        assert not any(
            text in made for text in (b"invoice", b"Invoice", b"news", b"finance", b"Somebody", b"Fast", b"9001")
        )


def test_a_customer_has_one_pseudonym_and_another_under_another_key() -> None:
    mine = event(payload("reply_customer"))
    assert mine.actor is not None
    assert mine.actor.id == mine.ticket.requester
    [other] = normalise(delivery(payload("reply_customer")), SourceSettings(b"another key"))
    assert other.ticket.requester != mine.ticket.requester


def test_a_redelivery_has_the_same_id_and_another_source_another_one() -> None:
    body = payload("created")
    first, again = event(body), normalise(delivery(body, {}), SETTINGS)[0]
    assert first.event_id == again.event_id
    elsewhere = Delivery("acme", "zendesk", {}, json.dumps(body).encode(), first.received_at)
    assert normalise(elsewhere, SETTINGS)[0].event_id != first.event_id


def test_a_sequence_id_beyond_64_bits_is_read_past_and_the_position_kept() -> None:
    assert b"39313930383633353634323835" in (FOLDER / "status_on_hold.json").read_bytes()
    assert event((FOLDER / "status_on_hold.json").read_bytes()).sequence == 2


@pytest.mark.parametrize("position", [None, "1", -1, 2**40, True])
def test_a_position_that_is_none_counts_as_zero(position: object) -> None:
    assert event(changed("status_on_hold", event={"meta": {"sequence": {"position": position}}})).sequence == 0


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("status_on_hold", "HOLD"),
        ("priority_removed", "LOW"),
        ("agent_unassigned", "7001"),
        ("group_changed", "4001"),
        ("custom_status", "777"),
        ("brand_changed", "360001"),
    ],
)
def test_a_change_to_the_same_value_is_no_event(name: str, same: str) -> None:
    assert events(changed(name, event={"current": same, "previous": same})) == []


def test_unset_written_in_three_ways_is_nobody() -> None:
    for nobody in (None, "", "0"):
        body = changed("agent_unassigned", detail={"assignee_id": nobody}, event={"current": nobody})
        found = event(body)
        assert found.assignment is not None
        assert (found.assignment.agent, found.ticket.agent) == (None, None)
    assert events(changed("agent_unassigned", event={"current": "", "previous": "0"})) == []


@pytest.mark.parametrize("status", ["Open", "open", "OPEN", " open "])
def test_the_case_of_words_does_not_matter(status: str) -> None:
    assert event(changed("reply_agent", detail={"status": status})).ticket.status == "open"


@pytest.mark.parametrize("word", ["DELETED", "ARCHIVED", "SCRUBBED"])
def test_what_is_not_a_status_states_none(word: str) -> None:
    assert "status" not in json.loads(encode(event(changed("spam", detail={"status": word}))))["ticket"]
    assert events(changed("status_on_hold", event={"current": word})) == []


@pytest.mark.parametrize(
    ("via", "channel"),
    [
        ("mail", "email"),
        ("web_service", "api"),
        ("web", "web"),
        ("native_messaging", "chat"),
        ("WhatsApp", "whatsapp"),
        ("voice", "voice"),
    ],
)
def test_channels_get_the_names_that_segments_use(via: str, channel: str) -> None:
    assert event(changed("created", detail={"via": {"channel": via}})).ticket.channel == channel


@pytest.mark.parametrize(
    ("actor_id", "kind"), [("9001", "customer"), ("7001", "agent"), ("-1", "system"), (None, "system")]
)
def test_who_acted_is_told_by_ids(actor_id: str | None, kind: str) -> None:
    found = event(changed("status_on_hold", detail={"actor_id": actor_id}))
    assert found.actor is not None
    assert found.actor.kind.value == kind


def test_a_comment_of_staff_counts_as_an_agents_even_on_the_agents_own_ticket() -> None:
    found = event(changed("reply_agent", detail={"requester_id": "7001"}))
    assert found.message is not None
    assert found.message.author is ActorKind.AGENT


def test_an_agent_that_is_configured_as_a_bot_writes_as_one() -> None:
    found = event(payload("reply_agent"), bots=["7001"])
    assert found.message is not None
    assert found.message.author is ActorKind.BOT


def test_a_tag_gives_the_tier_where_the_source_says_so() -> None:
    assert event(payload("reply_agent"), tiers={"platinum": "p", "vip": "gold"}).ticket.tier == "gold"
    assert event(payload("reply_agent"), tiers={"platinum": "p"}).ticket.tier is None
    assert "tier" not in json.loads(encode(event(payload("reply_agent"))))["ticket"]


@pytest.mark.parametrize(("seconds", "opening"), [("02", True), ("02.000001", False), ("00", True)])
def test_a_comment_within_two_seconds_of_the_creation_is_the_opening_one(seconds: str, opening: bool) -> None:
    found = event({**payload("reply_customer"), "time": f"2026-03-02T08:00:{seconds}Z"})
    assert found.message is not None
    assert found.message.opening is opening


def test_two_empty_texts_do_not_make_a_comment_the_opening_one() -> None:
    body = changed("reply_customer", detail={"description": " "})
    body["event"]["comment"]["body"] = ""
    found = event(body)
    assert found.message is not None
    assert not found.message.opening


@pytest.mark.parametrize(
    ("score", "rating"),
    [
        ("GOOD", Rating(1.0, best=1.0, positive=True)),
        ("bad", Rating(0.0, best=1.0, positive=False)),
        ("bad_with_comment", Rating(0.0, best=1.0, positive=False)),
        (4, Rating(4.0, best=5.0, worst=1.0)),
        ("5", Rating(5.0, best=5.0, worst=1.0)),
    ],
)
def test_satisfaction_is_good_or_bad_or_one_to_five(score: object, rating: Rating) -> None:
    found = event(changed("csat_good", event={"satisfaction_score": {"score": score}}))
    assert found.rating == rating
    assert found.actor is not None
    assert found.actor.kind is ActorKind.CUSTOMER


def test_a_survey_that_was_only_offered_is_no_answer() -> None:
    assert events(changed("csat_good", event={"satisfaction_score": {"score": "OFFERED"}})) == []


@pytest.mark.parametrize("score", [0, 6, "9", "²", "99999999999", True, None, [], "so-so"])
def test_a_satisfaction_that_is_none_of_these_is_refused(score: object) -> None:
    failure = refusal(changed("csat_good", event={"satisfaction_score": {"score": score}}))
    assert (failure.reason, "event.satisfaction_score.score" in failure.detail) == (Reason.BAD_VALUE, True)


@pytest.mark.parametrize("kind", ["permanently_deleted", "soft_deleted", "marked_as_spam"])
def test_three_ways_of_going_are_one_deletion(kind: str) -> None:
    assert event({**payload("spam"), "type": f"zen:event-type:ticket.{kind}"}).kind is Kind.DELETED


@pytest.mark.parametrize(
    "kind", ["ticket.followers_changed", "ticket.attachment_linked_to_comment", "user.created", "organization.deleted"]
)
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(kind: str) -> None:
    assert events({**payload("created"), "type": f"zen:event-type:{kind}", "detail": {}, "event": {}}) == []


def test_the_older_event_version_is_read_alike() -> None:
    old = {**payload("reply_agent"), "zendesk_event_version": "2022-06-20"}
    assert event(old) == event(payload("reply_agent"))


def _without(name: str, *path: str) -> dict[str, Any]:
    body = payload(name)
    inner = body
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return body


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ({**payload("created"), "type": "zen:event-type:ticket.updated"}, Reason.UNKNOWN_TYPE, "type"),
        (_without("created", "detail"), Reason.MISSING_FIELD, "detail"),
        (_without("created", "event"), Reason.MISSING_FIELD, "event"),
        (_without("created", "time"), Reason.MISSING_FIELD, "time"),
        (_without("created", "id"), Reason.MISSING_FIELD, "id"),
        (_without("created", "account_id"), Reason.MISSING_FIELD, "account_id"),
        ({**payload("created"), "time": "2026-03-02T09:00:00"}, Reason.BAD_VALUE, "time"),
        ({**payload("created"), "time": 1740000000}, Reason.BAD_VALUE, "time"),
        ({**payload("created"), "detail": []}, Reason.BAD_VALUE, "detail"),
        (changed("created", detail={"id": "x" * 201}), Reason.BAD_VALUE, "detail.id"),
        (changed("created", detail={"id": {}}), Reason.BAD_VALUE, "detail.id"),
        (changed("created", detail={"status": "WAITING"}), Reason.BAD_VALUE, "detail.status"),
        (changed("created", detail={"priority": "P1"}), Reason.BAD_VALUE, "detail.priority"),
        (changed("created", detail={"tags": "a b"}), Reason.BAD_VALUE, "detail.tags"),
        (changed("created", detail={"created_at": "soon"}), Reason.BAD_VALUE, "detail.created_at"),
        (changed("status_on_hold", event={"current": None}), Reason.MISSING_FIELD, "event.current"),
        (_without("priority_removed", "event", "current"), Reason.MISSING_FIELD, "event.current"),
        (_without("group_changed", "event", "current"), Reason.MISSING_FIELD, "event.current"),
        (_without("reply_agent", "event", "comment", "is_public"), Reason.MISSING_FIELD, "event.comment.is_public"),
        (_without("reply_agent", "event", "comment", "author"), Reason.MISSING_FIELD, "event.comment.author"),
        (_without("merged", "event", "target_ticket_id"), Reason.MISSING_FIELD, "event.target_ticket_id"),
        (changed("merged", event={"target_ticket_id": "1001"}), Reason.BAD_VALUE, "event.target_ticket_id"),
        (changed("messaging_bot", event={"actor": {"type": "alien"}}), Reason.BAD_VALUE, "event.actor.type"),
        ({"input": {"ticket_event": {"type": "x"}}}, Reason.UNSUPPORTED_FORMAT, "Integration Services"),
        ({"detail-type": "t", "detail": {"ticket_event": {}}}, Reason.UNSUPPORTED_FORMAT, "EventBridge"),
        ({"type": "End User Comment", "ticketID": "1"}, Reason.UNSUPPORTED_FORMAT, "connect-zendesk.md"),
        ({}, Reason.UNSUPPORTED_FORMAT, "zendesk.trigger.v1"),
        ([], Reason.NOT_AN_EVENT, "object"),
        (b"{not json", Reason.NOT_JSON, "JSON"),
        (b"\xff\xfe", Reason.NOT_JSON, "JSON"),
        (b"", Reason.NOT_JSON, "JSON"),
        (b"[" * 5000 + b"]" * 5000, Reason.TOO_DEEP, "nested"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_the_ticket_is_named_by_the_subject_where_the_snapshot_has_no_id() -> None:
    assert event(_without("created", "detail", "id")).ticket_id == "1001"


def trigger(**fields: Any) -> dict[str, Any]:
    return {**payload("trigger_created"), **fields}


def test_a_trigger_delivery_is_identified_by_its_invocation_and_else_by_its_bytes() -> None:
    body = trigger()
    one = normalise(delivery(body, {"x-zendesk-webhook-invocation-id": "1"}), SETTINGS)[0].event_id
    two = normalise(delivery(body, {"x-zendesk-webhook-invocation-id": "2"}), SETTINGS)[0].event_id
    bare = normalise(delivery(body, {}), SETTINGS)[0].event_id
    assert len({one, two, bare}) == 3
    assert normalise(delivery(body, {}), SETTINGS)[0].event_id == bare
    assert normalise(delivery(trigger(tags="other"), {}), SETTINGS)[0].event_id != bare


def test_a_trigger_without_a_time_happened_when_it_was_received() -> None:
    found = event(trigger(event="updated", updated_at="", created_at=""))
    assert found.occurred_at == found.received_at


def test_a_field_that_the_template_leaves_out_says_nothing_and_an_empty_one_says_none() -> None:
    stated = json.loads(
        encode(event({"schema": "zendesk.trigger.v1", "event": "updated", "ticket_id": 7, "group_id": ""}))
    )
    assert stated["ticket"] == {"team": None}


def test_words_of_the_accounts_language_are_configured() -> None:
    body = trigger(event="status_changed", status="Offen", priority="Dringend")
    found = event(body, statuses={"offen": "open"}, priorities={"DRINGEND": "urgent"})
    assert (found.ticket.status, found.ticket.priority) == ("open", "urgent")
    assert "options.statuses" in refusal(body).detail


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"status": "{{ticket.status}}"}, Reason.UNRENDERED_TEMPLATE, "status"),
        ({"current_user_id": "{{curent_user.id}}"}, Reason.UNRENDERED_TEMPLATE, "current_user_id"),
        ({"event": "ticket.exploded"}, Reason.UNKNOWN_TYPE, "status_changed"),
        ({"event": ""}, Reason.MISSING_FIELD, "event"),
        ({"ticket_id": ""}, Reason.MISSING_FIELD, "ticket_id"),
        ({"ticket_id": True}, Reason.BAD_VALUE, "ticket_id"),
        ({"tags": ["a"]}, Reason.BAD_VALUE, "tags"),
        ({"created_at": "2 March 2026"}, Reason.BAD_VALUE, "created_at"),
        ({"event": "status_changed", "status": ""}, Reason.MISSING_FIELD, "status"),
    ],
)
def test_a_trigger_body_that_cannot_be_used_names_its_field(fields: dict[str, Any], reason: Reason, named: str) -> None:
    failure = refusal(trigger(**fields))
    assert (failure.reason, named in failure.detail) == (reason, True), failure


@pytest.mark.parametrize(
    ("name", "user", "author"),
    [
        ("comment_public_agent", "7001", "agent"),
        ("comment_public_agent", "9001", "agent"),
        ("comment_public_agent", "-1", "system"),
        ("comment_public_agent", None, "agent"),
        ("comment_public_customer", "9001", "customer"),
        ("comment_public_customer", "-1", "customer"),
        ("comment_private", "7001", "agent"),
    ],
)
def test_the_triggers_name_says_who_wrote(name: str, user: str | None, author: str) -> None:
    body = trigger(event=name, current_user_id=user)
    if user is None:
        del body["current_user_id"]
    found = event(body)
    assert found.message is not None
    assert found.message.author.value == author


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("zendesk", {"statuses": {"offen": "open"}, "bots": ["1"], "tiers": {"vip": "gold"}}) is None
    assert "statuses" in str(options_problem("zendesk", {"statuses": {"offen": "offen"}}))
    assert "tears" in str(options_problem("zendesk", {"tears": {}}))
    assert options_problem("generic", {"bots": []}) is not None
