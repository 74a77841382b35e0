"""What ``/v1/oncall`` and ``deskpulse oncall`` answer."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from schemas.instant import to_datetime, to_rfc3339
from services.alerts.oncall import Duty, Roster


def shown(roster: Roster, schedule: str, at_us: int) -> dict[str, Any]:
    """Who is on call by ``schedule``, until when, how they are reached, and who is next. ``receivers`` is never empty:
    it is what alerts would go to. ``until`` is ``null`` when nothing changes within a year."""
    until_us = roster.changes_us(schedule, at_us)
    zone = ZoneInfo(roster.schedules[schedule].timezone)
    following = roster.duty(schedule, until_us) if until_us is not None else None
    return {
        "schedule": schedule,
        "timezone": zone.key,
        **_said(roster.duty(schedule, at_us)),
        "receivers": list(roster.reached_by(schedule, at_us)),
        "until": to_rfc3339(until_us) if until_us is not None else None,
        "until_local": to_datetime(until_us).astimezone(zone).isoformat() if until_us is not None else None,
        "next": _said(following) if following is not None else None,
    }


def _said(duty: Duty) -> dict[str, str | None]:
    return {"person": duty.person, "source": duty.source.value, "instead_of": duty.instead_of}
