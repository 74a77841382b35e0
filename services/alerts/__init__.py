"""Alerts: SLA announcements become alerts with a lifecycle, stored, streamed and sent; and the query API."""
