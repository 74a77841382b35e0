"""``/v1/rules``: when a number is worth a message, how every segment stands with it, and trying it on the past."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.instant import SECOND_US, from_datetime, to_rfc3339
from services.alerts.access import etag
from services.alerts.access.agents import per_agent
from services.alerts.api.dependencies import Context, Now, Parts, SeesAgents
from services.alerts.phase import Memory, held_us
from services.alerts.rehearse import MOST_DAYS, rehearse
from services.alerts.rulebook import MOST, Changed, Entry, Expected, Origin, read
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/rules", tags=["rules"])

RuleName = Annotated[str, Path(max_length=63, pattern="^[a-z0-9][a-z0-9_-]*$", description="Name of a rule.")]
_EXAMPLE: dict[str, Any] = {
    "type": "threshold",
    "kpi": "first_response_time",
    "statistic": "business.p90_s",
    "window": "1h",
    "by": ["team"],
    "above": "2h",
    "clear": "90m",
    "for": "10m",
    "min_count": 10,
}
RuleBody = Annotated[
    dict[str, Any],
    Body(description="The fields of a rule, as in the document.", openapi_examples={"": {"value": _EXAMPLE}}),
]
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such rule."}}
_OF_FILE: dict[int | str, dict[str, Any]] = {409: {"description": "The rule is the file's, or there are too many."}}
_STALE: dict[int | str, dict[str, Any]] = {
    412: {"description": "The rule is not the one that If-Match or If-None-Match speaks of; `version` is what it is."}
}
IfMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="The rule's ETag: it is changed only if it is still that one. `*`: only if there is one.",
    ),
]
IfNoneMatch = Annotated[str | None, Header(max_length=1000, description="`*`: only if there is no such rule yet.")]
_WRONG: dict[int | str, dict[str, Any]] = {422: {"description": "The rule has mistakes: `problems` names each."}}


class Test(BaseModel):
    """A rule to try: a known one by ``name``, or one that is given whole."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=63, description="A rule that there is.", examples=["slow-first-answers"])
    rule: dict[str, Any] | None = Field(None, description="A rule that there need not be.", examples=[_EXAMPLE])
    days: int = Field(7, ge=1, le=MOST_DAYS, description="How far back.")


@router.get("", summary="Every rule, by name")
async def rules(parts: Parts) -> dict[str, Any]:
    """Those of the file and those that came over the API. `problems` say why a rule cannot be evaluated."""
    return {"rules": [_shown(entry) for entry in (await parts.rules.entries()).values()]}


@router.post("/test", summary="When it would have fired", responses={**_MISSING, **_WRONG})
async def test(parts: Parts, now: Now, body: Test) -> dict[str, Any]:
    """Judges a rule over the last days from the numbers that are kept, and stores and sends nothing. Back to two days
    it looks every minute or few, further back every hour or more (`looked_every_s`), so what was over in between is
    not in it."""
    if (body.name is None) == (body.rule is None):
        raise Problem(422, "invalid-request", "Invalid request", "Give 'name', of a rule that there is, or 'rule'.")
    if body.name is not None:
        entry = await _known(parts, body.name)
    else:
        entry = read(parts.document, {"name": "a-trial", **(body.rule or {})})
    if entry.rule is None:
        raise _wrong(entry)
    found = await rehearse(entry.rule, parts.document.segments, parts.sight, body.days, from_datetime(now))
    return found.shown()


@router.get("/{name}", summary="One rule, and how every segment stands with it", responses=_MISSING)
async def rule(parts: Parts, agents: SeesAgents, name: RuleName, response: Response) -> dict[str, Any]:
    """`standing` has each segment as it was at the last look (`at`): its `phase`, and `why` it was judged so; single
    agents only for those who may see them. What comes and goes is held: it ends only after it was good for `held_s`.
    The ETag is that of the rule, for If-Match; `standing` moves on without."""
    entry = await _known(parts, name)
    memories = await parts.memories.of(name)
    held = {name: held_us(entry.rule, memory.fired_us) for name, memory in memories.items()} if entry.rule else {}
    standing = [
        {"segment": segment, **_standing(memory, held.get(segment))}
        for segment, memory in sorted(memories.items())
        if agents.shown or not per_agent(segment)
    ]
    response.headers["ETag"] = _tag(entry)
    return {**_shown(entry), "standing": standing}


@router.put("/{name}", summary="Write a rule", responses={**_OF_FILE, **_WRONG, **_STALE})
async def put(
    parts: Parts,
    name: RuleName,
    body: RuleBody,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> dict[str, Any]:
    """In force within a second. A rule of the file cannot be changed here. A pending state is kept, open alerts too.
    With `If-Match` and the ETag that you read, nobody's change in between is lost."""
    _changeable(parts, name)
    if body.get("name", name) != name:
        raise Problem(422, "invalid-rule", "Invalid rule", f"name: the path says '{name}'; leave 'name' out.")
    try:
        entry = await parts.rules.put(name, body, _expected(if_match, if_none_match))
    except Changed as exc:
        raise _stale(name, exc) from None
    if isinstance(entry, bool):
        raise Problem(409, "too-many-rules", "Too many rules", f"There are {MOST} already; delete one first.")
    if entry.rule is None:
        raise _wrong(entry)
    response.headers["ETag"] = _tag(entry)
    return _shown(entry)


@router.delete("/{name}", summary="Delete a rule", status_code=204, responses={**_MISSING, **_OF_FILE, **_STALE})
async def delete(parts: Parts, name: RuleName, if_match: IfMatch = None) -> Response:
    """Its open alerts end with the reason `rule_removed`."""
    _changeable(parts, name)
    try:
        there = await parts.rules.delete(name, _expected(if_match, None))
    except Changed as exc:
        raise _stale(name, exc) from None
    if not there:
        raise await _no_such(parts, name)
    return Response(status_code=204)


def _changeable(parts: Context, name: str) -> None:
    if parts.rules.of_file(name):
        detail = f"'{name}' is a rule of the configuration file. Change it there, or use another name."
        raise Problem(409, "rule-of-the-file", "Rule of the file", detail)


async def _known(parts: Context, name: str) -> Entry:
    entry = await parts.rules.entry(name)
    if entry is None:
        raise await _no_such(parts, name)
    return entry


async def _no_such(parts: Context, name: str) -> Problem:
    there = ", ".join(await parts.rules.entries()) or "none"
    return Problem(404, "no-such-rule", "No such rule", f"There is no rule '{name}'. There is: {there}.")


def _tag(entry: Entry) -> str:
    return f'"{entry.version}"'


def _expected(if_match: str | None, if_none_match: str | None) -> Expected:
    def fits(there: Entry | None) -> bool:
        tag = _tag(there) if there is not None else None
        if if_match is not None and not etag.matches(if_match, tag):
            return False
        return if_none_match is None or tag is None or not etag.same(if_none_match, tag)

    return fits


def _stale(name: str, changed: Changed) -> Problem:
    there = changed.there
    if there is None:
        detail = f"There is no rule '{name}' any more, or yet."
    else:
        detail = f"The rule '{name}' is not the one that the request speaks of: read it again, then change it."
    version = there.version if there is not None else None
    headers = {"ETag": _tag(there)} if there is not None else {}
    return Problem(412, "rule-has-changed", "Rule has changed", detail, headers=headers, version=version)


def _wrong(entry: Entry) -> Problem:
    detail = "; ".join(entry.problems) + "."
    return Problem(422, "invalid-rule", "Invalid rule", detail, problems=list(entry.problems))


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "origin": entry.origin.value,
        "changeable": entry.origin is Origin.API,
        "version": entry.version,
        "rule": dict(entry.given),
        "every_s": entry.rule.every_s if entry.rule is not None else None,
        "problems": list(entry.problems),
    }


def _standing(memory: Memory, held: int | None) -> dict[str, Any]:
    return {
        "phase": memory.phase.value,
        "why": memory.why,
        "value": memory.value,
        "baseline": memory.baseline,
        "detail": memory.said,
        "bad_since": to_rfc3339(memory.bad_us) if memory.bad_us is not None else None,
        "fired_within_a_day": len(memory.fired_us),
        "held_s": held / SECOND_US if held is not None else None,
        "at": to_rfc3339(memory.at_us) if memory.at_us else None,
    }
