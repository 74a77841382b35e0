"""The in-process Kafka broker of librdkafka, for trying Deskpulse where no Kafka is installed.

It speaks the real protocol and starts at once. What it does not do:

- keep anything: its log is in memory, about 5 MB for each partition, and the oldest records go first;
- create topics on request: a topic appears when it is first asked about, always with `PARTITIONS` partitions
  (the number is fixed in librdkafka, no setting reaches it), and a topic created by name is refused;
- serve consumer groups of more than one aiokafka member: a second one is answered InvalidRequest, and the
  first one is disturbed;
- hand a group over quickly: a new group's first join takes 3 s, every later one the session timeout less 1 s,
  and after a member was killed the session timeout comes on top. Short session timeouts (3 s works, 1.5 s does
  not) or partitions assigned by hand avoid the wait;
- stamp records: a produce answer carries the made-up time 1234 ms, while the record keeps its sender's time,
  and looking up an offset by time finds nothing.

`python -m services.embedded.broker` runs it as a process of its own: one JSON line on stdout when it serves,
then nothing until SIGTERM or SIGINT. `BrokerProcess` does that from Python.

This is the only module that imports confluent_kafka.
"""

import contextlib
import json
import queue
import signal
import sys
from pathlib import Path
from typing import Any, Self

from services.embedded import Unavailable
from services.embedded.child import Child, LineSink, discard

PARTITIONS = 4
MEMBERS_PER_GROUP = 1

_START_S = 20.0
_POLL_S = 0.05
_IMPORT_ROOT = Path(__file__).parents[2]  # so that the child finds this package whatever our working directory


class EmbeddedBroker:
    """One broker on a free loopback port, inside this process. It serves from construction until `stop`."""

    def __init__(self) -> None:
        """Return when the broker answers. Unavailable when the wheel is missing."""
        try:
            from confluent_kafka import Producer, libversion
        except ImportError:
            raise Unavailable(
                "no Kafka broker here: install deskpulse[embedded] or set DESKPULSE_KAFKA_BOOTSTRAP"
            ) from None
        # The broker belongs to a client handle; the handle's own connection is of no use to us, and its log
        # line about ignored bootstrap servers would only puzzle.
        self._handle: Any = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        (broker,) = self._handle.list_topics(timeout=_START_S).brokers.values()
        self.bootstrap = f"{broker.host}:{broker.port}"
        self.version = f"librdkafka {libversion()[0]}"

    def stop(self) -> None:
        """End the broker and forget all records. May be repeated."""
        self._handle = None  # librdkafka ends the broker with the last reference to its handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class BrokerProcess:
    """The same broker in a child process, so that its work does not share our interpreter."""

    def __init__(self, *, sink: LineSink = discard) -> None:
        """Return when the broker answers. `sink` gets what it logs. Unavailable when it does not start."""
        first: queue.SimpleQueue[str] = queue.SimpleQueue()

        def receive(line: str) -> None:
            if line.startswith('{"bootstrap"'):
                first.put(line)
            else:
                sink(line)

        argv = [sys.executable, "-m", "services.embedded.broker"]
        self.child = Child("kafka", argv, cwd=_IMPORT_ROOT, sink=receive)
        said = self._first(first)
        self.bootstrap: str = said["bootstrap"]
        self.version: str = said["version"]

    def _first(self, lines: "queue.SimpleQueue[str]") -> dict[str, str]:
        for _ in range(int(_START_S / _POLL_S)):
            ended = not self.child.running
            if ended:
                self.child.tail()  # waits until all that it printed has arrived
            with contextlib.suppress(queue.Empty):
                said: dict[str, str] = json.loads(lines.get(timeout=0 if ended else _POLL_S))
                return said
            if ended:
                break
        code = self.child.kill()
        raise Unavailable(self.child.tail() or f"the embedded broker did not start (exit code {code})")

    def stop(self) -> None:
        """End the broker and forget all records. May be repeated."""
        self.child.terminate(grace_s=5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit 1 and one line on stderr when there is no broker to serve."""
    asked_to_stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked_to_stop)  # before librdkafka starts threads, which inherit it
    try:
        broker = EmbeddedBroker()
    except Unavailable as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    with broker:
        sys.stdout.write(json.dumps({"bootstrap": broker.bootstrap, "version": broker.version}) + "\n")
        sys.stdout.flush()
        signal.sigwait(asked_to_stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
