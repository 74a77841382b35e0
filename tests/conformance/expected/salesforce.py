"""What Salesforce's change events and a flow's callout mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "cdc_case_owner_changed_min.json": [
        {
            "kind": "assignment.changed",
            "ticket_id": "500X",
            "assignment": {"agent": None, "team": "00G000000000QUEEA2"},
        }
    ],
    "cdc_doc_account_create.json": [],
    "cdc_case_status_update.json": [
        {
            "kind": "status.changed",
            "ticket_id": "5005e00000A1b2CAAR",
            "occurred_at": "2024-02-25T02:44:11Z",
            "status": {"to": "closed"},
        }
    ],
    "flow_case_status_changed.json": [
        {
            "kind": "status.changed",
            "ticket_id": "5005e00000A1b2CAAR",
            "occurred_at": "2024-02-25T02:44:11Z",
            "status": {"to": "closed", "previous": "open"},
            "ticket.priority": "high",
            "ticket.agent": "0055e00000D1e2FAAU",
            "ticket.organisation": "0015e00000B1c2DAAS",
        }
    ],
}
REFUSED: dict[str, str] = {}
