"""When a member of a consumer group with a name of its own gives its place up, and when it keeps it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.stream.place import leave


def client(held: int, there: int = 12) -> Any:
    """A member that holds so many of the partitions of a topic."""
    return SimpleNamespace(
        _coordinator=SimpleNamespace(_group_instance_id="group-a"),
        subscription=lambda: {"tickets"},
        partitions_for_topic=lambda _: set(range(there)) or None,
        assignment=lambda: set(range(held)),
    )


@pytest.mark.parametrize(("held", "there", "stays"), [(6, 12, False), (12, 12, True), (0, 12, True), (0, 0, True)])
def test_it_is_kept_where_nobody_else_could_go_on(held: int, there: int, stays: bool) -> None:
    member = client(held, there)
    leave(member)
    assert (member._coordinator._group_instance_id == "group-a") is stays


def test_a_client_that_never_joined_has_no_place() -> None:
    member = client(6)
    member._coordinator = None
    leave(member)


def test_the_client_library_still_looks_where_this_is_done() -> None:
    """It sends LeaveGroup unless the member has a name of its own: read from there at the stop, not remembered."""
    from inspect import getsource

    from aiokafka.consumer.group_coordinator import GroupCoordinator

    assert "self._group_instance_id is None" in getsource(GroupCoordinator._maybe_leave_group)
