"""Samples of every vendor's webhooks: a ticket that is opened, and taken out again. Pure.

They go through the same door, signature and normaliser as the vendor's own; what a source's configuration says about
its vendor's payloads (a time zone, an organisation) is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.ingest.sample import (
    chatwoot,
    cloudevents,
    freshdesk,
    front,
    generic,
    gorgias,
    hubspot,
    intercom,
    jira,
    salesforce,
    scout,
    servicenow,
    zammad,
    zendesk,
    zoho_desk,
)
from services.ingest.sample.case import SUBJECT, TAG, Case, Maker, Post, Sample

__all__ = ["SAMPLES", "SUBJECT", "TAG", "Case", "Maker", "Post", "Sample", "samples"]

SAMPLES: Final[Mapping[str, Mapping[str, Maker]]] = {
    "chatwoot": {"created": chatwoot.created},
    "cloudevents": {"created": cloudevents.created},
    "freescout": {"created": scout.created("freescout")},
    "freshdesk": {"created": freshdesk.created},
    "front": {"created": front.created},
    "generic": {"created": generic.created},
    "gorgias": {"created": gorgias.created},
    "helpscout": {"created": scout.created("helpscout")},
    "hubspot": {"created": hubspot.created},
    "intercom": {"created": intercom.created},
    "jira": {"created": jira.created},
    "salesforce": {"flow": salesforce.flow},
    "servicenow": {"created": servicenow.created("UTC")},
    "zammad": {"created": zammad.created},
    "zendesk": {"event": zendesk.event, "trigger": zendesk.trigger},
    "zoho_desk": {"created": zoho_desk.created},
}
"""By the name that ``vendor`` has in the configuration, then by the sample's own; the first is taken when nothing is
said."""


def samples(vendor: str, options: Mapping[str, Any]) -> Mapping[str, Maker]:
    """Those that fit a source with these ``options``, the one to take first."""
    if vendor == "salesforce" and options.get("auth") == "soap":
        return {"soap": salesforce.soap(str(options["organization_id"]))}
    if vendor == "servicenow":
        return {"created": servicenow.created(options.get("timezone", "UTC"))}
    return SAMPLES[vendor]
