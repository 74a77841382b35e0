"""``/v1/deliveries``: what became of the messages to receivers, and sending dead ones again."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from schemas.instant import from_datetime, to_rfc3339
from services.alerts.api.dependencies import Now, Parts
from services.alerts.api.page import Cursor, bad_cursor, begun
from services.alerts.api.page import cursor as made
from services.alerts.delivery import DEAD, DeliveryState, Kind, shown
from services.alerts.queue import Place
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/deliveries", tags=["alerts"])

DeliveryId = Annotated[str, Path(max_length=64, description="`delivery_id` of a message.")]
_DEAD = "dead"
_LIST = "deliveries"
_PLACE = re.compile(r"([01]):(\d{1,17}):(.{1,64})")
_STATES = [*(state.value for state in DeliveryState), _DEAD]
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such message."}}


@router.get("", summary="Messages to receivers: waiting ones, then settled ones, the latest first")
async def deliveries(
    parts: Parts,
    state: Annotated[
        list[str] | None,
        Query(
            description=f"Only these; may be repeated. One of {', '.join(_STATES)}. `dead` is what was never taken and "
            "is not tried any more."
        ),
    ] = None,
    receiver: Annotated[str | None, Query(max_length=64, description="Only those to this one.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Settled messages are kept for 7 days. `disabled_receivers` asked for no more (HTTP 410) or do not take our
    credentials: they get messages again when they are configured anew, or by `POST /v1/receivers/{name}/enable`."""
    found, more = await parts.store.deliveries_after(_place(cursor), _states(state or _STATES), limit, receiver)
    disabled = await parts.store.disabled()
    return {
        "deliveries": [shown(delivery) for delivery in found],
        "next_cursor": made(_LIST, f"{more.settled:d}:{more.at_us}:{more.delivery_id}") if more is not None else None,
        "disabled_receivers": {
            name: {"why": known["why"], "at": to_rfc3339(known["at_us"])} for name, known in sorted(disabled.items())
        },
    }


@router.get("/{delivery_id}", summary="One message; of a digest, everything that was in it", responses=_MISSING)
async def delivery(parts: Parts, delivery_id: DeliveryId) -> dict[str, Any]:
    """`messages` are those that the digest was made of, each with what became of it."""
    found = await parts.store.delivery(delivery_id)
    if found is None:
        raise _no_such(delivery_id)
    if found.kind is not Kind.DIGEST:
        return shown(found)
    return {**shown(found), "messages": [shown(member) for member in await parts.store.gathered(delivery_id)]}


@router.post(
    "/{delivery_id}/resend",
    summary="Send a dead message again",
    status_code=202,
    responses={**_MISSING, 409: {"description": "It is not dead, or went out with a digest."}},
)
async def resend(parts: Parts, now: Now, delivery_id: DeliveryId) -> dict[str, Any]:
    """From its first attempt on, with the same id, so that a receiver that has it already can tell. What was overtaken
    meanwhile is not sent, as always. Of a dead digest everything that died with it."""
    found = await parts.store.delivery(delivery_id)
    if found is None:
        raise _no_such(delivery_id)
    if found.state in DEAD and found.digest_id is not None and found.kind is Kind.ALERT:
        said = f"It went out with a digest: resend '{found.digest_id}'."
        raise Problem(409, "part-of-a-digest", "Part of a digest", said, digest_id=found.digest_id)
    if not await parts.store.resend(delivery_id, from_datetime(now)):
        dead = ", ".join(sorted(state.value for state in DEAD))
        raise Problem(409, "not-dead", "Not dead", f"It is {found.state.value}; dead is: {dead}.")
    again = await parts.store.delivery(delivery_id)
    return shown(again or found)


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    found = _PLACE.fullmatch(begun(cursor, _LIST))
    if found is None:
        raise bad_cursor()
    return Place(found[1] == "1", int(found[2]), found[3])


def _states(asked: list[str]) -> list[DeliveryState]:
    unknown = sorted(set(asked) - set(_STATES))
    if unknown:
        said = f"There is no state {', '.join(map(repr, unknown))}. There is: {', '.join(_STATES)}."
        raise Problem(422, "invalid-request", "Invalid request", said)
    states = {state for state in DeliveryState if state.value in asked}
    return sorted(states | DEAD if _DEAD in asked else states)


def _no_such(delivery_id: str) -> Problem:
    said = f"There is no message '{delivery_id}'. Settled ones are kept for 7 days."
    return Problem(404, "no-such-delivery", "No such delivery", said)
