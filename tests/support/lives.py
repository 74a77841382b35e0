"""Canonical events of seeded, simulated ticket lives, in order of arrival: with copies and late ones."""

from __future__ import annotations

from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from services.simulate.helpdesk import Simulation, plan, story

SETTINGS = SourceSettings(b"key", {"tiers": {"tier_vip": "vip", "tier_business": "business"}})


def arrivals(
    *, seed: int, until_us: int, lasting_s: float, rate: float, duplicates: float = 0.05, out_of_order: float = 0.05
) -> list[TicketEvent]:
    """The events of a helpdesk that was open for ``lasting_s`` before ``until_us``."""
    settings = Simulation(
        base_url="http://127.0.0.1:9",
        secret="unused",
        seed=seed,
        rate=rate,
        duration_s=lasting_s,
        day_s=None,
        duplicates=duplicates,
        out_of_order=out_of_order,
        first_ticket=1,
    )
    begins_us = until_us - int(lasting_s * SECOND_US)
    events: list[TicketEvent] = []
    for delivered in plan(story(settings, begins_us), settings):
        delivery = Delivery(
            source="zendesk",
            vendor="zendesk",
            headers={},
            body=delivered.webhook.body,
            received_at=to_datetime(delivered.at_us),
        )
        events += normalise(delivery, SETTINGS)
    return events
