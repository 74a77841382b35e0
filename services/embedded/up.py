"""`deskpulse up`: the whole system on one machine, on this machine's loopback interface only.

Broker and Redis are the embedded ones unless the environment names others. The services are child processes, one
for each consumer group, since the embedded broker serves groups of one member only. Nothing outlives this process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from schemas.failure import NotNow
from services.clock import steady_s
from services.config.document import Document, load
from services.config.environment import Environment
from services.embedded import Unavailable, running, secret_file
from services.embedded.broker import BrokerProcess
from services.embedded.child import Child
from services.embedded.console import Console
from services.embedded.greeting import Example, addresses, curl
from services.embedded.part import Part, module, search_path, send
from services.embedded.port import LOOPBACK, free_port
from services.embedded.redis import EmbeddedRedis
from services.embedded.stop_request import StopRequest
from services.state import client
from services.stream import admin
from services.stream.producer import Connection

SERVICES: Final = ("ingest", "metrics", "alerts", "api")
READY_WITHIN_S: Final = 90.0
GIVE_UP_AFTER_DEATHS: Final = 3
"""A service that dies so often before everything has been ready once will not come up."""
STOP_WITHIN_S: Final = 5.0

_TURN_S: Final = 0.1
_CHECK_WITHIN_S: Final = 60.0
_SESSION_TIMEOUT_S: Final = "3"
_SIMULATED_SECRET: Final = "DESKPULSE_SIMULATE_SECRET"  # noqa: S105 - the name of a variable

_TRYING_ONLY: Final = (
    "The embedded Kafka is for trying only: it keeps records in memory and begins anew with every start, which the "
    "metrics worker notices; what was counted stays in Redis."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to run: the configuration file, whether a simulated helpdesk posts to it at ``rate`` webhooks a second,
    and whether log lines stay JSON."""

    config: Path
    demo: bool = False
    rate: float = 4.0
    json_logs: bool = False


def up(wish: Wish, environment: Environment, variables: Mapping[str, str]) -> None:
    """Run everything until SIGINT or SIGTERM, then stop it within :data:`STOP_WITHIN_S`; a second signal ends it
    at once. From the main thread only. Raises :class:`Unavailable`, with a line for each thing to be put right,
    when it cannot come up; nothing is left running then either."""
    system = _System(wish, environment, variables)
    with StopRequest(system.kill_at_once) as stop:
        try:
            system.run(stop)
        finally:
            system.stop()


class _System:
    def __init__(self, wish: Wish, environment: Environment, variables: Mapping[str, str]) -> None:
        self._wish = wish
        self._environment = environment
        self._console = Console(json_logs=wish.json_logs)
        self._began_s = steady_s()
        self._data = environment.data_dir.absolute()
        self._variables = dict(variables)
        self._ports: dict[str, int] = {}
        self._generated: dict[str, str] = {}
        self._broker: BrokerProcess | None = None
        self._redis: EmbeddedRedis | None = None
        self._checking: Child | None = None
        self._parts: list[Part] = []
        self._simulate: Part | None = None

    def run(self, stop: StopRequest) -> None:
        self._ports = _chosen_ports(self._environment)
        config = self._wish.config
        try:
            wanted = secret_file.names(config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            wanted = []  # the check says what is wrong with the file
        self._generated = secret_file.provide(self._data, wanted, self._variables)
        self._variables |= self._generated
        self._variables |= {
            "PYTHONPATH": search_path(self._variables),
            "PYTHONUNBUFFERED": "1",
            "DESKPULSE_CONFIG": str(config.absolute()),
            "DESKPULSE_DATA_DIR": str(self._data),
            "DESKPULSE_BIND_HOST": LOOPBACK,
            **{f"DESKPULSE_{name.upper()}_PORT": str(port) for name, port in self._ports.items()},
        }
        if not self._checked(stop) or not asyncio.run(self._unless(stop)):
            return
        document = load(config, self._variables)
        self._start_services()
        if not self._ready(stop):
            return
        self._note()
        self._greet(document)
        if self._wish.demo:
            self._start_simulation(document)
        while not stop.wait(_TURN_S):
            self._tend()

    def stop(self) -> None:
        """Stop what runs, the sources of work first. May be repeated; raises nothing."""
        if not self._running():
            return
        self._console.say("stopping")
        running.forget(self._data)
        end_s = steady_s() + STOP_WITHIN_S
        # Each share is what may be spent in all when the step is over; what is left at the end is for killing.
        steps: list[tuple[list[Part], float]] = [
            ([self._simulate] if self._simulate else [], 1.0),
            ([part for part in self._parts if part.name == "ingest"], 2.2),
            ([part for part in self._parts if part.name != "ingest"], 4.0),
        ]
        for parts, share_s in steps:
            for part in parts:
                part.ask_to_stop()
            for part in parts:
                if not part.ended(end_s - STOP_WITHIN_S + share_s - steady_s()):
                    self._console.say(f"{part.name} did not stop in time and was killed")
                    part.kill()
        if self._checking is not None:
            self._checking.kill()
        if self._redis is not None:
            self._redis.stop(grace_s=max(0.1, end_s - 0.4 - steady_s()))
        if self._broker is not None:
            self._broker.child.kill()  # it has nothing to save
        self._parts, self._simulate, self._redis, self._broker, self._checking = [], None, None, None, None
        self._console.say("stopped")

    def kill_at_once(self) -> None:
        """For the signal handler: kills every child and waits for none."""
        for pid in self._running():
            send(pid, signal.SIGKILL)

    def _running(self) -> list[int]:
        children = [part.child for part in [*self._parts, *filter(None, [self._simulate])]]
        children += [self._checking, self._broker.child if self._broker else None]
        pids = [child.pid for child in children if child is not None and child.running]
        redis = self._redis.pid if self._redis is not None else None
        return pids if redis is None else [*pids, redis]

    def _checked(self, stop: StopRequest) -> bool:
        """The configuration is checked in a child, since only the services know what they can work with; broker and
        Redis start meanwhile. False when a stop came first."""
        check = self._checking = Child("check", module("check", str(self._wish.config)), env=self._variables)
        broker = "Kafka as configured" if self._environment.kafka_bootstrap else self._start_broker()
        redis = "Redis as configured" if self._environment.redis_url else self._start_redis()
        end_s = steady_s() + _CHECK_WITHIN_S
        while check.running:
            if stop.wait(_TURN_S):
                return False
            if steady_s() > end_s:
                raise Unavailable(f"{self._wish.config}: checking it took longer than {_CHECK_WITHIN_S:.0f} s")
        if check.exit_code != 0:
            raise Unavailable(check.tail() or f"{self._wish.config}: the check exited with {check.exit_code}")
        self._console.say(f"configuration {self._wish.config}")
        if self._generated:
            where = self._data / secret_file.FILE_NAME
            self._console.say(f"secrets       {where} ({', '.join(sorted(self._generated))})")
        self._console.say(f"kafka         {broker}")
        self._console.say(f"redis         {redis}")
        return True

    def _start_broker(self) -> str:
        self._broker = BrokerProcess(sink=self._console.sink("kafka"))
        self._variables["DESKPULSE_KAFKA_BOOTSTRAP"] = self._broker.bootstrap
        self._variables.setdefault("DESKPULSE_KAFKA_SESSION_TIMEOUT_S", _SESSION_TIMEOUT_S)
        return f"embedded, at {self._broker.bootstrap}"

    def _start_redis(self) -> str:
        self._redis = EmbeddedRedis(self._data / "redis")
        self._redis.start()
        self._variables["DESKPULSE_REDIS_URL"] = self._redis.url
        version = ".".join(map(str, self._redis.version))
        return f"embedded, version {version}, at {self._redis.url}, data in {self._redis.folder}"

    async def _unless(self, stop: StopRequest) -> bool:
        """Whether the stores were prepared before a stop came."""
        preparing = asyncio.create_task(self._prepare_stores())
        while not preparing.done() and not stop.made:
            await asyncio.wait({preparing}, timeout=_TURN_S)
        if not preparing.done():
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            return False
        await preparing
        return True

    async def _prepare_stores(self) -> None:
        """The topics are there afterwards, and Redis has answered."""
        environment = self._environment
        try:
            if self._broker is not None:
                await admin.ensure_exist(Connection(self._broker.bootstrap))
            else:
                for row in await admin.apply(environment.kafka()):
                    if row.partitions == 0:
                        raise Unavailable(f"topic {row.topic}: {row.detail}")
                    if row.outcome not in admin.IN_ORDER:
                        self._console.say(f"topic {row.topic}: {row.detail}")
        except NotNow as exc:
            raise Unavailable(f"{exc.what}: is DESKPULSE_KAFKA_BOOTSTRAP right?") from None
        if self._redis is None:
            redis = client.reader(environment.redis())
            try:
                await redis.ping()
            except (RedisError, OSError) as exc:
                raise Unavailable(
                    f"Redis does not answer ({type(exc).__name__}): is DESKPULSE_REDIS_URL right?"
                ) from None
            finally:
                await redis.aclose()

    def _start_services(self) -> None:
        self._parts = [Part(name, module(name), self._variables, self._console, self._ports[name]) for name in SERVICES]
        for part in self._parts:
            part.start()

    def _ready(self, stop: StopRequest) -> bool:
        """Whether all are ready; False when a stop came first. Unavailable when they do not become ready."""
        end_s = steady_s() + READY_WITHIN_S
        waiting = dict.fromkeys(self._parts, "It does not answer yet.")
        while waiting:
            for part in tuple(waiting):
                reason = part.not_ready()
                if reason is None:
                    del waiting[part]
                    self._console.say(f"{part.name:<13} ready")
                else:
                    waiting[part] = reason
                if part.deaths >= GIVE_UP_AFTER_DEATHS:
                    raise Unavailable(f"{part.name} does not start: {part.last_words()}")
                if stop.made:
                    return False
            if waiting and steady_s() > end_s:
                lines = [
                    f"{part.name} is not ready after {READY_WITHIN_S:.0f} s: {why}" for part, why in waiting.items()
                ]
                raise Unavailable("\n".join(lines))
            if waiting and stop.wait(_TURN_S):
                return False
            self._tend()
        return True

    def _tend(self) -> None:
        if self._redis is not None and not self._redis.running:
            self._console.say("redis ended; it is started again")
            self._redis.start()
        if self._broker is not None and not self._broker.child.running:
            self._console.say("kafka ended, and its records with it; it and all services are started again")
            for part in self._parts:
                part.kill()
            self._start_broker()
            asyncio.run(self._prepare_stores())
            self._start_services()
            self._note()
        for part in self._parts:
            part.tend()
        if self._simulate is not None:
            self._simulate.tend()

    def _note(self) -> None:
        """So that commands in another terminal find what runs here."""
        said = running.Running(
            pid=os.getpid(),
            kafka=self._variables.get("DESKPULSE_KAFKA_BOOTSTRAP") if self._broker is not None else None,
            redis=self._variables.get("DESKPULSE_REDIS_URL") if self._redis is not None else None,
            config=self._variables["DESKPULSE_CONFIG"],
            ports=self._ports,
        )
        try:
            running.note(self._data, said)
        except OSError as exc:
            self._console.say(f"{self._data / running.FILE_NAME} cannot be written ({exc.strerror})")

    def _greet(self, document: Document) -> None:
        say = self._console.say
        say()
        say(f"Deskpulse is running, {steady_s() - self._began_s:.0f} s after the start.")
        for line in addresses(self._ports, document.sources, self._data):
            say(line)
        if example := _example(document, self._wish.config, self._generated, self._data / secret_file.FILE_NAME):
            say()
            say("A webhook of your own, from another terminal:")
            say(curl(example, self._ports["ingest"]))
        say()
        if self._broker is not None:
            say(_TRYING_ONLY)
        say("Ctrl-C stops everything.")

    def _start_simulation(self, document: Document) -> None:
        found = next((item for item in document.sources.items() if item[1].vendor == "zendesk"), None)
        if found is None:
            self._console.say(f"{self._wish.config} has no source of vendor zendesk, so no helpdesk is simulated")
            return
        name, source = found
        url = f"http://{LOOPBACK}:{self._ports['ingest']}"
        argv = module(
            *("simulate", "--demo", "--rate", f"{self._wish.rate:g}", "--url", url),
            *("--source", name, "--secret-env", _SIMULATED_SECRET, "--json-logs"),
        )
        env = self._variables | {_SIMULATED_SECRET: source.secrets[0].get_secret_value()}
        self._simulate = Part("simulate", argv, env, self._console)
        self._simulate.start()
        self._console.say(f"A simulated helpdesk posts {self._wish.rate:g} webhooks a second to {name}.")


def _chosen_ports(environment: Environment) -> dict[str, int]:
    """The port of each service, a free one for 0. Unavailable with a line for each that is taken."""
    wanted = {name: int(getattr(environment, f"{name}_port")) for name in SERVICES}
    chosen: dict[str, int] = {}
    problems = []
    for name, port in wanted.items():
        variable = f"DESKPULSE_{name.upper()}_PORT"
        if port in chosen.values():
            problems.append(f"port {port} is given to two services: set {variable} to another")
        elif port and not _free(port):
            problems.append(f"port {port} is taken: {name} needs it; stop what uses it, or set {variable} to another")
        chosen[name] = port or _unused({*wanted.values(), *chosen.values()})
    if problems:
        raise Unavailable("\n".join(problems))
    return chosen


def _unused(given: Iterable[int]) -> int:
    taken = set(given)
    while (port := free_port()) in taken:
        pass
    return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _example(document: Document, config: Path, generated: Mapping[str, str], file: Path) -> Example | None:
    """How to post to the first source whose secret a shell can get at, generic ones before the others."""
    written = secret_file.source_variables(config.read_text(encoding="utf-8"))
    for vendor in ("generic", "zendesk"):
        for name, source in document.sources.items():
            if source.vendor == vendor and name in written:
                secret = source.secrets[0].get_secret_value()
                return Example(
                    source=name,
                    vendor=vendor,
                    variable=written[name],
                    file=file if written[name] in generated else None,
                    decoded=vendor == "generic" and secret.startswith("whsec_"),
                )
    return None
