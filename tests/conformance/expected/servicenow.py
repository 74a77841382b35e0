"""What the bodies of ServiceNow's business rules mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "business_rule_recommended.json": [
        {
            "kind": "status.changed",
            "ticket_id": "26d1744d47603110d737cd9bd36d436b",
            "occurred_at": "2023-08-07T11:20:01Z",
            "sequence": 7,
            "status": {"to": "solved", "previous": "open"},
            "ticket.created_at": "2023-08-07T10:59:39Z",
        },
        {"kind": "priority.changed", "priority": {"to": "high", "previous": "normal"}},
        {
            "kind": "assignment.changed",
            "assignment": {"agent": "46d44a23a9fe19810012d100cca80666"},
            "ticket.team": "d625dccec0a8016700a222a0f7900d06",
        },
    ],
}
REFUSED = {"business_rule_incident_created_min.json": "unsupported_format"}
