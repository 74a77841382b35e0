"""The fold, one rule of semantics.md at a time."""

from __future__ import annotations

import pytest

from schemas.state import Gone
from schemas.ticket import ActorKind, Attributes, Kind, Merge, Message, Priority, Status, Visibility
from services.fold.flow import in_backlog
from services.fold.ticket import fold
from services.kpi.catalogue import Cell
from services.metrics.contribution import standing
from tests.support.story import Story, at, rules

OFFICE = rules(
    """
calendars:
  office: {timezone: UTC, weekly: {mon: [["09:00","17:00"]], tue: [["09:00","17:00"]]}}
"""
)


def cells(story: Story) -> dict[Cell, tuple[int | None, int | None]]:
    """What the ticket counts in: cell to minutes by the calendar and in business hours."""

    def minutes(ms: int | None) -> int | None:
        return None if ms is None else ms // 60_000

    return {cell: (minutes(c), minutes(b)) for cell, _, _, c, b in standing(story.ticket(OFFICE))}


@pytest.mark.parametrize(
    ("author", "visibility", "counts"),
    [
        (ActorKind.AGENT, Visibility.PUBLIC, True),
        (ActorKind.AGENT, Visibility.PRIVATE, False),
        (ActorKind.BOT, Visibility.PUBLIC, False),
        (ActorKind.SYSTEM, Visibility.PUBLIC, False),
        (ActorKind.CUSTOMER, Visibility.PUBLIC, False),
    ],
)
def test_only_a_public_message_of_a_human_agent_is_a_first_response(
    author: ActorKind, visibility: Visibility, counts: bool
) -> None:
    story = Story()
    story.created()
    story.message(10, author, visibility)
    assert (Cell.FIRST_RESPONSE in cells(story)) is counts


def test_only_the_first_reply_counts_and_both_clocks_are_kept() -> None:
    story = Story()
    story.created(7 * 60)  # 16:00, an hour before closing
    story.reply(24 * 60 + 30)  # 09:30 the next day
    story.reply(24 * 60 + 90)
    assert cells(story)[Cell.FIRST_RESPONSE] == (17 * 60 + 30, 90)


def test_the_message_that_an_agent_opened_a_ticket_with_is_no_reply_to_it() -> None:
    story = Story()
    story.created(by=ActorKind.AGENT)
    story.reply(0)
    assert Cell.FIRST_RESPONSE not in cells(story)
    story.reply(20)
    assert cells(story)[Cell.FIRST_RESPONSE] == (20, 20)


def test_a_message_marked_as_opening_neither_asks_nor_answers() -> None:
    story = Story()
    story.created()
    story.message(0.02, ActorKind.AGENT, opening=True)
    story.message(0.02, ActorKind.CUSTOMER, opening=True)
    ticket = story.ticket()
    assert (ticket.first_reply, ticket.awaiting_us) == (None, None)


def test_a_reply_that_is_made_private_was_never_a_reply() -> None:
    story = Story()
    story.created()
    first = story.reply(10)
    story.reply(30)
    assert first.message is not None
    story.tell(40, Kind.MESSAGE_RETRACTED, message=Message(id=first.message.id))
    assert cells(story)[Cell.FIRST_RESPONSE] == (30, 30)


def test_a_reopened_ticket_keeps_its_first_resolution_and_loses_the_full_one_until_solved_again() -> None:
    story = Story()
    story.created()
    story.status(60, Status.SOLVED)
    assert cells(story)[Cell.FULL_RESOLUTION] == (60, 60)
    assert Cell.REOPENED not in cells(story)
    story.status(90, Status.OPEN)
    found = cells(story)
    assert found[Cell.FIRST_RESOLUTION] == (60, 60)
    assert Cell.FULL_RESOLUTION not in found
    assert {Cell.SOLVED, Cell.REOPENED} <= found.keys()
    story.status(120, Status.SOLVED)
    assert cells(story)[Cell.FIRST_RESOLUTION] == (60, 60)
    assert cells(story)[Cell.FULL_RESOLUTION] == (120, 120)


def test_closing_a_solved_ticket_changes_nothing() -> None:
    story = Story()
    story.created()
    story.status(60, Status.SOLVED)
    before = cells(story)
    story.status(5000, Status.CLOSED)
    assert cells(story) == before


def test_a_deleted_ticket_counts_nowhere_and_a_restored_one_again() -> None:
    story = Story()
    story.created()
    story.reply(10)
    whole = cells(story)
    story.tell(20, Kind.DELETED)
    assert cells(story) == {}
    assert not in_backlog(story.ticket())
    story.tell(30, Kind.RESTORED)
    assert cells(story) == whole
    assert in_backlog(story.ticket())


def test_a_merged_ticket_leaves_the_backlog_without_being_solved() -> None:
    story = Story()
    story.created()
    story.tell(15, Kind.MERGED, merge=Merge(into="2"))
    ticket = story.ticket()
    assert (ticket.gone, ticket.merged_into, in_backlog(ticket)) == (Gone.MERGED, "2", False)
    assert cells(story).keys() == {Cell.CREATED}


def test_the_latest_rating_stands_and_four_of_five_is_satisfied() -> None:
    story = Story()
    story.created()
    story.rated(10, 4)
    assert {Cell.RATED, Cell.SATISFIED} <= cells(story).keys()
    story.rated(20, 3)
    assert Cell.SATISFIED not in cells(story)


def test_a_case_counts_in_the_segment_that_held_the_ticket_then() -> None:
    story = Story()
    story.created(team="first", priority=Priority.LOW)
    story.assigned(5, team="second", agent="ana")
    story.reply(10)
    story.assigned(15, team="third")
    teams = {cell: who.team for cell, _, who, _, _ in standing(story.ticket())}
    assert teams == {Cell.CREATED: "first", Cell.FIRST_RESPONSE: "second"}


def test_the_backlog_moves_with_the_ticket() -> None:
    story = Story()
    story.created(team="first")
    story.assigned(5, team="second")
    story.status(9, Status.SOLVED)
    _, flows = fold("zendesk", "1", story.facts(), OFFICE)
    assert [(when, who.team, n) for cell, when, who, _, _, n in flows if cell == Cell.BACKLOG] == [
        (at(0), "first", 1),
        (at(5), "first", -1),
        (at(5), "second", 1),
        (at(9), "second", -1),
    ]


def test_a_ticket_first_seen_solved_in_passing_was_not_solved_now() -> None:
    story = Story()
    story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.SOLVED))
    assert cells(story) == {}
    story.status(10, Status.OPEN)
    story.status(20, Status.SOLVED)
    assert Cell.SOLVED in cells(story)
    assert Cell.FULL_RESOLUTION not in cells(story), "nobody told us when it was created"


def test_a_ticket_whose_creation_was_not_seen_has_no_first_response() -> None:
    story = Story()
    story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.OPEN))
    story.reply(10)
    assert Cell.FIRST_RESPONSE not in cells(story)
    assert in_backlog(story.ticket())
