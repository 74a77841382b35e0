"""What reading any vendor's delivery begins with: the JSON in its body, and the source's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from schemas.failure import Invalid, Reason
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.fields import Object, json_of

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class Context(Generic[Options]):
    """What reading any part of a delivery needs. ``options`` are the vendor's own."""

    delivery: Delivery
    hash_key: bytes
    options: Options


def context(delivery: Delivery, settings: SourceSettings, options: type[Options]) -> Context[Options]:
    """The context of ``delivery``; the options were checked when the service started."""
    return Context(delivery, settings.hash_key, options_of(settings, options))


def options_of(settings: SourceSettings, options: type[Options]) -> Options:
    """The source's options as the vendor's record of them."""
    return msgspec.convert(dict(settings.options), options)


def json_value(delivery: Delivery, settings: SourceSettings) -> Any:
    """The JSON in the body. Raises :class:`Invalid`: NOT_JSON, or TOO_DEEP beyond what the source allows."""
    return json_of(delivery.body, settings.max_depth)


def json_object(delivery: Delivery, settings: SourceSettings, what: str) -> Object:
    """The JSON object in the body. Raises :class:`Invalid`, for anything else that JSON can be saying that ``what``
    (``a Zendesk webhook``) is an object."""
    body = json_value(delivery, settings)
    if not isinstance(body, dict):
        raise Invalid(Reason.NOT_AN_EVENT, f"{what} is a JSON object")
    return body
