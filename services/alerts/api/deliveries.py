"""``GET /v1/deliveries``: what became of the messages to receivers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from schemas.instant import to_rfc3339
from services.alerts.api.dependencies import Parts
from services.alerts.delivery import Delivery, DeliveryState

router = APIRouter(prefix="/v1/deliveries", tags=["alerts"])


@router.get("", summary="Messages to receivers: waiting ones, then settled ones, the latest first")
async def deliveries(
    parts: Parts,
    state: Annotated[list[DeliveryState] | None, Query(description="Only these; may be repeated.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Settled messages are kept for 7 days. `disabled_receivers` asked for no more (HTTP 410): they get messages
    again when they are configured with another URL."""
    found = await parts.store.deliveries(state or list(DeliveryState), limit)
    disabled = await parts.store.disabled()
    return {
        "deliveries": [_shown(delivery) for delivery in found],
        "disabled_receivers": {
            name: {"why": known["why"], "at": to_rfc3339(known["at_us"])} for name, known in sorted(disabled.items())
        },
    }


def _shown(delivery: Delivery) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(delivery)
    shown |= {"state": delivery.state.value, "attempts": delivery.attempts, "problem": delivery.problem}
    shown["created_at"] = to_rfc3339(shown.pop("created_us"))
    next_us = shown.pop("next_us")
    shown["next_attempt_at"] = to_rfc3339(next_us) if delivery.state is DeliveryState.PENDING else None
    return shown
