"""KPIs recomputed in DuckDB's SQL from the log as it lies in the topic: copies, disorder and all.

Written from the definitions and not from our code. A family of KPIs is one ``kpi_*.sql`` that fills ``tally``: when a
case was, in the state after which fact, and how long or how good. What a window and a segment make of it is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from services.config.duration import seconds

FOLDER: Final = Path(__file__).parent
PERCENTILES: Final = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95}
STATISTICS: Final = ("mean_s", *PERCENTILES)
Reading = dict[str, Any]
"""What the API should say of a KPI, with the cases that there are and nothing that is zero or null."""
Rows = dict[str, dict[str, Reading]]
"""Readings by KPI, then by segment."""


class Ledger:
    """The numbers of ``log``, a file of canonical events as JSON lines, under a configuration document."""

    def __init__(self, log: Path, document: Mapping[str, Any]) -> None:
        self._db = duckdb.connect()
        self._db.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        self._db.execute("create table log as select json as value from read_ndjson_objects($1)", [str(log)])
        self._configure(document)
        for name in ("calendar", "state", *sorted(path.stem for path in FOLDER.glob("kpi_*.sql")), "reading"):
            self._db.execute((FOLDER / f"{name}.sql").read_text())
        self._known: dict[tuple[Any, ...], Rows] = {}

    def kpis(self) -> set[str]:
        """Every KPI that has a case somewhere in the log."""
        return set(self.read((), 0, 2**62, 2**62)) | set(self.read((), 2**61, 2**62, 2**62))

    def segments(self, dimensions: Iterable[str]) -> list[str]:
        """Every segment of these dimensions in which something was counted."""
        return sorted({name for rows in self.read(dimensions, 0, 2**62, 2**62).values() for name in rows})

    def size(self) -> dict[str, int]:
        """How much there is: lines of the log, facts, tickets and cases."""
        tables = {"lines": "log", "facts": "fact", "tickets": "ticket", "cases": "tally"}
        return {what: self._number(f"select count(*) from {table}") for what, table in tables.items()}

    def _number(self, query: str) -> int:
        (found,) = self._db.execute(query).fetchall()[0]
        return int(found)

    def read(self, dimensions: Iterable[str], start_us: int, end_us: int, now_us: int, *, fresh: bool = False) -> Rows:
        """Every KPI in ``[start_us, end_us)``, by the values of ``dimensions``; without any, the one row ``all``.
        Gauges are what they are at ``now_us``, whatever the window. The same window is read once, unless ``fresh``:
        then promises that broke a moment ago are as of now."""
        wanted = tuple(dimensions)
        asked = (wanted, start_us, end_us, now_us // 3_600_000_000)
        if fresh or asked not in self._known:
            self._known[asked] = self._read(wanted, start_us, end_us, now_us)
        return self._known[asked]

    def _read(self, dimensions: tuple[str, ...], start_us: int, end_us: int, now_us: int) -> Rows:
        segment = " || ',' || ".join(f"'{name}:' || {name}" for name in dimensions) or "'all'"
        source = "counted($start_us, $end_us, $now_us)"
        if "tag" in dimensions:  # a ticket counts in each of its tags, and without tags in none
            source = f"(select *, unnest(tags) as tag from {source})"
        clock, business = (_statistics(column) for column in ("clock_us", "business_us"))
        found = self._db.execute(
            f"""select kpi, part, {segment} as segment, any_value(shape) as shape, count(*),
                count(*) filter (where hit), count(*) filter (where not hit), sum(amount), count(distinct who),
                count(distinct who) filter (where hit), max(age_s), {clock}, {business}
            from {source} group by all""",
            {"start_us": start_us, "end_us": end_us, "now_us": now_us},
        ).fetchall()
        rows: Rows = {}
        for kpi, part, name, shape, *sums in found:
            _put(rows.setdefault(kpi, {}).setdefault(name, {}), part, _reading(shape, *sums))
        return rows

    def _configure(self, document: Mapping[str, Any]) -> None:
        """The configuration as tables. Only this reads YAML's shapes; what they mean is in the SQL."""
        self._db.execute(
            """
            create table zone (calendar varchar, zone varchar);
            create table weekly (calendar varchar, day varchar, opens interval, closes interval);
            create table closed (calendar varchar, day date);
            create table override (calendar varchar, day date, opens interval, closes interval);
            create table business (calendar varchar);
            create table policy (place integer, name varchar, calendar varchar);
            create table match (place integer, dimension varchar, accepted varchar[]);
            create table target (place integer, metric varchar, priority varchar, target_us bigint);
            create table pause (place integer, metric varchar, status varchar);
            create table escalation (priorities varchar[], teams varchar[]);
            """
        )
        calendars = document.get("calendars", {})
        for name, calendar in calendars.items():
            self._add("zone", name, calendar["timezone"])
            for day, hours in calendar["weekly"].items():
                for opens, closes in hours:
                    self._add("weekly", name, day, _of_day(opens), _of_day(closes))
            for day in calendar.get("holidays", ()):
                self._add("closed", name, date.fromisoformat(day))
            for day in calendar.get("annual_holidays", ()):
                for year in (2026, 2027):
                    self._add("closed", name, date.fromisoformat(f"{year}-{day}"))
            for day, hours in calendar.get("overrides", {}).items():
                for opens, closes in hours or [(None, None)]:
                    self._add("override", name, date.fromisoformat(day), _of_day(opens), _of_day(closes))
        self._add("business", document.get("business_calendar") or next(iter(calendars), None))
        for place, policy in enumerate(document.get("sla_policies", ())):
            self._add("policy", place, policy["name"], policy.get("calendar"))
            for dimension, accepted in policy.get("match", {}).items():
                self._add("match", place, dimension, list(accepted))
            for metric, targets in policy["targets"].items():
                for priority, target in targets.items():
                    self._add("target", place, metric, priority, target and seconds(target) * 1_000_000)
            for metric, statuses in policy.get("pause_on", {}).items():
                for status in statuses:
                    self._add("pause", place, metric, status)
        escalation = document.get("kpis", {}).get("escalation", {})
        self._add("escalation", list(escalation.get("priorities", ["urgent"])), list(escalation.get("teams", [])))

    def _add(self, table: str, *row: Any) -> None:
        self._db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def _of_day(text: str | None) -> timedelta | None:
    if text is None:
        return None
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _put(reading: Reading, part: str | None, said: Any) -> None:
    """Puts what is said of a part in its place: ``by_status.open`` is ``{"by_status": {"open": …}}``."""
    if part is None:
        reading.update(said)
        return
    *way, last = part.split(".")
    for step in way:
        reading = reading.setdefault(step, {})
    reading[last] = said


def _reading(
    shape: str, count: int, hits: int, misses: int, amount: float, people: int, chosen: int, age_s: int, *times: float
) -> Any:
    match shape:
        case "number":
            return count
        case "count":
            return {"count": count}
        case "sum":
            return {"count": round(amount)}
        case "ratio":
            return {"count": count, "hits": hits, "ratio": hits / count}
        case "people":
            return {"count": people, "hits": chosen, "ratio": chosen / people}
        case "score":
            return {"count": count, "promoters": hits, "detractors": misses, "score": 100 * (hits - misses) / count}
        case "mean":
            return {"count": count, "mean": amount / count}
        case "age":
            return {"age_s": age_s}
        case "stay":
            return {"count": count, "mean_s": times[0], "business": {"mean_s": times[len(STATISTICS)]}}
        case "duration":
            half = len(STATISTICS)
            clock, business = (dict(zip(STATISTICS, part, strict=True)) for part in (times[:half], times[half:]))
            return {"count": count, **clock, "business": business}
    raise ValueError(shape)


def _statistics(column: str) -> str:
    """Mean and percentiles in seconds: the value of rank ``share * (n - 1)``, rounded down, of the sorted values."""
    ranked = f"list({column} order by {column})"
    at = [f"{ranked}[1 + floor({share} * (count({column}) - 1))::bigint] / 1e6" for share in PERCENTILES.values()]
    return ", ".join([f"avg({column}) / 1e6", *at])
