"""ServiceNow, by the business rule of the guide."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from schemas.instant import to_datetime
from services.ingest.sample.case import SUBJECT, Case, Maker, Post, Sample, posted


def created(timezone: str) -> Maker:
    """An incident inserted and deleted, in an instance whose times are in ``timezone``."""
    zone = ZoneInfo(timezone)

    def made(case: Case) -> Sample:
        return Sample(
            _told(case, "insert", 0, to_datetime(case.opened_us), zone),
            _told(case, "delete", 1, to_datetime(case.sent_us), zone),
        )

    return made


def _told(case: Case, event: str, version: int, at: datetime, zone: tzinfo) -> Post:
    written = f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    opened = f"{to_datetime(case.opened_us).astimezone(zone):%Y-%m-%d %H:%M:%S}"
    sys_id = f"{case.number:032d}"
    current: dict[str, Any] = {
        "state": "1",
        "priority": "1",
        "assigned_to": "",
        "assignment_group": "",
        "caller_id": "deskpulse-test",
        "contact_type": "email",
        "short_description": SUBJECT,
        "opened_at": opened,
        "company": "",
    }
    return posted(
        {
            "event_id": f"{sys_id}:{version}",
            "event": event,
            "table": "incident",
            "sys_id": sys_id,
            "number": f"INC{case.number}",
            "sys_mod_count": str(version),
            "sys_updated_on": written,
            "sys_updated_by": "deskpulse-test",
            "user_id": "deskpulse-test",
            "user_is_agent": "false",
            "current": current,
            "previous": {},
        }
    )
