"""What answers look like, for the OpenAPI document, where the route does not say so itself."""

from __future__ import annotations

from typing import Any, Final

_AS_OF: Final = "2026-03-02T10:30:00Z"
_ALERT_ID: Final = "40f27845-c351-53c3-9d32-29e49c30557a"
_DELIVERY: Final[dict[str, Any]] = {
    "delivery_id": "c698fed2-3bb5-5580-a6c3-ef0828a4c972",
    "receiver": "oncall",
    "alert_id": _ALERT_ID,
    "event_id": "39357038-8b48-59eb-a852-9a41334f6a47",
    "transition": "breached",
    "kind": "alert",
    "state": "pending",
    "attempts": 1,
    "problem": "status_503",
    "digest_id": None,
    "held": False,
    "created_at": "2026-03-02T10:30:00.3Z",
    "next_attempt_at": "2026-03-02T10:30:05.3Z",
}
_RULE: Final[dict[str, Any]] = {
    "name": "full",
    "origin": "api",
    "changeable": True,
    "version": "a9279db0a7c3e304",
    "rule": {"name": "full", "type": "threshold", "kpi": "backlog", "above": 40.0, "for": "10m", "by": ["team"]},
    "every_s": 30,
    "problems": [],
}
_STANDING: Final[dict[str, Any]] = {
    "segment": "team:billing",
    "phase": "pending",
    "why": "beyond",
    "value": 46.0,
    "baseline": None,
    "detail": "46 tickets are open, above 40.",
    "bad_since": "2026-03-02T10:24:00Z",
    "at": "2026-03-02T10:29:30Z",
}
_RECOMPUTE: Final[dict[str, Any]] = {
    "id": "15b62b80510a4464",
    "asked_at": _AS_OF,
    "policy": None,
    "of_this_document": True,
    "finished": False,
    "partitions": {"done": 3, "all": 12},
    "tickets_changed": 41,
}
_COVERS: Final[dict[str, Any]] = {
    "count": 1,
    "alerts": [
        {
            "alert_id": _ALERT_ID,
            "title": "First response promise broken: zendesk ticket 5158 (urgent, team billing)",
            "state": "firing",
            "severity": "critical",
        }
    ],
}
_SILENCE: Final[dict[str, Any]] = {
    "silence_id": "9b0d8c7e-0c5e-4b8c-9f0a-0d8f6f4f3f5a",
    "state": "active",
    "match": {"team": ["billing"]},
    "from": _AS_OF,
    "until": "2026-03-02T12:30:00Z",
    "by": "Kim",
    "comment": "The invoice run is being repeated.",
    "created_at": _AS_OF,
    "ended_at": None,
    "ended_by": None,
    "origin": "api",
}
_DEFINITION: Final[dict[str, Any]] = {
    "kpi": "csat",
    "label": "CSAT",
    "summary": "Share of satisfied customers among those who answered.",
    "definition": "Positive answers (good, or 4 and 5 of 5) over all answers, at the time of the answer. …",
    "better": "higher",
    "usual": "ratio",
    "of": "",
    "statistics": {"ratio": "share", "count": "count", "hits": "count"},
}
_TIMER: Final[dict[str, Any]] = {
    "metric": "first_response",
    "cycle": 1,
    "state": "running",
    "policy": "vip",
    "target_s": 900.0,
    "due_at": "2026-03-02T10:45:00Z",
    "due_in_s": 900.0,
    "announced": "quiet",
}
_ABOUT: Final[dict[str, Any]] = {
    "title": "Support",
    "team": None,
    "channel": None,
    "teams": ["billing", "technical"],
    "channels": ["chat", "email"],
    "windows": ["15m", "1h", "24h", "7d", "28d"],
}

ANSWERS: Final[dict[tuple[str, str], Any]] = {
    ("GET", "/v1/kpis/{kpi}"): {
        "as_of": _AS_OF,
        "kpi": "first_response_time",
        "window": "1h",
        "by": "team",
        "rows": [
            {
                "segment": "team:billing",
                "values": {"team": "billing"},
                "count": 12,
                "mean_s": 840.2,
                "p50_s": 611.0,
                "p90_s": 1804.3,
                "p95_s": 2400.1,
            }
        ],
        "next_cursor": None,
    },
    ("GET", "/v1/kpis/{kpi}/series"): {
        "as_of": _AS_OF,
        "kpi": "backlog",
        "window": "24h",
        "step": "1h",
        "segment": "all",
        "points": [{"at": "2026-03-02T09:00:00Z", "count": 138}, {"at": "2026-03-02T10:00:00Z", "count": 140}],
    },
    ("GET", "/v1/tickets/{source}/{ticket_id}"): {
        "as_of": _AS_OF,
        "source": "zendesk",
        "ticket_id": "5158",
        "status": "open",
        "priority": "urgent",
        "channel": "email",
        "team": "billing",
        "tier": "vip",
        "created_at": "2026-03-02T10:30:00Z",
        "agent_replies": 0,
        "reopens": 0,
        "timers": [_TIMER],
        "timeline": [
            {
                "at": "2026-03-02T10:30:00Z",
                "kind": "ticket.created",
                "event_id": "505d56ce-a9bc-4f98-8f76-457c9c7d8eb5",
                "actor": "customer",
            }
        ],
        "next_cursor": None,
    },
    ("GET", "/v1/alerts/stream"): (
        "event: breached\nid: 1772447400300-0\n"
        f'data: {{"transition":"breached","alert":{{"alert_id":"{_ALERT_ID}","state":"firing"}}}}\n\n'
    ),
    ("GET", "/v1/silences"): {"silences": [_SILENCE]},
    ("POST", "/v1/silences"): {**_SILENCE, "covers": _COVERS},
    ("POST", "/v1/silences/preview"): {"covers": _COVERS},
    ("GET", "/v1/deliveries"): {"deliveries": [_DELIVERY], "next_cursor": None, "disabled_receivers": {}},
    ("GET", "/v1/deliveries/{delivery_id}"): _DELIVERY,
    ("POST", "/v1/deliveries/{delivery_id}/resend"): {**_DELIVERY, "attempts": 0, "problem": None},
    ("GET", "/v1/receivers"): {"receivers": [{"name": "oncall", "kind": "webhook", "digest": None, "disabled": None}]},
    ("POST", "/v1/receivers/{name}/enable"): {"name": "oncall", "was_disabled": True},
    ("POST", "/v1/receivers/{name}/test"): {**_DELIVERY, "transition": "test", "kind": "test", "attempts": 0},
    ("GET", "/v1/oncall"): {
        "as_of": _AS_OF,
        "schedules": [
            {"schedule": "support", "person": "ana", "source": "rotation", "instead_of": None, "receivers": ["oncall"]}
        ],
    },
    ("GET", "/v1/forecast/backtest"): {
        "as_of": _AS_OF,
        "segment": "all",
        "method": "profile",
        "reason": "better_than_last_week",
        "said": "…",
        "known_days": 34,
        "backtest": {"origins": 14, "hours": 1176, "better": True},
    },
    ("GET", "/v1/rules"): {"rules": [_RULE]},
    ("POST", "/v1/rules/test"): {
        "rule": "full",
        "from": "2026-02-23T10:30:00Z",
        "to": _AS_OF,
        "looked_every_s": 300,
        "judged_live_every_s": 30,
        "looks": 2017,
        "segments": 4,
        "segments_left_out": 0,
        "unknown_share": 0.0,
        "held_back": 0,
        "alerts": [],
    },
    ("GET", "/v1/rules/{name}"): {**_RULE, "standing": [_STANDING]},
    ("PUT", "/v1/rules/{name}"): _RULE,
    ("GET", "/v1/policies/recompute"): _RECOMPUTE,
    ("POST", "/v1/policies/recompute"): _RECOMPUTE,
    ("GET", "/v1/policies"): {
        "policies": [
            {
                "name": "vip",
                "match": {"tier": ["vip"]},
                "calendar": "support",
                "warn_at": ["50%", "75%", "90%"],
                "targets": {"first_response": {"urgent": "15m", "*": "4h"}},
                "pause_on": {},
                "next_response_from": "first_reply",
            }
        ]
    },
    ("GET", "/v1/sources"): {
        "sources": [
            {
                "name": "zendesk",
                "vendor": "zendesk",
                "path": "/webhooks/zendesk",
                "tolerance_s": 300,
                "keep_raw": True,
                "ticket_url": "https://example.zendesk.com/agent/tickets/{ticket_id}",
                "secrets": 1,
            }
        ]
    },
    ("GET", "/v1/definitions"): {"definitions": [_DEFINITION]},
    ("GET", "/v1/definitions/{kpi}"): _DEFINITION,
    ("GET", "/v1/reports"): {
        "as_of": _AS_OF,
        "reports": [{"name": "weekly", "leader": "ana", "to": "oncall", "when": "weekly", "timezone": "Europe/Paris"}],
    },
    ("GET", "/v1/board"): {
        "about": _ABOUT,
        "timers": {"at_risk": {"timers": [], "more": False}, "breached": {"timers": [], "more": False}},
        "alerts": {"alerts": [], "more": False, "wins": []},
    },
    ("GET", "/v1/board/about"): _ABOUT,
    ("GET", "/v1/board/stream"): 'event: beat\ndata: {"as_of":"2026-03-02T10:30:00Z"}\n\n',
    ("GET", "/livez"): {"status": "ok"},
    ("GET", "/readyz"): {"status": "ok"},
    ("GET", "/metrics"): "# TYPE deskpulse_api_refused_total counter\n",
}
