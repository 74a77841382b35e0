"""What each helpdesk must be told, and how: its greetings, its acknowledgements, and when to come back.

Never 410: Zoho Desk and Intercom end a subscription on it. Always exactly 200 for what is taken: Zoho Desk takes
any other success for a failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from starlette.responses import JSONResponse, Response

from services.ingest.delivery import Delivery
from services.ingest.intake import Receipt
from services.ingest.measures import Fate
from services.ingest.verify import says_nothing

LONGEST_WAIT_S: Final = 59
"""Zendesk tries again only when ``Retry-After`` is below 60."""

_LONGEST_CHALLENGE: Final = 512

ACK: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)
"""Salesforce sends an Outbound Message again, for a day, until it reads this."""


@dataclass(frozen=True, slots=True)
class Overload:
    """How a vendor is told that nothing was taken and that it should come back."""

    status: int = 503
    units_per_s: int = 1


_OVERLOADS: Final[Mapping[str, Overload]] = {
    "hubspot": Overload(429, units_per_s=1000),  # reads Retry-After as milliseconds
    "intercom": Overload(429),  # throttles itself on 429; other errors count towards suspending the webhook
}


def overload(vendor: str, wait_s: float, status: int | None = None) -> tuple[int, dict[str, str]]:
    """The status and the headers that make ``vendor`` come back after about ``wait_s``; below a minute."""
    way = _OVERLOADS.get(vendor, Overload())
    wait = min(LONGEST_WAIT_S, max(1, math.ceil(wait_s)))
    return status or way.status, {"retry-after": str(wait * way.units_per_s)}


def greeting(delivery: Delivery) -> Response | None:
    """The answer to a proved request that only asks whether we are there; ``None`` for a real delivery."""
    match delivery.vendor:
        case "front":
            challenge = delivery.headers.get("x-front-challenge", "")
            if 0 < len(challenge) <= _LONGEST_CHALLENGE:
                return JSONResponse({"challenge": challenge})
        case "intercom" if b'"ping"' in delivery.body and _topic(delivery.body) == "ping":
            return JSONResponse({"pong": True})
        case "zoho_desk" if says_nothing(delivery.body):
            return JSONResponse({"accepted": 0})
        case _:
            pass
    return None


def taken(delivery: Delivery, receipt: Receipt) -> Response:
    """The answer to a delivery that Kafka has."""
    if delivery.vendor == "salesforce" and delivery.body.lstrip()[:1] == b"<":
        return Response(ACK, media_type="text/xml")
    if receipt.failure is None and receipt.fate is not Fate.NOTHING_TO_SAY:
        return _plain(receipt.accepted, receipt.duplicates)
    return JSONResponse(_said(receipt))


@lru_cache(maxsize=64)
def _plain(accepted: int, duplicates: int) -> Response:
    """The same answer again and again: nearly every webhook is one event."""
    return JSONResponse(_said(Receipt(Fate.ACCEPTED, accepted, duplicates)))


def _said(receipt: Receipt) -> dict[str, Any]:
    said: dict[str, Any] = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "dead_lettered": 0}
    if receipt.failure is not None:
        said |= {"dead_lettered": 1, "reason": receipt.failure.reason.value, "detail": receipt.failure.detail}
    elif receipt.fate is Fate.NOTHING_TO_SAY:
        said["note"] = "Nothing in this webhook concerns a number that is kept."
    return said


def _topic(body: bytes) -> Any:
    try:
        notification = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return notification.get("topic") if isinstance(notification, dict) else None
