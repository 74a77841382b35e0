"""The metric objects of one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector


def process_registry() -> CollectorRegistry:
    """An empty registry, but for what the process takes: memory, processor time, open files, collections of garbage."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    GCCollector(registry=found)
    return found
