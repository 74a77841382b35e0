"""The configured sources, checked and ready to verify with."""

from __future__ import annotations

from dataclasses import dataclass

from services.config.document import ConfigInvalid, Document, Source
from services.ingest.delivery import SourceSettings
from services.ingest.normalise import VENDORS, options_problem
from services.ingest.verify import SCHEMES, Scheme, secret_problem


@dataclass(frozen=True, slots=True)
class Ready:
    """A source that webhooks can be taken for."""

    name: str
    vendor: str
    scheme: Scheme
    secrets: tuple[str, ...]
    tolerance_s: int
    keep_raw: bool
    settings: SourceSettings


def ready(document: Document) -> dict[str, Ready]:
    """Every source by name. Raises :class:`ConfigInvalid` with a line for each thing that cannot work.

    Customers' pseudonyms are keyed with ``hash_key``, or with the first secret where there is none: set a
    ``hash_key`` before rotating secrets, or a customer gets a new pseudonym that day.
    """
    if lines := problems(document):
        raise ConfigInvalid(lines)
    return {name: _ready(name, source) for name, source in document.sources.items()}


def problems(document: Document) -> list[str]:
    """What ingest cannot work with, one line each: unknown vendors, unusable secrets, wrong options."""
    lines = []
    for name, source in document.sources.items():
        where = f"sources.{name}"
        if source.vendor not in VENDORS:
            lines.append(f"{where}.vendor: '{source.vendor}' is not supported (there is: {', '.join(VENDORS)})")
            continue
        for place, secret in enumerate(source.secrets):
            if problem := secret_problem(source.vendor, secret.get_secret_value()):
                lines.append(f"{where}.secrets[{place}]: {problem}")
        if problem := options_problem(source.vendor, source.options):
            lines.append(f"{where}.options: {problem}")
    return lines


def _ready(name: str, source: Source) -> Ready:
    secrets = tuple(secret.get_secret_value() for secret in source.secrets)
    hash_key = source.hash_key.get_secret_value() if source.hash_key is not None else secrets[0]
    return Ready(
        name=name,
        vendor=source.vendor,
        scheme=SCHEMES[source.vendor],
        secrets=secrets,
        tolerance_s=source.tolerance_s,
        keep_raw=source.keep_raw,
        settings=SourceSettings(hash_key.encode(), source.options),
    )
