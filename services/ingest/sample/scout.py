"""Help Scout, and FreeScout, which posts the same under names of its own."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, TAG, Case, Maker, Sample, posted


def created(vendor: str) -> Maker:
    """``convo.created`` and ``convo.deleted`` of ``vendor``."""
    header = f"x_{vendor}_event"

    def made(case: Case) -> Sample:
        return Sample(
            posted(_conversation(case), **{header: "convo.created"}),
            posted({"id": case.number}, **{header: "convo.deleted"}),
        )

    return made


def _conversation(case: Case) -> dict[str, Any]:
    customer = {"id": case.number, "type": "customer"}
    return {
        "id": case.number,
        "number": case.number,
        "type": "email",
        "status": "active",
        "state": "published",
        "subject": SUBJECT,
        "createdAt": case.opened,
        "userUpdatedAt": case.opened,
        "updatedAt": case.opened,
        "createdBy": customer,
        "customer": customer,
        "primaryCustomer": customer,
        "source": {"type": "email", "via": "customer"},
        "tags": [{"id": 1, "tag": TAG}],
        "_embedded": {"threads": []},
    }
