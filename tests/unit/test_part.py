"""How long a service that died waits for its next start."""

from __future__ import annotations

from services.embedded.part import LONGEST_PAUSE_S, pause_s


def test_the_pause_doubles_up_to_the_longest() -> None:
    assert [pause_s(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause_s(10_000) == LONGEST_PAUSE_S
