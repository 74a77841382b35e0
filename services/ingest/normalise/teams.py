"""What a site calls its teams: helpdesks have ids where people, and segments, want names.

The option ``teams`` of every vendor that has teams: the helpdesk's id (or name) of a team → what it is called here. A
team that is not listed keeps what the helpdesk has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from schemas.ticket import TicketEvent


def renamed(events: Sequence[TicketEvent], teams: Mapping[str, str]) -> list[TicketEvent]:
    """The events with the site's names of teams."""
    return [_renamed(event, teams) for event in events]


def _renamed(event: TicketEvent, teams: Mapping[str, str]) -> TicketEvent:
    stated, assignment = event.ticket, event.assignment
    if isinstance(stated.team, str) and stated.team in teams:
        stated = msgspec.structs.replace(stated, team=teams[stated.team])
    if assignment is not None and isinstance(assignment.team, str) and assignment.team in teams:
        assignment = msgspec.structs.replace(assignment, team=teams[assignment.team])
    if stated is event.ticket and assignment is event.assignment:
        return event
    return msgspec.structs.replace(event, ticket=stated, assignment=assignment)
