"""What differs from site to site is said in ``options``: names of teams, words, zones, where answers of surveys lie."""

from __future__ import annotations

from typing import Any, Final

import pytest

from schemas.failure import Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import Kind, Priority, Rating, TicketEvent
from services.ingest.delivery import SourceSettings
from services.ingest.normalise import VENDORS, normalise, options_problem
from services.ingest.normalise.batch import PartlyInvalid
from tests.support.webhooks import Webhooks

TEAMS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    # by vendor: a fixture that states a team, and what headers say
    "chatwoot": ("incoming", {}),
    "freescout": ("assigned", {"x-freescout-event": "convo.assigned"}),
    "freshdesk": ("group_changed", {}),
    "front": ("reply", {}),
    "gorgias": ("assignment_updated", {}),
    "helpscout": ("assigned", {"x-helpscout-event": "convo.assigned"}),
    "hubspot": ("owner_removed_and_team", {}),
    "intercom": ("assigned_team", {}),
    "jira": ("assigned", {}),
    "salesforce": ("cdc_updated", {}),
    "servicenow": ("updated", {}),
    "zammad": ("created", {}),
    "zendesk": ("group_changed", {}),
    "zoho_desk": ("added", {}),
}
MORE: Final[dict[str, dict[str, Any]]] = {"jira": {"team_field": "customfield_10050"}}


def teams_of(events: list[TicketEvent]) -> set[str]:
    stated = {event.ticket.team for event in events} | {event.assignment.team for event in events if event.assignment}
    return {team for team in stated if isinstance(team, str)}


@pytest.mark.parametrize("vendor", TEAMS)
def test_a_team_has_the_name_that_the_site_gives_it(vendor: str) -> None:
    name, headers = TEAMS[vendor]
    hooks = Webhooks(vendor, headers)

    def teams(**options: Any) -> set[str]:
        body = hooks.body(name)
        return teams_of(hooks.events(body, hooks.headers_of(name), **MORE.get(vendor, {}), **options))

    [team] = teams()
    assert teams(teams={team: "Our name", "nobody's": "another"}) == {"Our name"}
    assert teams(teams={"nobody's": "another"}) == {team}


def test_every_vendor_with_teams_can_name_them() -> None:
    can = {vendor for vendor, found in VENDORS.items() if "teams" in found.options.__struct_fields__}
    assert can == TEAMS.keys() == VENDORS.keys() - {"generic", "cloudevents"}


def test_what_can_be_read_of_a_batch_has_the_names_too() -> None:
    zoho = Webhooks("zoho_desk")
    [team] = teams_of(zoho.events(zoho.body("added")))
    with pytest.raises(PartlyInvalid) as caught:
        zoho.events([*zoho.body("added"), {"eventType": 7}], teams={team: "Our name"})
    assert teams_of(list(caught.value.events)) == {"Our name"}


class TestZendesk:
    TRIGGER: Final = Webhooks("zendesk").body("trigger_status")

    @pytest.mark.parametrize(
        ("written", "zone", "meant"),
        [
            ("2026-07-02 09:00:00", "Europe/Paris", "2026-07-02T07:00:00Z"),
            ("2026-07-02T09:00:00", None, "2026-07-02T09:00:00Z"),
            ("2026-07-02T09:00:00Z", "Europe/Paris", "2026-07-02T09:00:00Z"),
            ("2026-07-02T09:00:00-05:00", "Europe/Paris", "2026-07-02T14:00:00Z"),
        ],
    )
    def test_a_time_without_an_offset_is_in_the_zone_of_the_account(
        self, written: str, zone: str | None, meant: str
    ) -> None:
        zendesk = Webhooks("zendesk")
        options = {} if zone is None else {"timezone": zone}
        delivery = zendesk.delivery(
            self.TRIGGER | {"updated_at": written}, received_at=parse_rfc3339("2026-07-02T15:00:00Z")
        )
        [event] = normalise(delivery, SourceSettings(b"key", options))
        assert event.occurred_at == parse_rfc3339(meant)

    @pytest.mark.parametrize("written", ["Jul 02, 2026", "2026-07-02", "yesterday"])
    def test_a_date_is_no_time(self, written: str) -> None:
        refused = Webhooks("zendesk").refusal(self.TRIGGER | {"updated_at": written}, timezone="Europe/Paris")
        assert refused.reason is Reason.BAD_VALUE


@pytest.mark.parametrize("vendor", ["zendesk", "servicenow", "freshdesk"])
def test_a_zone_that_there_is_not_is_refused_before_anything_runs(vendor: str) -> None:
    assert options_problem(vendor, {"timezone": "Asia/Tokyo"}) is None
    assert "IANA" in str(options_problem(vendor, {"timezone": "Mars/Olympus"}))


def test_what_a_priority_of_intercom_means_is_the_sites() -> None:
    intercom = Webhooks("intercom")
    [plain] = intercom.events(intercom.body("prioritised"))
    [ours] = intercom.events(intercom.body("prioritised"), priorities={"Priority": "urgent"})
    assert (plain.priority, ours.priority) != (None, None)
    assert plain.priority is not None
    assert ours.priority is not None
    assert (plain.priority.to, ours.priority.to) == (Priority.HIGH, Priority.URGENT)
    assert (plain.ticket.priority, ours.ticket.priority) == (Priority.HIGH, Priority.URGENT)


def test_a_tag_of_front_stands_for_a_tier() -> None:
    front = Webhooks("front")
    [event] = front.events(front.body("tagged"), tiers={"vip": "gold"})
    assert isinstance(event.ticket.tags, tuple)
    assert event.ticket.tier == ("gold" if "vip" in event.ticket.tags else None)
    named = dict.fromkeys(event.ticket.tags, "gold")
    assert front.event(front.body("tagged"), tiers=named).ticket.tier == "gold"


class TestSurveysOfSalesforce:
    OPTIONS: Final = {"csat": {"CSAT__c": {"worst": 1, "best": 5}}}
    SALESFORCE: Final = Webhooks("salesforce")

    def flow(self, answer: Any, name: str = "flow_status_changed") -> Any:
        return self.SALESFORCE.with_changes(name, {"record.CSAT__c": answer})

    def change(self, fields: list[str], answer: Any) -> Any:
        return self.SALESFORCE.with_changes(
            "cdc_updated", {"payload.ChangeEventHeader.changedFields": fields, "payload.CSAT__c": answer}
        )

    def test_the_answer_in_a_record_is_one_event_however_often_the_record_is_sent(self) -> None:
        first = self.SALESFORCE.events(self.flow("4"), **self.OPTIONS)
        later = self.SALESFORCE.events(self.flow(4, "flow_closed_by_another_word"), **self.OPTIONS)
        assert [event.kind for event in first] == [Kind.STATUS_CHANGED, Kind.CSAT_RECEIVED]
        assert first[1].rating == Rating(4.0, best=5.0, worst=1.0)
        assert first[1].event_id == later[1].event_id
        another = self.SALESFORCE.events(self.flow(5), **self.OPTIONS)
        assert another[1].event_id != first[1].event_id

    @pytest.mark.parametrize("answer", [None, ""])
    def test_no_answer_is_no_event(self, answer: Any) -> None:
        assert [event.kind for event in self.SALESFORCE.events(self.flow(answer), **self.OPTIONS)] == [
            Kind.STATUS_CHANGED
        ]

    def test_of_a_change_the_field_counts_when_it_changed(self) -> None:
        [rated] = self.SALESFORCE.events(self.change(["CSAT__c", "LastModifiedDate"], 2), **self.OPTIONS)
        assert (rated.kind, rated.rating) == (Kind.CSAT_RECEIVED, Rating(2.0, best=5.0, worst=1.0))
        [status] = self.SALESFORCE.events(self.change(["Status"], 2), **self.OPTIONS)
        assert status.kind is Kind.STATUS_CHANGED
        assert self.SALESFORCE.events(self.change(["CSAT__c"], None), **self.OPTIONS) == []

    @pytest.mark.parametrize("answer", ["great", 6, 0, True, [5]])
    def test_what_is_not_on_the_scale_is_refused(self, answer: Any) -> None:
        assert self.SALESFORCE.refusal(self.flow(answer), **self.OPTIONS).reason is Reason.BAD_VALUE

    def test_a_scale_that_is_none_is_refused_before_anything_runs(self) -> None:
        for vendor in ("salesforce", "hubspot"):
            assert options_problem(vendor, {"csat": {"a": {"best": 5}}}) is None
            assert "best must be greater" in str(options_problem(vendor, {"csat": {"a": {"best": 1}}}))
