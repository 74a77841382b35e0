"""The configured sources, checked and ready to verify with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.config.document import ConfigInvalid, Document, Source
from services.ingest.address import Network, networks
from services.ingest.delivery import SourceSettings
from services.ingest.normalise import VENDORS, options_problem
from services.ingest.verify import WAYS, Scheme, chosen, secret_problem

COME_AGAIN: Final = frozenset({("hubspot", None), ("jira", None), ("salesforce", "soap"), ("zendesk", None)})
"""Vendors, or one of their ways, whose webhooks come again after an outage when they are told to, by their own word:
HubSpot for 24 hours, Salesforce's Outbound Messages for 24 hours, Jira for half an hour, Zendesk when ``Retry-After``
is below a minute. All others are spooled: they come again never (Chatwoot, Zoho Desk, Front's rules, ServiceNow and
Salesforce's flows), for two minutes at most (Zammad, Intercom), nobody says for how long (Freshdesk, FreeScout), or
they switch the webhook off after failures (Gorgias, Help Scout, Front); and of the sender behind ``generic`` and
``cloudevents`` nothing is known."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A source that webhooks can be taken for. ``public_url`` is empty where no signature covers the address;
    ``raw_apart`` says that its raw webhooks have a topic of their own; ``spools`` that webhooks are kept on disk and
    accepted while Kafka is away."""

    name: str
    vendor: str
    scheme: Scheme
    secrets: tuple[str, ...]
    tolerance_s: int
    keep_raw: bool
    raw_apart: bool
    settings: SourceSettings
    public_url: str
    allow_from: tuple[Network, ...]
    max_per_s: int
    max_concurrent: int
    spools: bool


def ready(document: Document) -> dict[str, Ready]:
    """Every source by name. Raises :class:`ConfigInvalid` with a line for each thing that cannot work.

    Customers' pseudonyms are keyed with ``hash_key``, or with the first secret where there is none: set a
    ``hash_key`` before rotating secrets, or a customer gets a new pseudonym that day.
    """
    if lines := problems(document):
        raise ConfigInvalid(lines)
    return {name: _ready(name, source) for name, source in document.sources.items()}


def problems(document: Document) -> list[str]:
    """What ingest cannot work with, one line each: unknown vendors, ways to authenticate that a vendor does not
    have, unusable secrets, wrong options."""
    lines = []
    for name, source in document.sources.items():
        where = f"sources.{name}"
        if source.vendor not in VENDORS or source.vendor not in WAYS:
            lines.append(f"{where}.vendor: '{source.vendor}' is not supported (there is: {', '.join(VENDORS)})")
            continue
        lines += [f"{where}.{problem}" for problem in _problems(source)]
    return lines


def _problems(source: Source) -> list[str]:
    try:
        way = chosen(source.vendor, source.options)
    except ValueError as exc:
        return [f"options.{line}" for line in str(exc).split("\n")]
    lines = []
    for place, secret in enumerate(source.secrets):
        if problem := secret_problem(source.vendor, secret.get_secret_value(), way.scheme):
            lines.append(f"secrets[{place}]: {problem}")
    if problem := options_problem(source.vendor, way.rest):
        lines.append(f"options: {problem}")
    return lines


def _ready(name: str, source: Source) -> Ready:
    secrets = tuple(secret.get_secret_value() for secret in source.secrets)
    hash_key = source.hash_key.get_secret_value() if source.hash_key is not None else secrets[0]
    way = chosen(source.vendor, source.options)
    return Ready(
        name=name,
        vendor=source.vendor,
        scheme=way.scheme,
        secrets=secrets,
        tolerance_s=source.tolerance_s,
        keep_raw=source.keep_raw,
        raw_apart=source.raw_retention is not None,
        settings=SourceSettings(hash_key.encode(), way.rest, frozenset(source.keep), source.max_depth),
        public_url=way.public_url,
        allow_from=networks(source.allow_from),
        max_per_s=source.max_per_s,
        max_concurrent=source.max_concurrent,
        spools=_comes_not_again(source.vendor, way.way) if source.spool == "auto" else source.spool,
    )


def _comes_not_again(vendor: str, way: str) -> bool:
    return not {(vendor, None), (vendor, way)} & COME_AGAIN
