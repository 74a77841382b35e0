"""Vendor payloads to canonical events: one pure function for each vendor, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import (
    chatwoot,
    cloudevents,
    freescout,
    freshdesk,
    front,
    generic,
    gorgias,
    helpscout,
    hubspot,
    intercom,
    jira,
    salesforce,
    servicenow,
    zammad,
    zendesk,
    zoho_desk,
)
from services.ingest.normalise.batch import PartlyInvalid
from services.ingest.normalise.personal import filtered
from services.ingest.normalise.teams import renamed


@dataclass(frozen=True, slots=True)
class Vendor:
    """How one vendor's payloads are read, and which ``options`` its sources take."""

    normalise: Callable[[Delivery, SourceSettings], list[TicketEvent]]
    options: type[msgspec.Struct]


VENDORS: Final[Mapping[str, Vendor]] = {
    "chatwoot": Vendor(chatwoot.normalise, chatwoot.Options),
    "cloudevents": Vendor(cloudevents.normalise, cloudevents.Options),
    "freescout": Vendor(freescout.normalise, freescout.Options),
    "freshdesk": Vendor(freshdesk.normalise, freshdesk.Options),
    "front": Vendor(front.normalise, front.Options),
    "generic": Vendor(generic.normalise, generic.Options),
    "gorgias": Vendor(gorgias.normalise, gorgias.Options),
    "helpscout": Vendor(helpscout.normalise, helpscout.Options),
    "hubspot": Vendor(hubspot.normalise, hubspot.Options),
    "intercom": Vendor(intercom.normalise, intercom.Options),
    "jira": Vendor(jira.normalise, jira.Options),
    "salesforce": Vendor(salesforce.normalise, salesforce.Options),
    "servicenow": Vendor(servicenow.normalise, servicenow.Options),
    "zammad": Vendor(zammad.normalise, zammad.Options),
    "zendesk": Vendor(zendesk.normalise, zendesk.Options),
    "zoho_desk": Vendor(zoho_desk.normalise, zoho_desk.Options),
}
"""By the name that ``vendor`` has in the configuration."""


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events that ``delivery`` tells of; none when it tells nothing that a KPI is made of.

    Pure: the same delivery gives the same events, with the same ids. What of a person stands in them is what the
    source is configured to keep. Raises :class:`Invalid` with the reason when it cannot be understood; ``NOT_JSON`` is
    the one reason for which the sender is answered an error.
    """
    try:
        return _as_configured(VENDORS[delivery.vendor].normalise(delivery, settings), settings)
    except PartlyInvalid as partly:
        partly.events = tuple(_as_configured(partly.events, settings))
        raise


def _as_configured(events: Sequence[TicketEvent], settings: SourceSettings) -> list[TicketEvent]:
    """What is the same for all vendors: no more of a person than is kept, and the site's names of teams."""
    kept = filtered(events, settings.keep)
    teams = settings.options.get("teams")
    return renamed(kept, teams) if teams else kept


def options_problem(vendor: str, options: Mapping[str, Any]) -> str | None:
    """What is wrong with a source's ``options``, as one sentence; ``None`` when they can be used."""
    try:
        msgspec.convert(dict(options), VENDORS[vendor].options)
    except msgspec.ValidationError as exc:
        return str(exc)
    return None
