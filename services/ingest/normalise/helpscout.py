"""Help Scout: webhooks of conversations and ratings, payload version 2.

https://developer.helpscout.com/webhooks/. Help Scout has no priorities. A conversation marked as spam counts as
deleted; ``Great`` is a satisfied customer, ``Okay`` and ``Not Good`` are not.
"""

from __future__ import annotations

from typing import Final

from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import scout
from services.ingest.normalise.scout import Options as Options

BRAND: Final = scout.Brand(
    name="Help Scout",
    guide="docs/guides/connect-helpscout.md",
    event_header="x-helpscout-event",
    customer_field="primaryCustomer",
    test_event="helpscout.test",
)


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The event of a Help Scout webhook. Raises :class:`Invalid`."""
    return scout.events(BRAND, delivery, settings)
