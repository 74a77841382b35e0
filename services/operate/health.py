"""Whether this process can do its work (readiness) and whether it is still alive (heartbeats)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.clock import steady_s


@dataclass(frozen=True, slots=True)
class Note:
    """Worth knowing, and no reason to send this process no work: one plain sentence."""

    text: str


Check = Callable[[], str | Note | Awaitable[str | Note | None] | None]
"""Returns ``None`` when all is well, a :class:`Note` when all is well still, else one plain sentence that says what
is not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``problem`` is ``None`` when it passed; then there may be a ``note``."""

    name: str
    problem: str | None
    note: str | None = None


class Health:
    """Named readiness checks and named heartbeats.

    Liveness knows no dependencies: it fails only when a loop of this process missed its own bound, since a
    restart cures a stuck loop and never a broker that is away.
    """

    def __init__(self, steady: Callable[[], float] = steady_s, check_deadline_s: float = 2.0) -> None:
        self.draining = False
        self._steady = steady
        self._check_deadline_s = check_deadline_s
        self._checks: dict[str, Check] = {}
        self._beats: dict[str, tuple[float, float]] = {}

    def check(self, name: str, check: Check) -> None:
        """Registers a readiness check; the same name again replaces it."""
        self._checks[name] = check

    def beat(self, name: str, bound_s: float) -> None:
        """Called by a loop at each turn: it is stuck when the next call takes longer than ``bound_s``."""
        self._beats[name] = (self._steady(), bound_s)

    def rest(self, name: str) -> None:
        """The loop ended on purpose: no more beats are expected of it."""
        self._beats.pop(name, None)

    def liveness(self) -> list[Finding]:
        """One finding per heartbeat."""
        now = self._steady()
        return [
            Finding(
                name,
                None if now - at <= bound_s else f"No sign of life for {now - at:.0f} s ({bound_s:g} s allowed).",
            )
            for name, (at, bound_s) in sorted(self._beats.items())
        ]

    async def readiness(self) -> list[Finding]:
        """One finding per check, and one for draining. Checks run side by side, each within a deadline."""
        names = sorted(self._checks)
        answers = await asyncio.gather(*(self._ask(self._checks[name]) for name in names))
        drain = Finding("draining", "This process is stopping.") if self.draining else Finding("draining", None)
        return [drain, *(_finding(name, answer) for name, answer in zip(names, answers, strict=True))]

    async def _ask(self, check: Check) -> str | Note | None:
        try:
            async with asyncio.timeout(self._check_deadline_s):
                answer = check()
                return await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            return f"No answer within {self._check_deadline_s:g} s."
        except Exception as exc:
            # A probe must report a broken check, not break with it; the text of the exception may hold secrets.
            return f"The check failed with {type(exc).__name__}."


def _finding(name: str, answer: str | Note | None) -> Finding:
    return Finding(name, None, answer.text) if isinstance(answer, Note) else Finding(name, answer)
