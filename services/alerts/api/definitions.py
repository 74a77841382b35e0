"""``/v1/definitions``: what each number means, as docs/kpis.md says it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.config.rule import statistics, usual
from services.kpi import spoken
from services.kpi.better import better
from services.kpi.catalogue import KPIS, Kpi
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/definitions", tags=["kpis"])

KpiName = Annotated[str, Path(description="Name of a KPI, such as first_response_time.")]
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such KPI; `known` lists them."}}


@router.get("", summary="What every KPI means")
async def definitions() -> dict[str, Any]:
    """In the order of docs/kpis.md."""
    return {"definitions": [_told(kpi) for kpi in KPIS.values()]}


@router.get(
    "/{kpi}",
    summary="What one KPI means",
    responses={404: {"description": "There is no such KPI; `known` lists them."}},
)
async def definition(
    kpi: Annotated[str, Path(description="Name of a KPI, such as first_response_time.")],
) -> dict[str, Any]:
    """`statistics` are the numbers of its reading by their path, each with its unit; `usual` is the one that a rule or
    a tile takes where none is named, and `of` says it in words. `better` is `lower`, `higher` or `neither`."""
    found = KPIS.get(kpi)
    if found is None:
        raise Problem(
            404,
            "unknown-kpi",
            "Unknown KPI",
            f"There is no KPI '{kpi}'. There is: {', '.join(KPIS)}.",
            known=list(KPIS),
        )
    return _told(found)


def _told(kpi: Kpi) -> dict[str, Any]:
    chosen = usual(kpi.name)
    return {
        "kpi": kpi.name,
        "label": spoken.titled(kpi.name),
        "summary": kpi.summary,
        "definition": kpi.definition,
        "better": better(kpi.name).value,
        "usual": chosen,
        "of": spoken.statistic(chosen),
        "statistics": {path: one.unit.value for path, one in statistics(kpi.name).items()},
    }
