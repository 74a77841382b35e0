"""Zammad: its own payload, sent by the triggers of the guide."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, TAG, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """A customer's new ticket, and the same in the state that counts as deleted."""
    return Sample(_told(case, "new", case.opened, 1), _told(case, "merged", case.sent, 2))


def _told(case: Case, state: str, updated: str, messages: int) -> Post:
    customer: dict[str, Any] = {"id": case.number, "active": True, "roles": ["Customer"], "vip": False}
    opened = {
        "id": case.number,
        "ticket_id": case.number,
        "internal": False,
        "sender": "Customer",
        "type": "email",
        "created_at": case.opened,
        "created_by_id": case.number,
        "origin_by_id": case.number,
    }
    ticket = {
        "id": case.number,
        "number": str(case.number),
        "title": SUBJECT,
        "state": state,
        "priority": {"id": 3, "name": "3 high"},
        "owner": {"id": 1, "login": "-"},
        "owner_id": 1,
        "customer": customer,
        "customer_id": case.number,
        "group": None,
        "created_at": case.opened,
        "updated_at": updated,
        "article_ids": list(range(messages)),
        "article_count": messages,
        "create_article_sender": "Customer",
        "create_article_type": "email",
        "created_by_id": case.number,
        "updated_by_id": case.number,
        "tags": [TAG],
    }
    trigger = "created" if state == "new" else "merged"
    return posted(
        {"ticket": ticket, "article": opened}, x_zammad_trigger=trigger, x_zammad_delivery=f"{case.name}-{state}"
    )
