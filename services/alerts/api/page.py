"""Pages of long lists: ``limit`` how many, ``cursor`` where to go on, ``next_cursor`` for the page after (null: none).

A cursor names the last thing of its page, not a number of things, so that what comes or goes meanwhile moves nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import BeforeValidator

from services.operate.problem import Problem

T = TypeVar("T")
LONGEST = 1000

Cursor = Annotated[
    str | None,
    Query(max_length=LONGEST, description="`next_cursor` of the page before, unchanged."),
    BeforeValidator(lambda value: None if value == "" else value),
]


def turned(found: Sequence[T], limit: int, kind: str, place: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The first ``limit`` of what comes after the cursor, and the cursor for the rest."""
    page = list(found[:limit])
    return page, cursor(kind, place(page[-1])) if len(found) > limit else None


def cursor(kind: str, place: str) -> str:
    """The cursor that goes on behind ``place`` in a list of this ``kind``."""
    return base64.urlsafe_b64encode(f"{kind}\x1e{place}".encode()).decode().rstrip("=")


def begun(text: str | None, kind: str) -> str:
    """The place behind which to go on; empty at the beginning. Raises :class:`Problem` (400) for what is no cursor of
    a list of this ``kind``."""
    if text is None:
        return ""
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    named, separator, place = whole.partition("\x1e")
    if not separator or named != kind or not place:
        raise bad_cursor()
    return place


def bad_cursor() -> Problem:
    """400."""
    return Problem(400, "bad-cursor", "Bad cursor", "Use 'next_cursor' of an earlier answer, unchanged.")
