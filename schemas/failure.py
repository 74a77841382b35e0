"""The two failure words of the house. Anything else that is raised is a bug and ends the process loudly."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why input was refused. A closed set: metric label, dead-letter header, API value and runbook anchor."""

    NOT_JSON = "not_json"
    NOT_AN_EVENT = "not_an_event"
    MISSING_FIELD = "missing_field"
    BAD_VALUE = "bad_value"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNRENDERED_TEMPLATE = "unrendered_template"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    TOO_LATE = "too_late"


class Invalid(Exception):
    """This input can never be processed: keep its bytes in the dead-letter topic and go on.

    ``detail`` names the field and what would be right. It never quotes message text or a secret.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class NotNow(Exception):
    """A dependency is away: keep the position, wait ``retry_after_s`` seconds and try the same again."""

    def __init__(self, what: str, retry_after_s: float = 1.0) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after_s = retry_after_s
