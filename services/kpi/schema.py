"""The JSON Schema of every reading, made from the catalogue: what the API's documentation shows."""

from __future__ import annotations

from typing import Any, Final

from services.kpi.catalogue import AGES, KPIS, STANDING, Kpi, Shape
from services.kpi.reading import PERCENTILES

_COUNT: Final = {"type": "integer", "minimum": 0}
_SHARE: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_SECONDS: Final = {"type": ["number", "null"], "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_RATIO: Final = {"ratio": _SHARE, "count": _COUNT, "hits": _COUNT}
_STATISTICS: Final = dict.fromkeys(("mean_s", *PERCENTILES), _SECONDS)
_DURATION: Final = {"count": _COUNT, **_STATISTICS, "business": _object(**_STATISTICS)}


def reading(kpi: Kpi) -> dict[str, Any]:
    """The form of one reading of ``kpi``, with its definition."""
    return {"title": kpi.name, "description": f"{kpi.summary} {kpi.definition}", **_object(**_properties(kpi))}


def readings() -> dict[str, Any]:
    """The form of the readings of all KPIs, by name."""
    return _object(**{name: reading(kpi) for name, kpi in KPIS.items()})


def _properties(kpi: Kpi) -> dict[str, Any]:
    match kpi.shape:
        case Shape.COUNT | Shape.GAUGE:
            return {"count": _COUNT}
        case Shape.NET:
            return {"count": {"type": "integer"}}
        case Shape.BACKLOG:
            by_age = _object(**dict.fromkeys(AGES, _COUNT)) | {"type": ["object", "null"]}
            by_status = _object(**dict.fromkeys((status.value for status in STANDING), _COUNT))
            return {"count": _COUNT, "by_status": by_status, "by_age": by_age}
        case Shape.AGE:
            return {"age_s": {"type": ["integer", "null"], "minimum": 0}}
        case Shape.RATIO | Shape.SHARE | Shape.RETENTION:
            return _RATIO
        case Shape.RATIOS:
            return dict.fromkeys(kpi.parts, _object(**_RATIO))
        case Shape.PROMISES:
            return {**_RATIO, "by_metric": _object(**dict.fromkeys(kpi.parts, _object(**_RATIO)))}
        case Shape.MEAN:
            return {"mean": {"type": ["number", "null"]}, "count": _COUNT}
        case Shape.SCORE:
            score = {"type": ["number", "null"], "minimum": -100, "maximum": 100}
            return {"score": score, "count": _COUNT, "promoters": _COUNT, "detractors": _COUNT}
        case Shape.DURATION:
            return _DURATION | dict.fromkeys(kpi.parts, _object(**_DURATION))
        case Shape.DURATIONS:
            stay = _object(count=_COUNT, mean_s=_SECONDS, business=_object(mean_s=_SECONDS))
            return dict.fromkeys(kpi.parts, stay)
