"""What processes of tests share: our modules, imported once. See ``tests/support/forked.py``."""

from __future__ import annotations

import gc

import services.alerts.app
import services.alerts.worker
import services.cli.serve
import services.ingest.app
import services.metrics.main  # noqa: F401

gc.freeze()
