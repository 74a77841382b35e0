"""``/v1/policies/recompute``: promises of open tickets made anew after policies or calendars were edited."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from schemas.instant import from_datetime
from services.alerts.api.dependencies import Context, Now, Parts
from services.config.document import ConfigInvalid
from services.fold.rules import compiled
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/policies/recompute", tags=["configuration"])

_RUNNING: dict[int | str, dict[str, Any]] = {409: {"description": "An earlier request is still being worked on."}}
_UNKNOWN: dict[int | str, dict[str, Any]] = {422: {"description": "There is no policy of this name."}}
_NONE: dict[int | str, dict[str, Any]] = {404: {"description": "Nobody has asked yet."}}


class Wish(BaseModel):
    """Which promises to make anew."""

    model_config = ConfigDict(extra="forbid")

    policy: str | None = Field(None, max_length=200, description="Only tickets that it promises something to.")


@router.post("", summary="Make the promises of open tickets anew", status_code=202, responses={**_RUNNING, **_UNKNOWN})
async def ask(parts: Parts, now: Now, wish: Wish) -> dict[str, Any]:
    """Every open ticket gets what the policies and calendars of now promise it. What its timers show stays; a promise
    that is found broken is broken from now on, not back in time; and it is announced as after a change of priority.
    The metrics workers do it beside the live events; GET shows how far they are. Asking again changes nothing more."""
    names = [policy.name for policy in parts.document.sla_policies]
    if wish.policy is not None and wish.policy not in names:
        detail = f"There is no policy '{wish.policy}'. There is: {', '.join(names) or 'none'}."
        raise Problem(422, "no-such-policy", "No such policy", detail)
    digest = _digest(parts)
    request = await parts.recomputes.ask(from_datetime(now), digest, wish.policy)
    if request is None:
        detail = "An earlier request is still being worked on. GET shows how far it is; ask again when it is finished."
        raise Problem(409, "still-running", "Still running", detail)
    return request.shown(await parts.recomputes.partitions(), digest=digest)


@router.get("", summary="How far the newest request is", responses=_NONE)
async def progress(parts: Parts) -> dict[str, Any]:
    """`of_this_document` is false once policies or calendars were edited since: metrics workers that follow another
    document than the request is about do not work on it."""
    request = await parts.recomputes.newest()
    if request is None:
        raise Problem(404, "no-request", "No request", "Nobody has asked for promises to be made anew.")
    return request.shown(await parts.recomputes.partitions(), digest=_digest(parts))


def _digest(parts: Context) -> str:
    try:
        return compiled(parts.document).digest
    except ConfigInvalid as exc:
        raise Problem(503, "bad-configuration", "Bad configuration", f"{exc}. Correct it: deskpulse check.") from None
