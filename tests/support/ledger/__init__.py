"""KPIs recomputed in DuckDB's SQL from the log as it lies in the topic: copies, disorder and all.

Written from the definitions and not from our code. A family of KPIs is one ``kpi_*.sql`` that fills ``tally``: when a
case was, in the state after which fact, and how long or how good. What a window and a segment make of it is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

FOLDER: Final = Path(__file__).parent
GAUGES: Final = frozenset({"backlog"})
Rows = dict[tuple[str, str | None], dict[str, "Cases"]]
"""By KPI and part, then by segment."""


@dataclass(frozen=True, slots=True)
class Cases:
    """What one KPI has in one window and one segment. Durations in seconds, at the shares of :data:`SHARES`."""

    count: int
    hits: int | None = None
    clock: tuple[float, ...] = ()
    business: tuple[float, ...] = ()


NONE: Final = Cases(0, 0)
SHARES: Final = (0.5, 0.9, 0.95)


class Ledger:
    """The numbers of ``log``, a file of canonical events as JSON lines, under a configuration document."""

    def __init__(self, log: Path, document: Mapping[str, Any]) -> None:
        self._db = duckdb.connect()
        self._db.execute("set timezone = 'UTC'")
        self._db.execute("create table log as select json as value from read_ndjson_objects($1)", [str(log)])
        self._configure(document)
        for name in ("calendar", "state", *sorted(path.stem for path in FOLDER.glob("kpi_*.sql"))):
            self._db.execute((FOLDER / f"{name}.sql").read_text())
        self._db.execute(
            """create table counted as
            select tally.*, 'all' as "all", state.source, state.tags, coalesce(channel, 'none') as channel,
                coalesce(team, 'none') as team, coalesce(agent, 'none') as agent,
                coalesce(priority, 'none') as priority, coalesce(brand, 'none') as brand, coalesce(tier, 'none') as tier
            from tally join state using (key, n)"""
        )
        self._known: dict[tuple[Any, ...], Rows] = {}

    def kpis(self) -> set[str]:
        """Every KPI that has a case somewhere in the log."""
        return {name for (name,) in self._db.execute("select distinct kpi from tally").fetchall()}

    def segments(self, dimensions: Iterable[str]) -> list[str]:
        """Every segment of these dimensions in which something was counted."""
        return sorted({name for rows in self.read(dimensions, 0, 2**62).values() for name in rows})

    def size(self) -> dict[str, int]:
        """How much there is: lines of the log, facts, tickets and cases."""
        tables = {"lines": "log", "facts": "fact", "tickets": "ticket", "cases": "tally"}
        return {what: self._number(f"select count(*) from {table}") for what, table in tables.items()}

    def _number(self, query: str) -> int:
        (found,) = self._db.execute(query).fetchall()[0]
        return int(found)

    def read(self, dimensions: Iterable[str], start_us: int, end_us: int) -> Rows:
        """Every KPI in ``[start_us, end_us)``, by the values of ``dimensions``; without any, the one row ``all``.
        Gauges are what they are now, whatever the window."""
        wanted = tuple(dimensions)
        asked = (wanted, start_us, end_us)
        if asked not in self._known:
            self._known[asked] = self._read(wanted, start_us, end_us)
        return self._known[asked]

    def _read(self, dimensions: tuple[str, ...], start_us: int, end_us: int) -> Rows:
        segment = " || ',' || ".join(f"'{name}:' || {name}" for name in dimensions) or '"all"'
        source = "counted"
        if "tag" in dimensions:
            source = "(select *, unnest(tags) as tag from counted)"  # a ticket without tags is in none of their rows
        gauges = ", ".join(f"'{name}'" for name in sorted(GAUGES))
        clock, business = (_percentiles(name) for name in ("clock_us", "business_us"))
        found = self._db.execute(
            f"""select kpi, part, {segment} as segment, count(*), count(*) filter (where hit),
                {clock}, {business}
            from {source}
            where kpi in ({gauges}) or at_us >= $1 and at_us < $2
            group by all""",
            [start_us, end_us],
        ).fetchall()
        rows: Rows = {}
        for kpi, part, name, count, hits, *durations in found:
            half = len(durations) // 2
            cases = Cases(count, hits, tuple(durations[:half]), tuple(durations[half:]))
            rows.setdefault((kpi, part), {})[name] = cases
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

    def _add(self, table: str, *row: Any) -> None:
        self._db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def _of_day(text: str | None) -> timedelta | None:
    if text is None:
        return None
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _percentiles(column: str) -> str:
    """Mean and percentiles in seconds: the value of rank ``share * (n - 1)``, rounded down, of the sorted values."""
    ranked = f"list({column} order by {column})"
    at = [f"{ranked}[1 + floor({share} * (count({column}) - 1))::bigint] / 1e6" for share in SHARES]
    return ", ".join([f"avg({column}) / 1e6", *at])
