"""``/v1/policies`` and ``/v1/sources``: what is configured, without a secret in it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.alerts.api.dependencies import Configuration

router = APIRouter(prefix="/v1", tags=["configuration"])


@router.get("/policies", summary="The promises, in the order in which they are tried")
async def policies(document: Configuration) -> dict[str, Any]:
    """The first policy that fits a ticket counts. A target of null is no promise."""
    return {"policies": [policy.model_dump(mode="json") for policy in document.sla_policies]}


@router.get("/sources", summary="The helpdesks that post webhooks here")
async def sources(document: Configuration) -> dict[str, Any]:
    """How many secrets each has, never which."""
    return {
        "sources": [
            {
                "name": name,
                "vendor": source.vendor,
                "path": f"/webhooks/{name}",
                "tolerance_s": source.tolerance_s,
                "keep_raw": source.keep_raw,
                "ticket_url": source.ticket_url,
                "secrets": len(source.secrets),
            }
            for name, source in document.sources.items()
        ]
    }
