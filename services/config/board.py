"""What the live board shows."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.config.rule import statistics, usual
from services.kpi.catalogue import KPIS

MOST_TILES: Final = 6


def chosen(text: str) -> tuple[str, str]:
    """``first_response_time.p50_s`` as KPI and statistic, the usual one where none is named. Raises ``ValueError``
    with what there is."""
    kpi, _, statistic = text.partition(".")
    if kpi not in KPIS:
        raise ValueError(f"there is no KPI '{kpi}'; there is: {', '.join(KPIS)}")
    there = statistics(kpi)
    if statistic and statistic not in there:
        raise ValueError(f"{kpi} has no statistic '{statistic}'; it has: {', '.join(there)}")
    return kpi, statistic or usual(kpi)


def _tile(text: str) -> str:
    chosen(text)
    return text


Tile = Annotated[str, AfterValidator(_tile)]


class BoardChoices(BaseModel):
    """``kpis`` are shown as tiles, each beside what it was a week ago, over ``window``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field("Support", min_length=1, max_length=80)
    kpis: tuple[Tile, ...] = Field(
        ("first_response_time", "sla_attainment", "csat"), min_length=1, max_length=MOST_TILES
    )
    window: str = "24h"
