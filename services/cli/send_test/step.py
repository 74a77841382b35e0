"""What became of the sample, one step after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a step went. ``WAITING`` is on its way and nothing is wrong; ``SKIPPED`` was not asked for, or cannot be."""

    OK = "ok"
    WAITING = "waiting"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the answer. ``took_ms`` is from the end of the step before; ``fix`` what to do about a problem."""

    step: str
    state: State
    detail: str
    took_ms: int = 0
    fix: str | None = None

    @property
    def line(self) -> str:
        """For people."""
        word = self.state.value.upper() if self.state is State.PROBLEM else self.state.value
        fix = f" -> {self.fix}" if self.fix else ""
        return f"{word:<8} {self.step:<10} {self.took_ms:>6} ms  {self.detail}{fix}"


class Failed(Exception):
    """A step that the following ones need did not go well."""

    def __init__(self, detail: str, fix: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


def reached(steps: Iterable[Step]) -> bool:
    """Whether everything that was asked for was reached."""
    return all(step.state in (State.OK, State.SKIPPED) for step in steps)
