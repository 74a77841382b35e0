"""One line of the answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """A ``WARNING`` will hurt one day; a ``PROBLEM`` hurts now."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """``fix`` says what to do about what is not ``ok``."""

    what: str
    level: Level
    detail: str
    fix: str | None = None

    @property
    def line(self) -> str:
        """For people."""
        word = self.level.value.upper() if self.level is Level.PROBLEM else self.level.value
        return f"{word:<8} {self.what:<14} {self.detail}{f' -> {self.fix}' if self.fix else ''}"

    @property
    def shown(self) -> dict[str, Any]:
        """As JSON: ``ok`` is false for a problem only."""
        good = self.level is not Level.PROBLEM
        return {"what": self.what, "ok": good, "level": self.level.value, "detail": self.detail, "fix": self.fix}


def ok(what: str, detail: str) -> Finding:
    """As it should be."""
    return Finding(what, Level.OK, detail)


def warning(what: str, detail: str, fix: str) -> Finding:
    """Not wrong yet."""
    return Finding(what, Level.WARNING, detail, fix)


def problem(what: str, detail: str, fix: str) -> Finding:
    """Wrong."""
    return Finding(what, Level.PROBLEM, detail, fix)
