"""What every sample tells of: one made-up ticket that nobody can take for a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.instant import to_datetime

SUBJECT: Final = "Deskpulse test"
TAG: Final = "deskpulse-test"
_MARK: Final = 99


@dataclass(frozen=True, slots=True)
class Case:
    """The ticket: opened by a customer at ``opened_us``, told of at ``sent_us``. Urgent wherever the vendor can say it.

    ``number`` is 99 and the milliseconds of ``sent_us``: no helpdesk counts that far, and no two samples share one.
    """

    opened_us: int
    sent_us: int

    @property
    def number(self) -> int:
        return int(f"{_MARK}{self.sent_us // 1000}")

    @property
    def name(self) -> str:
        """For vendors whose ids may be words."""
        return f"{TAG}-{self.number}"

    @property
    def opened(self) -> str:
        """RFC 3339, in whole seconds, as the earliest of the ways in which vendors write it."""
        return second(self.opened_us)

    @property
    def sent(self) -> str:
        return second(self.sent_us)


@dataclass(frozen=True, slots=True)
class Post:
    """One request as the vendor makes it, without what authenticates it."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """A ticket opened, and the same taken out again; ``None`` where the vendor has no webhook for that."""

    opened: Post
    removed: Post | None


Maker = Callable[[Case], Sample]


def second(at_us: int) -> str:
    """Like ``2026-03-02T09:00:00Z``."""
    return f"{to_datetime(at_us):%Y-%m-%dT%H:%M:%S}Z"


def posted(body: Any, **headers: str) -> Post:
    """``body`` as JSON, with ``headers`` whose names have _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Post(json.dumps(body, separators=(",", ":")).encode(), {"content-type": "application/json", **named})
