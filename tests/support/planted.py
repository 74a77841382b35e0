"""Payloads in which everything that may be personal is a mark, so that it is seen wherever it comes out."""

from __future__ import annotations

from typing import Any, Final

# Keys under which vendors write what a person wrote, is called or can be reached at, wherever they stand.
TEXTS: Final = {
    *("body", "body_text", "stripped_text", "content", "text", "comment", "comments", "summary", "preview"),
    *("subject", "title", "description", "short_description", "blurb", "plain_body", "html_body", "work_notes"),
    *("ticket_subject", "ticket_description", "_default_title_", "_default_description_", "Subject", "Description"),
    *("email", "emailAddress", "handle", "ticket_requester_email", "requester_email", "customer_email", "Email"),
    *("displayName", "firstName", "lastName", "first_name", "last_name", "firstname", "lastname", "username"),
    *("requester_name", "TextBody", "CommentBody", "SuppliedName", "SuppliedEmail", "first", "last"),
}
PEOPLE: Final = ("sender", "customer", "user", "author", "actor", "commenter", "assignee_user", "contact", "recipient")


def planted(value: Any, mark: str, key: str = "") -> Any:
    """``value`` with every text that may be personal replaced by ``mark``."""
    if isinstance(value, dict):
        # An old Jira has no ids: there the name of an account is one.
        named = {"name"} if key in PEOPLE and "id" in value else set()
        return {
            name: mark if _personal(name, text, named) else planted(text, mark, name) for name, text in value.items()
        }
    if isinstance(value, list):
        return [planted(inner, mark, key) for inner in value]
    return value


def _personal(name: str, text: Any, named: set[str]) -> bool:
    # The envelope of Zendesk calls the ticket itself its subject.
    return name in TEXTS | named and isinstance(text, str) and text != "" and not text.startswith("zen:")
