"""Two replicas of every service, and a balancer before them that asks who is ready, as a Service of Kubernetes does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx

from services.embedded.port import free_port
from services.stream.producer import Connection
from tests.support.service import Service
from tests.support.topics import renewed
from tests.support.wait import until

SERVICES: Final = ("ingest", "metrics", "alerts", "api")
REPLICAS: Final = ("a", "b")
ROLES: Final = tuple((name, replica) for name in SERVICES for replica in REPLICAS)
Role = tuple[str, str]


class Fleet:
    """The replicas. ``program`` is what a replica runs, if not the command line itself."""

    def __init__(
        self, folder: Path, config: str, bootstrap: str, redis_url: str, environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        file = folder / "deskpulse.yaml"
        file.write_text(config)
        self.ports = {role: free_port() for role in ROLES}
        self._environment = {
            **environment,
            "DESKPULSE_CONFIG": str(file),
            "DESKPULSE_KAFKA_BOOTSTRAP": bootstrap,
            "DESKPULSE_REDIS_URL": redis_url,
        }
        asyncio.run(renewed(Connection(bootstrap)))
        self.services: dict[Role, Service] = {}
        self.client = httpx.Client(timeout=10, trust_env=False)

    def start(self, role: Role) -> None:
        name, replica = role
        own = {
            "DESKPULSE_INSTANCE_ID": f"{name}-{replica}",
            "DESKPULSE_DATA_DIR": str(self._folder / f"data-{name}-{replica}"),
            f"DESKPULSE_{name.upper()}_PORT": str(self.ports[role]),
        }
        log = self._folder / f"{name}-{replica}.log"
        self.services[role] = Service(name, self._environment | own, log)

    def url(self, role: Role) -> str:
        return f"http://127.0.0.1:{self.ports[role]}"

    def ready(self, role: Role, client: httpx.Client | None = None) -> bool:
        try:
            return (client or self.client).get(f"{self.url(role)}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def await_ready(self, *roles: Role) -> None:
        for role in roles:
            until(lambda r=role: self.ready(r), f"{role} is ready", timeout_s=60)

    def stop(self) -> None:
        """SIGTERM for all that run; SIGKILL for who does not end."""
        self.client.close()
        for service in self.services.values():
            if service.running:
                service.terminate()
        for service in self.services.values():
            try:
                service.stop(30)
            finally:
                if service.running:
                    service.kill()


@dataclass
class Balancer:
    """Asks every replica five times a second whether it is ready, and hands out those that are, in turn. ``alone``
    counts the times at which nobody was ready."""

    fleet: Fleet
    alone: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SERVICES, 0))
    clocks: Clocks = field(default_factory=lambda: Clocks())
    _turn: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._ready: dict[str, list[Role]] = {name: [(name, replica) for replica in REPLICAS] for name in SERVICES}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(role,), daemon=True) for role in ROLES]
        for thread in self._threads:
            thread.start()

    def _look(self, role: Role) -> None:
        name, _ = role
        with httpx.Client(timeout=2, trust_env=False) as client:
            while not self._over.wait(0.2):
                ready = self.fleet.ready(role, client)
                others = [one for one in self._ready[name] if one != role]
                self._ready[name] = sorted([*others, role]) if ready else others
                if not self._ready[name]:
                    self.alone[name] += 1
                if ready and name == "metrics":
                    self.clocks.seen(client.get(f"{self.fleet.url(role)}/metrics").text)

    def order(self, name: str) -> list[Role]:
        """The replicas to try, the one whose turn it is first."""
        ready = list(self._ready[name]) or [(name, replica) for replica in REPLICAS]
        at = next(self._turn) % len(ready)
        return ready[at:] + ready[:at]

    def ask(self, client: httpx.Client, name: str, send: Callable[[str], httpx.Response]) -> tuple[httpx.Response, int]:
        """The answer of the first replica that gives a good one, and how many were tried. At most twice."""
        tried, failure = 0, "nobody is there"
        for role in (self.order(name) * 2)[:2]:
            tried += 1
            try:
                answer = send(self.fleet.url(role))
            except httpx.TransportError as exc:
                failure = f"{role}: {type(exc).__name__} {exc}"
                continue
            if answer.is_success:
                return answer, tried
            failure = f"{role}: {answer.status_code} {answer.text}"
        raise AssertionError(failure)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)


class Clocks:
    """How long each partition's clock stood still, by what the metrics workers say of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stood: dict[str, tuple[float, float]] = {}
        self.longest_s: dict[str, float] = {}

    def seen(self, exposition: str) -> None:
        now_s = time.monotonic()
        with self._lock:
            for number, told in _WATERMARK.findall(exposition):
                at_s = float(told)
                before_s, since_s = self._stood.get(number, (0.0, now_s))
                if at_s > before_s:
                    self._stood[number] = (at_s, now_s)
                    self.longest_s[number] = max(self.longest_s.get(number, 0.0), now_s - since_s)

    def forgotten(self) -> dict[str, float]:
        """What was measured so far; from here on it is measured anew."""
        with self._lock:
            found, self.longest_s = self.longest_s, {}
        return found


_WATERMARK: Final = re.compile(r'deskpulse_watermark_timestamp_seconds\{partition="(\d+)"\} (\S+)')


class Listener:
    """A board: follows the stream through the balancer, resumes where it was cut off, and keeps what it heard."""

    def __init__(self, balancer: Balancer) -> None:
        self.heard: list[dict[str, Any]] = []
        self.streams = 0
        self._balancer = balancer
        self._over = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._begun.wait(20), "the stream has begun"

    def _listen(self) -> None:
        last: str | None = None
        with httpx.Client(timeout=httpx.Timeout(10, read=1.0), trust_env=False) as client:
            while not self._over.is_set():
                url = self._balancer.fleet.url(self._balancer.order("api")[0])
                resume = {"Last-Event-ID": last} if last else {}
                try:
                    with client.stream("GET", f"{url}/v1/alerts/stream", headers=resume) as answer:
                        self.streams += answer.is_success
                        event: dict[str, Any] = {}
                        for line in answer.iter_lines():
                            self._begun.set()
                            name, _, value = line.partition(": ")
                            if name in ("id", "event"):
                                event[name] = value
                            elif name == "data":
                                event["data"] = json.loads(value)
                            elif not line and event:
                                last = event.get("id", last)
                                self.heard.append(event)
                                event = {}
                            if self._over.is_set():
                                return
                except httpx.TransportError:
                    continue

    def stop(self) -> None:
        self._over.set()
        self._thread.join(15)
