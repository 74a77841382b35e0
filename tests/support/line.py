"""The whole line as an operator runs it: topics, ingest, metrics, alerts and API as processes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from services.embedded.port import free_port
from services.stream.producer import Connection
from tests.support.service import Service
from tests.support.topics import renewed
from tests.support.wait import until

SERVICES = ("ingest", "metrics", "alerts", "api")


class Line:
    """Four services on free ports. ``post`` is the helpdesk, ``get`` the leader, ``stream`` the board."""

    def __init__(
        self,
        folder: Path,
        config: str,
        bootstrap: str,
        redis_url: str,
        environment: Mapping[str, str],
        *,
        own: Mapping[str, Mapping[str, str]] | None = None,
        admin: str | None = None,
    ) -> None:
        """``own`` is what the environment of one service has beside; ``admin`` is where topics are made, when that is
        not ``bootstrap``."""
        self._own = own or {}
        self._folder = folder
        file = folder / "deskpulse.yaml"
        file.write_text(config)
        self.ports = {name: free_port() for name in SERVICES}
        self.environment = {
            **environment,
            "DESKPULSE_CONFIG": str(file),
            "DESKPULSE_DATA_DIR": str(folder / "data"),
            "DESKPULSE_KAFKA_BOOTSTRAP": bootstrap,
            "DESKPULSE_REDIS_URL": redis_url,
            "DESKPULSE_INSTANCE_ID": "e2e",
            **{f"DESKPULSE_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
        }
        asyncio.run(renewed(Connection(admin or bootstrap)))
        self.services = {name: self._start(name) for name in SERVICES}
        self.client = httpx.Client(timeout=10, trust_env=False)
        try:
            for name in SERVICES:
                until(lambda n=name: self.ready(n), f"{name} is ready", timeout_s=90)
        except BaseException as exc:
            for name, service in self.services.items():
                exc.add_note(f"{name} said: {service.said()[-600:]}")
                service.kill()
            raise

    def _start(self, name: str) -> Service:
        return Service(name, {**self.environment, **self._own.get(name, {})}, self._folder / f"{name}.log")

    def restart(self, name: str) -> None:
        """SIGKILL, and the same again."""
        self.services[name].kill()
        self.start(name)

    def start(self, name: str) -> None:
        """The service again, after it was stopped; returns when it is ready."""
        self.services[name] = self._start(name)
        until(lambda: self.ready(name), f"{name} is ready again", timeout_s=60)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def ready(self, name: str) -> bool:
        try:
            return self.client.get(f"{self.url(name)}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def post(self, source: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        return self.client.post(f"{self.url('ingest')}/webhooks/{source}", content=body, headers=dict(headers))

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"{self.url('api')}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def stream(self, **headers: str) -> Iterator[list[dict[str, Any]]]:
        """Events of /v1/alerts/stream while the block runs: ``{"id", "event", "data"}``, in order of arrival."""
        seen: list[dict[str, Any]] = []
        listening = threading.Event()
        over = threading.Event()

        def listen() -> None:
            with httpx.Client(timeout=httpx.Timeout(10, read=0.5), trust_env=False) as client:
                last = headers.get("last_event_id")
                while not over.is_set():
                    resume = {"Last-Event-ID": last} if last else {}
                    try:
                        with client.stream("GET", f"{self.url('api')}/v1/alerts/stream", headers=resume) as answer:
                            for event in _events(answer, listening):
                                seen.append(event)
                                last = event.get("id", last)
                    except httpx.TransportError:
                        continue

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        assert listening.wait(10), "the stream has begun"
        try:
            yield seen
        finally:
            over.set()
            thread.join(10)

    def stop(self) -> None:
        """SIGTERM for all; every one must end well."""
        self.client.close()
        codes = {name: service.stop() for name, service in self.services.items()}
        assert codes == dict.fromkeys(SERVICES, 0), codes


def _events(answer: httpx.Response, listening: threading.Event) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        listening.set()
        name, _, value = line.partition(": ")
        if name in ("id", "event"):
            event[name] = value
        elif name == "data":
            event["data"] = json.loads(value)
        elif not line and event:
            yield event
            event = {}
