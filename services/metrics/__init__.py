"""The metrics service: ticket events in, KPIs and SLA timers out."""
