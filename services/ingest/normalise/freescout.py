"""FreeScout: webhooks of its module "API & Webhooks", which mimic those of Help Scout.

https://freescout.net/module/api-webhooks/. A conversation has ``customer`` where Help Scout has ``primaryCustomer``.
"""

from __future__ import annotations

from typing import Final

from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import scout
from services.ingest.normalise.scout import Options as Options

BRAND: Final = scout.Brand(
    name="FreeScout",
    guide="docs/guides/connect-freescout.md",
    event_header="x-freescout-event",
    customer_field="customer",
    test_event="freescout.test",
)


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The event of a FreeScout webhook. Raises :class:`Invalid`."""
    return scout.events(BRAND, delivery, settings)
