"""Salesforce outbound messages: SOAP, at most a hundred notifications in one, read by a parser that trusts nobody.

https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm. The body carries a
session id and endpoints besides; neither is read. A document type, an entity or a reference to another document is
never part of such a message, so there none is resolved: the message is refused.
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from schemas.failure import Invalid, Reason

_OUTBOUND: Final = "{http://soap.sforce.com/2005/09/outbound}"
_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_DEEPEST: Final = 32
_MOST: Final = 100


class Notification(msgspec.Struct, frozen=True):
    """One notification: its id, the kind of its record (``Case``), and the record's fields as text."""

    id: str | None
    entity: str
    record: dict[str, str | None]


class Message(msgspec.Struct, frozen=True):
    """An outbound message: the action that sent it, and its notifications."""

    action: str | None
    notifications: tuple[Notification, ...]


def read(body: bytes) -> Message:
    """The message in ``body``. Raises :class:`Invalid`."""
    found = _root(body).find(f".//{_OUTBOUND}notifications")
    if found is None:
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "the XML is not an outbound message of Salesforce (notifications)")
    notifications = found.findall(f"{_OUTBOUND}Notification")
    if not 1 <= len(notifications) <= _MOST:
        raise Invalid(Reason.BAD_VALUE, f"an outbound message has 1 to {_MOST} notifications")
    action = found.findtext(f"{_OUTBOUND}ActionId")
    return Message(action, tuple(_notification(one) for one in notifications))


class _Shallow(TreeBuilder):
    """Builds no tree that is deeper than any outbound message."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Invalid(Reason.TOO_DEEP, "the XML is nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def _root(body: bytes) -> Element:
    parser = DefusedXMLParser(target=_Shallow(), forbid_dtd=True)
    try:
        parser.feed(body)
        root: Element = parser.close()
    except DefusedXmlException:
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "the XML has a document type or entities: it is not read") from None
    except (ParseError, ValueError, LookupError):
        raise Invalid(Reason.NOT_AN_EVENT, "the body is not well-formed XML") from None
    return root


def _notification(element: Element) -> Notification:
    record = next((child for child in element if _local(child.tag) == "sObject"), None)
    if record is None:
        return Notification(element.findtext(f"{_OUTBOUND}Id"), "", {})
    fields = {_local(child.tag): None if child.get(_NIL) in ("true", "1") else child.text for child in record}
    return Notification(element.findtext(f"{_OUTBOUND}Id"), record.get(_TYPE, "").rpartition(":")[2], fields)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
