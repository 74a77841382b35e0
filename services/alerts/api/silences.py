"""``/v1/silences``: what nobody is to be told of for a while, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import structlog
from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from structlog.stdlib import BoundLogger

from schemas.alert import Alert, AlertState, Severity
from schemas.instant import from_datetime, to_rfc3339
from services.alerts import silence
from services.alerts.access.agents import about_an_agent
from services.alerts.access.identity import Identity
from services.alerts.api.alerts import Person, actor
from services.alerts.api.dependencies import Context, Now, Parts, SeesAgents, Who
from services.alerts.silence import LONGEST_US, Silence, SilenceState
from services.alerts.silences import MOST
from services.alerts.store import place
from services.config.duration import seconds
from services.config.silence import Match
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/silences", tags=["alerts"])
log: BoundLogger = structlog.get_logger("silences")

SilenceId = Annotated[str, Path(max_length=64, description="`silence_id` of a silence.")]
_OPEN = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SNOOZED)
_PAGE = 500
_NAMED = 100
_AHEAD_US = 366 * 86_400_000_000
_EXAMPLE: dict[str, Any] = {
    "silence_id": "9b0d8c7e-0c5e-4b8c-9f0a-0d8f6f4f3f5a",
    "state": "active",
    "match": {"team": ["billing"], "severity": ["warning"]},
    "from": "2026-03-02T22:00:00Z",
    "until": "2026-03-03T02:00:00Z",
    "by": "ana",
    "comment": "The invoice run is being repeated.",
    "created_at": "2026-03-02T16:20:00Z",
    "ended_at": None,
    "ended_by": None,
    "origin": "api",
}
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such silence."}}
_OF_FILE: dict[int | str, dict[str, Any]] = {409: {"description": "The silence is the configuration file's."}}
_MANY: dict[int | str, dict[str, Any]] = {409: {"description": "There are too many silences."}}


class What(BaseModel):
    """Which alerts: those that have, of every label in ``match``, one of the values, as in routes."""

    model_config = ConfigDict(extra="forbid")

    match: Match = Field(examples=[{"team": ["billing"]}])


class NewSilence(What):
    """Which alerts are told to nobody, from when (now) to when: ``until`` or ``for``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: AwareDatetime | None = Field(None, alias="from", description="RFC 3339, with an offset. Default: now.")
    until: AwareDatetime | None = Field(None, description="RFC 3339, with an offset from UTC.")
    duration: str | None = Field(None, alias="for", description="Such as 30m, 4h or 2d.", examples=["2h"])
    by: Person | None = Field(None, examples=["ana"])
    comment: str = Field(min_length=1, max_length=500, description="Why.", examples=["The invoice run is repeated."])


@router.get("", summary="Silences, the latest begun first")
async def silences(
    parts: Parts,
    now: Now,
    state: Annotated[list[SilenceState] | None, Query(description="Only these; may be repeated.")] = None,
) -> dict[str, Any]:
    """Those of the file and those that came over the API; of the latter also what was over in the last 30 days. Of a
    silence that comes every week the one that runs, or the next."""
    at_us = from_datetime(now)
    wanted = state or list(SilenceState)
    found = [one for one in await parts.silences.listed(at_us) if one.stands(at_us) in wanted]
    return {"silences": [_shown(parts, one, at_us) for one in found]}


@router.post("", summary="Silence alerts", status_code=201, responses=_MANY)
async def add(parts: Parts, now: Now, who: Who, agents: SeesAgents, body: NewSilence) -> dict[str, Any]:
    """In force within a second, at most 90 days long. A silenced alert is judged and shown as ever, with `silenced_by`,
    and nobody is told of it; who had heard of it hears of its end. What still stands when the silence ends is told as
    if it had fired then. `covers` are the open alerts that fit at present."""
    by = actor(who, body.by, needed=True)
    _of_teams(who, body.match)
    at_us = from_datetime(now)
    since_us = max(from_datetime(body.since), at_us) if body.since is not None else at_us
    until_us = _end(body, since_us)
    if not at_us < until_us > since_us:
        raise _invalid("until: a silence must end after it begins, and in the future.")
    if since_us - at_us > _AHEAD_US:
        raise _invalid("from: a silence can be planned a year ahead at most.")
    if until_us - since_us > LONGEST_US:
        raise _invalid("until: a silence may last 90 days at most; for longer, change the routes.")
    made = Silence(
        silence_id=str(uuid4()),
        match=dict(body.match),
        from_us=since_us,
        until_us=until_us,
        by=by,
        comment=body.comment,
        created_us=at_us,
    )
    if not await parts.silences.add(made):
        detail = f"There are {MOST} that are planned or active; end one first."
        raise Problem(409, "too-many-silences", "Too many silences", detail)
    log.info("silence_added", silence_id=made.silence_id, by=made.by, until=to_rfc3339(made.until_us))
    return {**_shown(parts, made, at_us), "covers": _named(await _covered(parts, body.match), agents)}


@router.post("/preview", summary="Which open alerts a silence would cover")
async def preview(parts: Parts, agents: SeesAgents, body: What) -> dict[str, Any]:
    """Nothing is changed. The first 100, the latest begun first, and how many there are."""
    return {"covers": _named(await _covered(parts, body.match), agents)}


@router.get("/{silence_id}", summary="One silence", responses={**_ANSWER, **_MISSING})
async def one(parts: Parts, now: Now, agents: SeesAgents, silence_id: SilenceId) -> dict[str, Any]:
    """With the open alerts that it covers, or would."""
    at_us = from_datetime(now)
    found = await parts.silences.one(silence_id, at_us)
    if found is None:
        raise _no_such(silence_id)
    return {**_shown(parts, found, at_us), "covers": _named(await _covered(parts, found.match), agents)}


@router.delete("/{silence_id}", summary="End a silence", responses={**_ANSWER, **_MISSING, **_OF_FILE})
async def end(
    parts: Parts,
    now: Now,
    who: Who,
    silence_id: SilenceId,
    by: Annotated[str | None, Query(min_length=1, max_length=120, description="Who ends it.")] = None,
) -> Response:
    """At once, also of one that has not begun. It is kept for the record for 30 days. One that is over stays so."""
    if parts.silences.of_file(silence_id):
        detail = f"'{silence_id}' is a silence of the configuration file. Change it there."
        raise Problem(409, "silence-of-the-file", "Silence of the file", detail)
    at_us = from_datetime(now)
    by = actor(who, by)
    there = await parts.silences.one(silence_id, at_us) if who.teams else None
    if there is not None:
        _of_teams(who, there.match)
    found = await parts.silences.end(silence_id, by, at_us)
    if found is None:
        raise _no_such(silence_id)
    if found.ended_us == at_us:
        log.info("silence_ended", silence_id=silence_id, by=by)
    return Response(msgspec.json.encode(_shown(parts, found, at_us)), media_type="application/json")


async def _covered(parts: Context, match: Match) -> list[Alert]:
    covered: list[Alert] = []
    after: str | None = None
    while found := await parts.store.listed(_OPEN, list(Severity), _PAGE, after):
        covered += silence.fitting(match, found)
        after = place(found[-1])
        if len(found) < _PAGE:
            break
    return covered


def _named(covered: list[Alert], agents: SeesAgents) -> dict[str, Any]:
    named = [
        {"alert_id": alert.alert_id, "title": alert.title, "state": alert.state.value, "severity": alert.severity.value}
        for alert in covered[:_NAMED]
        if agents.shown or not about_an_agent(alert)
    ]
    return {"count": len(covered), "alerts": named}


def _of_teams(who: Identity, match: Mapping[str, Sequence[str]]) -> None:
    """Raises :class:`Problem` (403) when it reaches beyond the teams that ``who`` is bound to."""
    teams = set(match.get("team", ()))
    if who.teams and not (teams and teams <= who.teams):
        detail = f"match: you act for {', '.join(sorted(who.teams))}; name these under 'team', and no other."
        raise Problem(403, "not-your-team", "Not your team", detail, teams=sorted(who.teams))


def _end(body: NewSilence, since_us: int) -> int:
    if (body.until is None) == (body.duration is None):
        raise _invalid("Give either 'until' or 'for' (such as 2h).")
    if body.until is not None:
        return from_datetime(body.until)
    try:
        return since_us + timedelta(seconds=seconds(body.duration or "")) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as exc:
        raise _invalid(f"for: {exc}.") from None


def _shown(parts: Context, one: Silence, at_us: int) -> dict[str, Any]:
    return {
        "silence_id": one.silence_id,
        "state": one.stands(at_us).value,
        "match": {label: list(values) for label, values in one.match.items()},
        "from": to_rfc3339(one.from_us),
        "until": to_rfc3339(one.until_us),
        "by": one.by,
        "comment": one.comment,
        "created_at": to_rfc3339(one.created_us),
        "ended_at": to_rfc3339(one.ended_us) if one.ended_us is not None else None,
        "ended_by": one.ended_by,
        "origin": "file" if parts.silences.of_file(one.silence_id) else "api",
    }


def _invalid(detail: str) -> Problem:
    return Problem(422, "invalid-request", "Invalid request", detail)


def _no_such(silence_id: str) -> Problem:
    said = f"There is no silence '{silence_id}'. Those that are over are kept for 30 days."
    return Problem(404, "no-such-silence", "No such silence", said)
