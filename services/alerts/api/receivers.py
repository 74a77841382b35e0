"""``/v1/receivers``: where alerts can go, whether they do, and trying it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Path

from schemas.instant import from_datetime, to_rfc3339
from services.alerts.api.dependencies import Context, Now, Parts
from services.alerts.delivery import Kind, own, shown
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/receivers", tags=["alerts"])

ReceiverName = Annotated[str, Path(max_length=64, description="One of `receivers` in the configuration.")]
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such receiver."}}


@router.get("", summary="Where alerts can go")
async def receivers(parts: Parts) -> dict[str, Any]:
    """Addresses and credentials are not shown. `digest` is when messages are gathered, `null` for never."""
    disabled = await parts.store.disabled()
    return {
        "receivers": [
            {
                "name": name,
                "kind": receiver.kind,
                "digest": receiver.gathering.model_dump() if receiver.gathering is not None else None,
                "disabled": _off(disabled.get(name)),
            }
            for name, receiver in sorted(parts.document.receivers.items())
        ]
    }


@router.post("/{name}/enable", summary="Send to a receiver again that was switched off", responses=_MISSING)
async def enable(parts: Parts, name: ReceiverName) -> dict[str, Any]:
    """A receiver is switched off when it asks for no more (HTTP 410) or does not take our credentials. What was not
    sent to it meanwhile is `disabled`, and can be sent again message by message."""
    _known(parts, name)
    return {"name": name, "was_disabled": await parts.store.enable(name)}


@router.post("/{name}/test", summary="Send a test message", status_code=202, responses=_MISSING)
async def test(parts: Parts, now: Now, name: ReceiverName) -> dict[str, Any]:
    """It says that it is no alert. The answer is the message as it waits: `GET /v1/deliveries/{delivery_id}` tells what
    became of it."""
    _known(parts, name)
    message = own(Kind.TEST, str(uuid4()), name, from_datetime(now))
    await parts.store.enqueue(message)
    return shown(message)


def _known(parts: Context, name: str) -> None:
    if name not in parts.document.receivers:
        there = ", ".join(sorted(parts.document.receivers)) or "none"
        raise Problem(404, "no-such-receiver", "No such receiver", f"There is no receiver '{name}'. There is: {there}.")


def _off(known: dict[str, Any] | None) -> dict[str, str] | None:
    return None if known is None else {"why": known["why"], "at": to_rfc3339(known["at_us"])}
