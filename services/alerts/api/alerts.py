"""``/v1/alerts``: what is wrong now, what was, and what people did about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.alert import Alert, AlertState, Severity
from services.alerts import state as steps
from services.alerts.access.agents import about_an_agent
from services.alerts.access.identity import SOMEBODY, Identity
from services.alerts.api.dependencies import Context, Parts, SeesAgents, Who
from services.alerts.api.page import Cursor, bad_cursor
from services.alerts.state import Refusal, Step
from services.alerts.store import place
from services.config.duration import seconds
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

_json = msgspec.json.Encoder()
Person = Annotated[
    str,
    Field(
        min_length=1,
        max_length=120,
        description="Who does it, as it should be shown. Only where the token does not say: a token with a name, and "
        "one of the issuer, acts in its own.",
    ),
]
AlertId = Annotated[str, Path(max_length=64, description="`alert_id` of an alert.")]
_EXAMPLE: dict[str, Any] = {
    "alert_id": "40f27845-c351-53c3-9d32-29e49c30557a",
    "fingerprint": "zendesk:5158:first_response:1",
    "state": "firing",
    "severity": "critical",
    "reason": "breached",
    "title": "First response promise broken: zendesk ticket 5158 (urgent, team billing)",
    "detail": "The first answer was due 10:30 UTC (target 15 min). No answer yet, found 0.2 s later.",
    "labels": {"source": "zendesk", "metric": "first_response", "team": "billing", "severity": "critical"},
    "starts_at": "2026-03-02T10:30:00.2Z",
    "updated_at": "2026-03-02T10:30:00.3Z",
    "revision": 2,
    "version": 2,
}
_ANSWER = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}
_LIST = {200: {"content": {"application/json": {"example": {"alerts": [_EXAMPLE], "next_cursor": None}}}}}
_MISSING = {404: {"description": "There is no such alert (resolved ones are kept for 30 days)."}}
_REFUSED = {409: {"description": "The alert is already resolved, or somebody else acknowledged it."}}


DEFAULT_SNOOZE = "1h"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Person | None = None


class Acknowledge(_Body):
    """Who takes the alert on."""


class Resolve(_Body):
    """Who ends the alert."""


class Snooze(_Body):
    """Who wants quiet, and for how long: ``for`` or ``until``; an hour when neither is given."""

    duration: str | None = Field(None, alias="for", description="Such as 30m, 4h or 2d.", examples=["1h"])
    until: AwareDatetime | None = Field(None, description="RFC 3339, with an offset from UTC.")


@router.get("", summary="Alerts, the latest begun first", responses={**_LIST})  # type: ignore[dict-item]
async def alerts(
    parts: Parts,
    agents: SeesAgents,
    state: Annotated[list[AlertState] | None, Query(description="Only these; may be repeated.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only these; may be repeated.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Cursor = None,
) -> Response:
    """Without filters: every alert that is known, resolved ones of the last 30 days included. Alerts of rules about
    single agents are left out for those who may not see them; a page may then be shorter than `limit`."""
    if cursor is not None and not _is_place(cursor):
        raise bad_cursor()
    found = await parts.store.listed(state or list(AlertState), severity or list(Severity), limit, cursor)
    shown = [one for one in found if agents.shown or not about_an_agent(one)]
    return _answered({"alerts": shown, "next_cursor": place(found[-1]) if len(found) == limit else None})


@router.get("/{alert_id}", summary="One alert and what happened to it", responses={**_ANSWER, **_MISSING})  # type: ignore[dict-item]
async def alert(parts: Parts, agents: SeesAgents, alert_id: AlertId) -> Response:
    """The alert as it stands, and its transitions, oldest first."""
    found = await parts.store.alert(alert_id)
    if found is None:
        raise _no_such(alert_id)
    if about_an_agent(found):
        agents.need("this alert")
    transitions = await parts.store.transitions(alert_id)
    return _answered({**msgspec.to_builtins(found), "transitions": transitions})


@router.post("/{alert_id}/acknowledge", summary="Take an alert on", responses={**_ANSWER, **_MISSING, **_REFUSED})  # type: ignore[dict-item]
async def acknowledge(parts: Parts, who: Who, alert_id: AlertId, body: Acknowledge | None = None) -> Response:
    """It stays open, and fires again only if it gets worse (a warning that becomes a breach)."""
    by = actor(who, body.by if body is not None else None)
    return await _acted(parts, who, alert_id, lambda found, at: steps.acknowledge(found, by, at))


@router.post("/{alert_id}/snooze", summary="Quiet for a while", responses={**_ANSWER, **_MISSING, **_REFUSED})  # type: ignore[dict-item]
async def snooze(parts: Parts, who: Who, alert_id: AlertId, body: Snooze | None = None) -> Response:
    """It fires again when the time is over, and at once if it gets worse. At most 30 days."""
    wish = body or Snooze()
    by = actor(who, wish.by)
    if wish.duration is not None and wish.until is not None:
        raise Problem(422, "invalid-request", "Invalid request", "Give either 'for' (such as 1h) or 'until'.")
    try:
        length = timedelta(seconds=seconds(wish.duration or DEFAULT_SNOOZE))
    except (ValueError, OverflowError) as exc:
        raise Problem(422, "invalid-request", "Invalid request", f"for: {exc}.") from None

    def until(at: datetime) -> datetime:
        return wish.until if wish.until is not None else at + length

    return await _acted(parts, who, alert_id, lambda found, at: steps.snooze(found, by, until(at), at))


@router.post("/{alert_id}/resolve", summary="End an alert by hand", responses={**_ANSWER, **_MISSING, **_REFUSED})  # type: ignore[dict-item]
async def resolve(parts: Parts, who: Who, alert_id: AlertId, body: Resolve | None = None) -> Response:
    """Final. What goes wrong later with the same promise is a new alert."""
    by = actor(who, body.by if body is not None else None)
    return await _acted(parts, who, alert_id, lambda found, at: steps.resolve(found, by, at))


def actor(who: Identity, by: str | None, *, needed: bool = False) -> str:
    """Whose name stands beside what is done: that of the identity, else ``by``. Raises :class:`Problem` (422) when
    somebody with a name gives another, and when nobody is named where a name is ``needed``."""
    if who.name is None:
        if by is None and needed:
            raise Problem(422, "invalid-request", "Invalid request", "by: say who you are; your token does not.")
        return by or SOMEBODY
    if by is not None and by != who.name:
        detail = f"by: you are '{who.name}', and act in no other name. Leave 'by' out."
        raise Problem(422, "another-name", "Another name", detail)
    return who.name


_SAID = {
    Refusal.ALREADY_RESOLVED: (409, "Already resolved", "The alert is resolved, which is final."),
    Refusal.ALREADY_ACKNOWLEDGED: (409, "Already acknowledged", "Somebody else has acknowledged this alert."),
    Refusal.NOT_IN_THE_FUTURE: (422, "Not in the future", "A snooze must end in the future."),
    Refusal.TOO_LONG: (422, "Too long", "A snooze may last 30 days at most; resolve the alert instead."),
}


async def _acted(
    parts: Context, who: Identity, alert_id: str, action: Callable[[Alert, datetime], Step | Refusal]
) -> Response:
    if who.teams:
        found = await parts.store.alert(alert_id)
        if found is not None and not who.acts_on(found.labels.get("team")):
            detail = f"The alert is not of a team of yours: {', '.join(sorted(who.teams))}."
            raise Problem(403, "not-your-team", "Not your team", detail, teams=sorted(who.teams))
    result = await parts.alerting.act(alert_id, action)
    if result is None:
        raise _no_such(alert_id)
    if isinstance(result, Refusal):
        status, title, said = _SAID[result]
        raise Problem(status, result.value, title, said)
    return _answered(result)


def _no_such(alert_id: str) -> Problem:
    return Problem(
        404, "no-such-alert", "No such alert", f"There is no alert '{alert_id}'. Resolved ones are kept for 30 days."
    )


def _is_place(cursor: str) -> bool:
    start, colon, alert_id = cursor.partition(":")
    return bool(colon) and len(start) == 20 and start.isdigit() and bool(alert_id)


def _answered(value: Any) -> Response:
    return Response(_json.encode(value), media_type="application/json", headers={"cache-control": "no-store"})
