"""Salesforce's callouts to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/salesforce.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Kind
from services.ingest.normalise import options_problem
from services.ingest.normalise.batch import PartlyInvalid
from tests.support.webhooks import Webhooks

SALESFORCE = Webhooks("salesforce")


@pytest.mark.parametrize("name", SALESFORCE.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    SALESFORCE.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in SALESFORCE.names():
        written = SALESFORCE.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound">
<OrganizationId>00D000000000001</OrganizationId><ActionId>04k000000000001</ActionId><SessionId xsi:nil="true"/>
<EnterpriseUrl>https://example.com</EnterpriseUrl>%s</notifications></soapenv:Body></soapenv:Envelope>"""


def changed(name: str = "flow_status_changed", /, **fields: Any) -> dict[str, Any]:
    return dict(SALESFORCE.with_changes(name, {key.replace("__", "."): value for key, value in fields.items()}))


def notification(kind: str = "Case", number: int = 1, **fields: str | None) -> str:
    given = {"Id": "5005e00000B1c2D", "LastModifiedDate": "2026-03-02T08:59:00.000Z", **fields}
    texts = [f"<sf:{n} xsi:nil='true'/>" if v is None else f"<sf:{n}>{v}</sf:{n}>" for n, v in given.items()]
    return (
        f"<Notification><Id>04l00000000000{number}</Id>"
        f'<sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{"".join(texts)}</sObject>'
        "</Notification>"
    )


def soap(*notifications: str) -> bytes:
    return (ENVELOPE % "".join(notifications)).encode()


def test_short_and_long_ids_are_one_case() -> None:
    short, long = changed(record__Id="5005e00000A1b2C"), changed(record__Id="5005e00000A1b2CAAR")
    assert SALESFORCE.event(short) == SALESFORCE.event(long)


def test_one_change_sent_twice_is_one_event_and_the_next_another() -> None:
    first = SALESFORCE.event(changed()).event_id
    assert SALESFORCE.event(changed()).event_id == first
    assert SALESFORCE.event(changed(record__LastModifiedDate="2026-03-02T09:00:00.000+0000")).event_id != first


def test_a_change_to_the_same_value_is_no_event() -> None:
    assert SALESFORCE.events(changed(previousStatus="working")) == []
    assert SALESFORCE.events(changed("flow_priority_changed", previousPriority="Medium")) == []
    assert SALESFORCE.events(changed("flow_owner_changed", previousOwnerId="0055e00000D1e2F")) == []


def test_own_picklist_values_are_configured() -> None:
    body = changed(record__Status="Parked", record__Priority="P1")
    found = SALESFORCE.event(body, statuses={"parked": "on_hold"}, priorities={"p1": "urgent"})
    assert (found.ticket.status, found.ticket.priority) == ("on_hold", "urgent")


def test_a_program_under_a_users_licence_writes_as_a_bot() -> None:
    by_type = SALESFORCE.event(changed("flow_comment_public", record__CreatedBy={"UserType": "AutomatedProcess"}))
    by_name = SALESFORCE.event(changed("flow_comment_public"), bots=["0055e00000D1e2FAAR"])
    assert [found.message.author for found in (by_type, by_name) if found.message] == [ActorKind.BOT] * 2


def test_an_unchanged_field_that_is_listed_as_null_says_nothing() -> None:
    found = SALESFORCE.event(changed("cdc_without_wrapper"))
    assert found.kind is Kind.ESCALATION_RAISED
    assert found.ticket == type(found.ticket)()


def test_a_change_event_of_other_fields_says_nothing() -> None:
    fields = ["Subject", "LastModifiedDate"]
    assert SALESFORCE.events(changed("cdc_updated", payload__ChangeEventHeader__changedFields=fields)) == []


def test_a_relay_that_cuts_the_header_is_taken_by_the_time_of_receipt() -> None:
    header = "payload__ChangeEventHeader__"
    found = SALESFORCE.event(changed("cdc_undeleted", **{header + "commitTimestamp": ...}))
    assert found.occurred_at == found.received_at


def test_an_array_of_change_events_is_read_item_by_item() -> None:
    gap = changed("cdc_updated", payload__ChangeEventHeader__changeType="GAP_UPDATE")
    with pytest.raises(PartlyInvalid) as caught:
        SALESFORCE.events([changed("cdc_undeleted"), gap])
    assert [event.kind for event in caught.value.events] == [Kind.RESTORED]
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_an_outbound_message_is_a_snapshot_of_its_case() -> None:
    case = notification(Status="Working", Priority="High", OwnerId="0055e00000D1e2F", ContactId=None, IsClosed="false")
    found = SALESFORCE.event(soap(case))
    assert (found.kind, found.ticket.status, found.ticket.priority) == (Kind.UPDATED, "open", "high")
    assert found.occurred_at.isoformat() == "2026-03-02T08:59:00+00:00"


def test_a_case_that_was_never_modified_is_new() -> None:
    case = notification(CreatedDate="2026-03-02T08:59:00.000Z", Status="New")
    assert SALESFORCE.event(soap(case)).kind is Kind.CREATED


def test_what_an_outbound_message_tells_is_configured_by_its_action() -> None:
    case = soap(notification(Status="Closed"))
    found = SALESFORCE.event(case, actions={"04k000000000001AAA": "case_status_changed"})
    assert found.kind is Kind.STATUS_CHANGED
    assert SALESFORCE.event(case).kind is Kind.UPDATED


def test_an_outbound_message_of_mail_is_a_message_and_one_of_an_account_says_nothing() -> None:
    mail = notification(
        "EmailMessage",
        Id="02s5e00000A1b2C",
        ParentId="5005e00000B1c2D",
        Incoming="true",
        CreatedDate="2026-03-02T08:30:00Z",
    )
    found = SALESFORCE.event(soap(mail, notification("Account", 2)))
    assert found.message is not None
    assert found.message.author is ActorKind.CUSTOMER


def test_a_notification_sent_again_with_the_same_state_is_the_same_event() -> None:
    first, again = SALESFORCE.event(soap(notification(Status="New"))), soap(notification(number=2, Status="New"))
    assert SALESFORCE.event(again).event_id == first.event_id


def test_a_notification_that_cannot_be_read_does_not_cost_the_others() -> None:
    with pytest.raises(PartlyInvalid) as caught:
        SALESFORCE.events(soap(notification(Status="Parked"), notification(Id="5005e00000B1c2E", Status="New")))
    assert [event.ticket.status for event in caught.value.events] == ["new"]
    assert "options.statuses" in caught.value.detail


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;&a;">]><b>&c;</b>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]><b>&a;</b>"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOMB, Reason.UNSUPPORTED_FORMAT),
        (OUTSIDE, Reason.UNSUPPORTED_FORMAT),
        (b"<!DOCTYPE b SYSTEM 'http://example.com/x.dtd'><b/>", Reason.UNSUPPORTED_FORMAT),
        (b"<html><body>hello</body></html>", Reason.UNSUPPORTED_FORMAT),
        (b"<a>" * 1000, Reason.TOO_DEEP),
        (b"<a", Reason.NOT_AN_EVENT),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", Reason.NOT_AN_EVENT),
        (soap(), Reason.BAD_VALUE),
        (soap(*[notification()] * 101), Reason.BAD_VALUE),
    ],
)
def test_xml_of_a_stranger_is_refused_and_nothing_in_it_is_resolved(body: bytes, reason: Reason) -> None:
    failure = SALESFORCE.refusal(body)
    assert failure.reason is reason, failure
    assert "root:" not in failure.detail


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("salesforce", {"actions": {"04k000000000001": "case_created"}}) is None
    assert "case_created" in str(options_problem("salesforce", {"actions": {"04k000000000001": "born"}}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ("x", Reason.NOT_AN_EVENT, "object"),
        ({}, Reason.UNSUPPORTED_FORMAT, "connect-salesforce.md"),
        (changed(eventType="case_exploded"), Reason.UNKNOWN_TYPE, "case_created"),
        (changed(record=...), Reason.MISSING_FIELD, "record"),
        (changed(record__Id=...), Reason.MISSING_FIELD, "record.Id"),
        (changed(record__LastModifiedDate=...), Reason.MISSING_FIELD, "LastModifiedDate"),
        (changed(record__LastModifiedDate="soon"), Reason.BAD_VALUE, "LastModifiedDate"),
        (changed(record__Status="{!$Record.Status}"), Reason.UNRENDERED_TEMPLATE, "record.Status"),
        (changed(record__Status="Parked"), Reason.BAD_VALUE, "options.statuses"),
        (changed(record__Status=""), Reason.MISSING_FIELD, "record.Status"),
        (changed("flow_priority_changed", record__Priority=...), Reason.MISSING_FIELD, "record.Priority"),
        (changed("flow_owner_changed", record__OwnerId=...), Reason.MISSING_FIELD, "record.OwnerId"),
        (changed("flow_merged", record__MasterRecordId=...), Reason.MISSING_FIELD, "MasterRecordId"),
        (changed("flow_email_in", record__Incoming=...), Reason.MISSING_FIELD, "record.Incoming"),
        (changed("flow_comment_public", record__CreatedBy=...), Reason.MISSING_FIELD, "UserType"),
        (changed("cdc_updated", payload__ChangeEventHeader__changedFields=...), Reason.MISSING_FIELD, "changedFields"),
        (
            changed("cdc_updated", payload__ChangeEventHeader__changedFields=["0x0600"]),
            Reason.UNSUPPORTED_FORMAT,
            "bitmap",
        ),
        (
            changed("cdc_updated", payload__ChangeEventHeader__changeType="GAP_OVERFLOW"),
            Reason.UNSUPPORTED_FORMAT,
            "gap",
        ),
        (changed("cdc_updated", payload__ChangeEventHeader__recordIds=[]), Reason.MISSING_FIELD, "recordIds"),
        (changed("cdc_updated", payload__ChangeEventHeader__changeType="SHUFFLE"), Reason.UNKNOWN_TYPE, "changeType"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = SALESFORCE.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
