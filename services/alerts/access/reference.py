"""The table of roles as a page, made from the table that is enforced.

python -m services.alerts.access.reference > docs/roles.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from services.alerts.access.etag import Again
from services.alerts.access.table import ROWS, Row
from services.config.access import Role

_MAY: Final = {
    Role.VIEWER: "reads numbers, alerts, tickets and the configuration; no numbers about single agents, unless "
    "`api.agents_visible_to` says so",
    Role.LEAD: "also acknowledges, snoozes, resolves and silences, those bound to `teams` only alerts of these; sees "
    "numbers about single agents",
    Role.ADMIN: "also writes rules, sends dead messages again, tests and enables receivers, and has promises made anew",
}
_AGAIN: Final = {
    Again.AFRESH: "",
    Again.SAME: "strong",
    Again.TICKING: "weak: all but `as_of` and `due_in_s`",
    Again.OWN: "the rule's, for `If-Match`",
}


def roles() -> str:
    """The text of docs/roles.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Who may do what"
    yield ""
    yield "<!-- Made by `python -m services.alerts.access.reference`; change services/alerts/access/table.py. -->"
    yield ""
    yield "Each role may do what those above it may; [who asks](guides/query-the-api.md#who-asks) says how somebody"
    yield "gets one. Without `api_tokens` and `api.oidc`, everybody who reaches the port may do everything."
    yield ""
    yield "| role | |"
    yield "|---|---|"
    for role, meaning in _MAY.items():
        yield f"| {role.value} | {meaning} |"
    for role in Role:
        yield from _table(f"From {role.value} on", [row for row in ROWS if row.role is role])
    yield from _table("Everybody, without a token", [row for row in ROWS if row.role is None])


def _table(title: str, rows: list[Row]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield "| | ETag |"
    yield "|---|---|"
    for row in rows:
        yield f"| `{row.method} {row.path}` | {_AGAIN[row.again]} |"


if __name__ == "__main__":
    sys.stdout.write(roles())
