"""What ingest took while Kafka was away: on disk before it was answered, and sent in the same order afterwards.

A spool is a folder with segments, which are only ever appended to. An entry is one delivery: the records that Kafka
is to have of it, whole or not at all. Why it is so: docs/adr/0010-spool.md.
"""

from __future__ import annotations

from services.ingest.spool.drain import drain
from services.ingest.spool.spool import Entry, Full, Spool, Unwritable
from services.ingest.spool.store import Incident, Unusable

__all__ = ["Entry", "Full", "Incident", "Spool", "Unusable", "Unwritable", "drain"]
