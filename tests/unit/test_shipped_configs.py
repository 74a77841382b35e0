"""The configurations that are shipped must load, and must mean what their comments say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.sla import SlaMetric
from schemas.ticket import Priority
from services.config.document import ConfigInvalid, Document, load, parse
from services.config.duration import seconds
from services.config.rule import TYPES
from services.fold.hours_form import read_hours
from services.ingest.source import problems
from services.kpi.catalogue import KPIS

FOLDER = Path(__file__).parents[2] / "deploy" / "config"
SECRETS = {"ZENDESK_SECRET": "a-secret", "GENERIC_SECRET": "whsec_c2VjcmV0"}
SHIPPED = ("deskpulse.yaml", "demo.yaml")


def shipped(name: str) -> Document:
    return load(FOLDER / name, SECRETS)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_loads_with_its_secrets_in_the_environment(name: str) -> None:
    document = shipped(name)

    assert set(document.sources) == {"zendesk", "generic"}
    assert problems(document) == []
    assert document.sources["zendesk"].secrets[0].get_secret_value() == SECRETS["ZENDESK_SECRET"]
    assert list(document.windows_s) == ["15m", "1h", "24h", "7d", "28d"]


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_refused_with_the_name_of_each_secret_that_is_not_set(name: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load(FOLDER / name, {})

    assert [line.split()[-4] for line in refused.value.problems] == list(SECRETS)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_calendars_can_be_read_and_are_used(name: str) -> None:
    document = shipped(name)

    for calendar in document.calendars.values():
        read_hours(calendar)
    used = {policy.calendar for policy in document.sla_policies} | {document.business_calendar}
    assert used == set(document.calendars)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_ticket_gets_a_policy_and_more_urgent_never_means_later(name: str) -> None:
    document = shipped(name)

    assert document.sla_policies[-1].match == {}
    for policy in document.sla_policies:
        targets = policy.targets[SlaMetric.FIRST_RESPONSE]
        order = [targets[priority] for priority in (Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW)]
        lengths = [seconds(target) for target in order if target is not None]
        assert len(lengths) == 4
        assert lengths == sorted(lengths)


def test_the_demo_keeps_all_its_promises_short_enough_to_be_watched() -> None:
    for policy in shipped("demo.yaml").sla_policies:
        lengths = [
            seconds(target) for by_priority in policy.targets.values() for target in by_priority.values() if target
        ]
        assert max(lengths) <= 120
        assert "75%" in policy.warn_at


def test_the_starter_rules_load_beside_a_document_with_their_segments() -> None:
    text = (FOLDER / "rules-starter.yaml").read_text()
    (segments,) = re.findall(r"segments: \[\[.*\]\]", text)
    found = parse(f"{segments}\n{text}", {}).rules

    assert len(found) >= 12
    assert {rule.type for rule in found} == set(TYPES)
    assert all(rule.kpi in KPIS for rule in found)
