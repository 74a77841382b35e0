"""What the worker is compared with: a stock Faust agent that decodes and counts, default settings.

Run as ``python -m bench.faust_counter BOOTSTRAP TOPIC RECORDS``; prints one JSON object and ends. Imports Faust
itself, not through ``services.stream``: stock is what is measured.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from typing import Any
from uuid import uuid4

import faust
import orjson

from services.clock import steady_s


def main(bootstrap: str, topic: str, records: int) -> None:
    """Counts ``records`` records of ``topic`` by their kind and prints how long it took from the first one."""
    app = faust.App(
        f"bench-{uuid4().hex[:8]}",
        broker=f"kafka://{bootstrap}",
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="deskpulse-bench-faust-"),
    )
    counts: Counter[str] = Counter()

    async def count(stream: Any) -> None:
        began_s, number = 0.0, 0
        async for event in stream:
            counts[event["kind"]] += 1
            number += 1
            if number == 1:
                began_s = steady_s()
            elif number == records:
                print(orjson.dumps({"records": number - 1, "seconds": steady_s() - began_s}).decode(), flush=True)

    app.agent(app.topic(topic, value_serializer="json"))(count)
    app.finalize()
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
