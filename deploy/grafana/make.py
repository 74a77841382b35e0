"""Makes the dashboards that Grafana is provisioned with: python deploy/grafana/make.py

Every query is run against a real Prometheus by tests/e2e/test_prometheus.py. Every metrics worker exports the KPIs of
all partitions, so that KPIs are always the maximum over instances.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as board

FOLDER: Final = Path(__file__).parent / "dashboards"
SOURCE: Final = board.DataSourceRef(type_val="prometheus", uid="${datasource}")
ALL: Final = 'window="$window", dimension="all"'
TEAM: Final = 'window="$window", dimension="team", value=~"$team"'
BEGUN: Final = 'deskpulse_alerts_transitions_total{transition=~"fired|breached"}'
"""Alerts that began. Its first one has nothing to increase from, so that ``increase`` would not see it."""
PERCENTILES: Final = {"median": "p50", "90 %": "p90", "95 %": "p95"}
# Whole names of units in Grafana.
SECONDS, SHARE, NUMBER, RATE, BYTES = "s", "percentunit", "short", "reqps", "bytes"


def kpi(name: str, where: str, by: str = "") -> str:
    """A KPI as one of the workers exports it."""
    grouped = f"max by ({by}) " if by else "max"
    return f"{grouped}(helpdesk_{name}{{{where}}})"


def percentile(name: str, statistic: str, where: str, by: str = "") -> str:
    """A duration on the clock."""
    return kpi(f"{name}_seconds", f'{where}, clock="calendar", statistic="{statistic}"', by)


class Sheet:
    """A dashboard that is written from left to right, row by row."""

    def __init__(self, uid: str, title: str, about: str, *, kpis: bool = True) -> None:
        self.uid = uid
        self._made = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(about)
            .tags(["deskpulse"])
            .timezone("browser")
            .time("now-24h" if kpis else "now-3h", "now")
            .refresh("30s")
            .tooltip(board.DashboardCursorSync.CROSSHAIR)
            .with_variable(dashboard.DatasourceVariable("datasource").label("Source").type("prometheus"))
            .annotation(
                dashboard.AnnotationQuery()
                .name("Alerts")
                .datasource(SOURCE)
                .enable(True)
                .icon_color("orange")
                .expr(f"sum({BEGUN}) - (sum({BEGUN} offset 1m) or vector(0)) > 0")
            )
            .link(dashboard.DashboardLink("Deskpulse").type(board.DashboardLinkType.DASHBOARDS).tags(["deskpulse"]))
        )
        if kpis:
            self._variable("window", "Window", 'label_values(helpdesk_tickets_created{dimension="all"}, window)')

    def teams(self) -> Sheet:
        """Lets the reader choose teams."""
        self._variable("team", "Team", 'label_values(helpdesk_backlog{dimension="team"}, value)', several=True)
        return self

    def _variable(self, name: str, label: str, query: str, *, several: bool = False) -> None:
        made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
        made = made.refresh(board.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(board.VariableSort.ALPHABETICAL_ASC)
        if several:
            made = made.multi(True).include_all(True)
        self._made = self._made.with_variable(made)

    def row(self, title: str) -> Sheet:
        """Begins a row."""
        self._made = self._made.with_row(dashboard.Row(title))
        return self

    def number(self, title: str, query: str, unit: str, about: str, *, width: int = 4) -> Sheet:
        """One number with its course behind it."""
        panel = (
            stat.Panel()
            .title(title)
            .description(about)
            .datasource(SOURCE)
            .unit(unit)
            .span(width)
            .height(4)
            .graph_mode(models.BigValueGraphMode.AREA)
            .no_value("no case")
            .with_target(prometheus.Dataquery().expr(query).ref_id("A"))
        )
        self._made = self._made.with_panel(panel)
        return self

    def course(
        self, title: str, queries: dict[str, str], unit: str, about: str, *, width: int = 12, stacked: bool = False
    ) -> Sheet:
        """Lines over time: legend to query."""
        panel = (
            timeseries.Panel()
            .title(title)
            .description(about)
            .datasource(SOURCE)
            .unit(unit)
            .span(width)
            .height(8)
            .min(0)
            .fill_opacity(25 if stacked else 6)
            .show_points(models.VisibilityMode.NEVER)
            .legend(common.VizLegendOptions().show_legend(True).placement(models.LegendPlacement.BOTTOM))
        )
        if stacked:
            panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
        for place, (legend, query) in enumerate(queries.items()):
            target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + place))
            panel = panel.with_target(target)
        self._made = self._made.with_panel(panel)
        return self

    def json(self) -> str:
        """As Grafana reads it."""
        return JSONEncoder(sort_keys=True, indent=1).encode(self._made.build()) + "\n"


def support() -> Sheet:
    """What a leader looks at first."""
    sheet = Sheet("deskpulse-support", "Deskpulse: support", "The whole support. docs/kpis.md defines each number.")
    sheet.row("Now")
    sheet.number("Created", kpi("tickets_created", ALL), NUMBER, "Tickets created in the window.")
    sheet.number("Solved", kpi("tickets_solved", ALL), NUMBER, "Tickets whose most recent solve lies in the window.")
    sheet.number("Backlog", kpi("backlog", ALL), NUMBER, "Tickets neither solved nor closed.")
    sheet.number("Unassigned", kpi("unassigned_backlog", ALL), NUMBER, "Those that no agent holds.")
    sheet.number("Overdue", kpi("open_breached", ALL), NUMBER, "Open tickets with a broken promise.")
    sheet.number("CSAT", kpi("csat_ratio", ALL), SHARE, "Share of good ratings.")
    sheet.row("Flow")
    flow = {"created": kpi("tickets_created", ALL), "solved": kpi("tickets_solved", ALL)}
    sheet.course("In and out", flow, NUMBER, "Over the window, at each instant.")
    backlog = {"{{status}}": kpi("backlog_by_status", ALL, "status")}
    sheet.course("Backlog by status", backlog, NUMBER, "What stands.", stacked=True)
    sheet.row("Speed")
    for name, title in (("first_response_time", "First response"), ("resolution_time", "Resolution")):
        lines = {
            said: percentile(name, which, ALL) for said, which in (("median", "p50"), ("90 %", "p90"), ("95 %", "p95"))
        }
        sheet.course(title, lines, SECONDS, "On the clock; business hours are in the API.")
    sheet.row("Quality")
    attainment = {"{{metric}}": kpi("sla_attainment_ratio", ALL, "metric")}
    sheet.course("SLA attainment", attainment, SHARE, "Timers that ended in time, of those that ended or broke.")
    rates = {
        "reopened": kpi("reopen_rate", ALL),
        "escalated": kpi("escalation_rate", ALL),
        "one touch": kpi("one_touch_rate", ALL),
    }
    sheet.course("Reopened, escalated, one touch", rates, SHARE, "Shares of tickets.")
    return sheet


def sla() -> Sheet:
    """What is promised, and what is kept."""
    sheet = Sheet("deskpulse-sla", "Deskpulse: SLA", "Promises kept and broken, and how soon it was said.")
    sheet.row("Promises")
    kept = {"{{metric}}": kpi("sla_attainment_ratio", ALL, "metric")}
    sheet.course("Attainment by metric", kept, SHARE, "Of the timers that ended or broke in the window.")
    broken = {"{{metric}}": kpi("sla_breach_rate", ALL, "metric")}
    sheet.course("Breach rate by metric", broken, SHARE, "The rest of it.")
    by_team = {"{{value}}": kpi("open_breached", 'window="$window", dimension="team"', "value")}
    sheet.course("Overdue by team", by_team, NUMBER, "Open tickets with a broken promise.", stacked=True)
    attained = {"{{value}}": kpi("sla_attainment_ratio", 'window="$window", dimension="team", metric="all"', "value")}
    sheet.course("Attainment by team", attained, SHARE, "Look for the system before you look for a person.")
    sheet.row("Alerts")
    said = {"{{kind}}": "sum by (kind) (increase(deskpulse_sla_events_total[5m]))"}
    sheet.course("Announced in 5 minutes", said, NUMBER, "Warnings, breaches, and what became of them.", stacked=True)
    standing = {"{{severity}}, {{state}}": 'max by (severity, state) (deskpulse_alerts{state!="resolved"})'}
    sheet.course("Open alerts", standing, NUMBER, "By severity and by what people did.", stacked=True)
    delay = {"p99": "deskpulse:sla_breach_delay_seconds:p99_15m"}
    sheet.course("From breach to announcement", delay, SECONDS, "Under 0.25 s when caught up.")
    sent = {"{{outcome}}": "sum by (outcome) (increase(deskpulse_deliveries_total[5m]))"}
    sheet.course("Messages in 5 minutes", sent, NUMBER, "To all receivers, by what became of them.", stacked=True)
    return sheet


def team() -> Sheet:
    """A team, or several side by side."""
    sheet = Sheet("deskpulse-team", "Deskpulse: team", "One team, or several side by side.").teams()
    sheet.row("Work")
    by = {"{{value}}": kpi("backlog", TEAM, "value")}
    sheet.course("Backlog", by, NUMBER, "Tickets neither solved nor closed.")
    sheet.course("Unassigned", {"{{value}}": kpi("unassigned_backlog", TEAM, "value")}, NUMBER, "That no agent holds.")
    came = {"{{value}}": kpi("tickets_created", TEAM, "value")}
    sheet.course("Created", came, NUMBER, "In the window.")
    went = {"{{value}}": kpi("tickets_solved", TEAM, "value")}
    sheet.course("Solved", went, NUMBER, "In the window.")
    sheet.row("How it goes")
    first = {"{{value}}": percentile("first_response_time", "p90", TEAM, "value")}
    sheet.course("First response, 90 % within", first, SECONDS, "On the clock.")
    done = {"{{value}}": percentile("resolution_time", "p90", TEAM, "value")}
    sheet.course("Resolution, 90 % within", done, SECONDS, "On the clock.")
    kept = {"{{value}}": kpi("sla_attainment_ratio", TEAM + ', metric="all"', "value")}
    sheet.course("SLA attainment", kept, SHARE, "Of all metrics together.")
    again = {"{{value}}": kpi("reopen_rate", TEAM, "value")}
    sheet.course("Reopened", again, SHARE, "Of the tickets solved.")
    return sheet


def pipeline() -> Sheet:
    """Whether Deskpulse itself is well."""
    sheet = Sheet("deskpulse-pipeline", "Deskpulse: pipeline", "Whether Deskpulse itself is well.", kpis=False)
    sheet.row("At a glance")
    sheet.number("Services up", 'sum(up{job="deskpulse"})', NUMBER, "That Prometheus reaches.", width=6)
    behind = "deskpulse:partition_clock_lag_seconds:max"
    sheet.number("Clock behind", behind, SECONDS, "Of the partition that is furthest behind.", width=6)
    sheet.number("Records behind", "deskpulse:consumer_lag_records:sum", NUMBER, "In Kafka, not in the state.", width=6)
    sheet.number("Messages waiting", "max(deskpulse_deliveries_pending)", NUMBER, "For receivers.", width=6)
    sheet.row("Ingest")
    sheet.course(
        "Webhooks", {"{{outcome}}": "sum by (outcome) (deskpulse:webhooks:rate5m)"}, RATE, "By what became of them."
    )
    sheet.course("Answer time", {"p99": "deskpulse:webhook_seconds:p99_5m"}, SECONDS, "Of those accepted.")
    waiting = {"{{instance}}": "max by (instance) (deskpulse_spool_records)"}
    sheet.course("Spool", waiting, NUMBER, "Deliveries on disk, because Kafka was away.")
    flight = {"{{instance}}": "max by (instance) (deskpulse_ingest_in_flight)"}
    sheet.course("In flight", flight, NUMBER, "Deliveries that wait for Kafka.")
    sheet.row("Metrics")
    events = {"{{outcome}}": "sum by (outcome) (rate(deskpulse_metrics_events_total[5m]))"}
    sheet.course("Events", events, RATE, "Folded, known already, refused.")
    batch = {"p99": "histogram_quantile(0.99, sum by (le) (rate(deskpulse_metrics_batch_seconds_bucket[5m])))"}
    sheet.course("A batch", batch, SECONDS, "From its fetch to its step in Redis.")
    lag = {"partition {{partition}}": "max by (partition) (deskpulse_partition_clock_lag_seconds)"}
    sheet.course("Clock behind, by partition", lag, SECONDS, "Warnings and breaches come so much later.")
    values = {"{{segment}}": "max by (segment) (deskpulse_segment_values)"}
    sheet.course("Values of segments", values, NUMBER, "That are counted by themselves.")
    sheet.row("Processes")
    memory = {"{{service}}": "max by (service) (process_resident_memory_bytes)"}
    sheet.course("Memory", memory, BYTES, "Resident.")
    cpu = {"{{service}}": "sum by (service) (rate(process_cpu_seconds_total[5m]))"}
    sheet.course("Processor", cpu, NUMBER, "Cores in use.")
    return sheet


SHEETS: Final = (support, sla, team, pipeline)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for make in SHEETS:
        sheet = make()
        (FOLDER / f"{sheet.uid}.json").write_text(sheet.json())
        sys.stdout.write(f"{sheet.uid}\n")


if __name__ == "__main__":
    main()
