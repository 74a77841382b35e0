"""Every KPI of any life, in any order and any copies, is what a slow and separate recomputation says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instant import SECOND_US
from schemas.ticket import TicketEvent
from services.kpi.catalogue import KPIS
from services.kpi.reading import readings
from services.metrics.store import MemoryStore
from tests.property.test_fold_order import NOW_US, arrivals, replayed
from tests.support.oracle_more import Choices, kpis, told

CHOICES = Choices(timedelta(days=1), ("tech",))


def numbers(store: MemoryStore, segment: str) -> dict[str, Any]:
    """The readings over all time, of what the day buckets and the gauges hold."""
    total: dict[str, int] = {}
    for (_, resolution, _, name), fields in store.buckets.items():
        if resolution == "1d" and name == segment:
            for field, amount in fields.items():
                total[field] = total.get(field, 0) + amount
    return readings(KPIS.values(), total, store.gauges.get((0, segment), {}), NOW_US // SECOND_US)


def differs(found: Any, wanted: Any) -> bool:
    """Whether a number that is wanted is not there; what is found beyond is not looked at."""
    if isinstance(wanted, dict):
        return any(differs(found[name], value) for name, value in wanted.items())
    return bool(found != pytest.approx(wanted, abs=0.0021))


@given(arrivals(), st.sampled_from([None, "tech", "billing", "none"]))
@settings(max_examples=200, deadline=None)
def test_every_kpi_is_what_a_separate_recomputation_says(
    case: tuple[list[TicketEvent], list[list[TicketEvent]]], team: str | None
) -> None:
    events, batches = case
    found = numbers(asyncio.run(replayed(batches)), "all" if team is None else f"team:{team}")
    wanted = kpis(told(events, CHOICES), team)
    first_contact, by_status = wanted.pop("first_contact_resolution"), wanted.pop("by_status")
    assert {name: found[name] for name, value in wanted.items() if differs(found[name], value)} == {}
    assert found["first_contact_resolution"] == {"provisional": first_contact, "final": first_contact}
    assert found["backlog"]["by_status"] == by_status
    assert sum(found["backlog"]["by_age"].values()) == found["backlog"]["count"] == sum(by_status.values())
    assert (found["oldest_ticket_age"]["age_s"] is None) == (found["backlog"]["count"] == 0)
    assert found["net_flow"]["count"] == found["tickets_created"]["count"] - found["tickets_solved"]["count"]
    kept, broken = found["sla_attainment"], found["sla_breach_rate"]
    assert kept["count"] == broken["count"] == kept["hits"] + broken["hits"]
    assert found["open_breached"]["count"] <= found["backlog"]["count"]


def test_the_oracle_sees_a_difference() -> None:
    assert differs({"count": 1}, {"count": 2})
    assert not differs({"count": 1, "hits": 1}, {"count": 1})
    assert differs({"a": {"mean_s": None}}, {"a": {"mean_s": 0.0}})
