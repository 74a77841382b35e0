"""The topics, as data: names for code, and what ``schemas/topics/*.yaml`` says about each of them."""

from __future__ import annotations

from typing import Final

TICKETS: Final = "helpdesk.tickets.v1"
TICKETS_DLQ: Final = "helpdesk.tickets.v1.dlq"
WEBHOOKS: Final = "helpdesk.webhooks.v1"
SLA: Final = "helpdesk.sla.v1"
ALERTS: Final = "helpdesk.alerts.v1"
