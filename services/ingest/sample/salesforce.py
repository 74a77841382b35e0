"""Salesforce: a flow's callout, and for sources that take them, Outbound Messages."""

from __future__ import annotations

from typing import Any, Final

from services.ingest.sample.case import SUBJECT, Case, Maker, Post, Sample, posted

_SHORT: Final = 12
"""Digits of the number that fit into an id of 15 characters behind the three of its type; the last ones differ."""
_ENVELOPE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
    '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{organization}</OrganizationId>'
    "<ActionId>04k000000000001AAA</ActionId><Notification><Id>04l{short}AAA</Id>"
    '<sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{fields}</sObject>'
    "</Notification></notifications></soapenv:Body></soapenv:Envelope>"
)


def flow(case: Case) -> Sample:
    """``case_created`` and ``case_deleted``."""
    return Sample(
        posted({"eventType": "case_created", "objectType": "Case", "record": _record(case, case.opened)}),
        posted({"eventType": "case_deleted", "objectType": "Case", "record": _record(case, case.sent)}),
    )


def soap(organization: str) -> Maker:
    """An Outbound Message of ``organization``; there is none of a deletion."""

    def made(case: Case) -> Sample:
        fields = {name: str(value) for name, value in _record(case, case.opened).items()}
        text = "".join(f"<sf:{name}>{value}</sf:{name}>" for name, value in fields.items())
        body = _ENVELOPE.format(organization=organization, short=_short(case), fields=text)
        return Sample(Post(body.encode(), {"content-type": "text/xml; charset=UTF-8", "soapaction": '""'}), None)

    return made


def _record(case: Case, modified: str) -> dict[str, Any]:
    return {
        "Id": f"500{_short(case)}",
        "CaseNumber": str(case.number),
        "Subject": SUBJECT,
        "Status": "New",
        "Priority": "High",
        "Origin": "Email",
        "IsClosed": "false",
        "CreatedDate": case.opened,
        "LastModifiedDate": modified,
    }


def _short(case: Case) -> str:
    return str(case.number)[-_SHORT:]
