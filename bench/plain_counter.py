"""The upper reference: plain aiokafka, ``getmany`` and orjson, that decodes and counts and keeps nothing.

Run as ``python -m bench.plain_counter BOOTSTRAP TOPIC RECORDS``; prints one JSON object and ends.
"""

from __future__ import annotations

import sys
from collections import Counter

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from services.clock import steady_s


async def main(bootstrap: str, topic: str, records: int) -> None:
    """Counts ``records`` records of ``topic`` by their kind and prints how long it took from the first batch."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    counts: Counter[str] = Counter()
    number, first, began_s = 0, 0, 0.0
    await consumer.start()
    try:
        while number < records:
            for messages in (await consumer.getmany(timeout_ms=100, max_records=2000)).values():
                for message in messages:
                    counts[orjson.loads(message.value)["kind"]] += 1
                number += len(messages)
            if number and not first:
                first, began_s = number, steady_s()
        seconds = steady_s() - began_s
    finally:
        await consumer.stop()
    print(orjson.dumps({"records": number - first, "seconds": seconds}).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
