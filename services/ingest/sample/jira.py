"""Jira Service Management."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, TAG, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """``jira:issue_created`` by a customer, and ``jira:issue_deleted``."""
    return Sample(
        _told(case, "created", case.opened_us // 1000),
        _told(case, "deleted", case.sent_us // 1000),
    )


def _told(case: Case, what: str, at_ms: int) -> Post:
    customer: dict[str, Any] = {"accountId": f"qm:{case.name}", "accountType": "customer", "active": True}
    issue = {
        "id": str(case.number),
        "key": f"DPTEST-{case.number}",
        "fields": {
            "summary": SUBJECT,
            "project": {"id": "0", "key": "DPTEST", "name": SUBJECT},
            "created": case.opened,
            "updated": case.opened,
            "status": {"name": "To Do", "id": "1", "statusCategory": {"id": 1, "key": "new"}},
            "priority": {"name": "Highest", "id": "1"},
            "labels": [TAG],
            "assignee": None,
            "reporter": customer,
            "creator": customer,
        },
    }
    body = {"timestamp": at_ms, "webhookEvent": f"jira:issue_{what}", "user": customer, "issue": issue}
    return posted(body, x_atlassian_webhook_identifier=f"{case.name}-{what}")
