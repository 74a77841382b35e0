"""Fixtures that give tests a Kafka and a Redis: started when first asked for, once in a session.

The environment steers them:

- DESKPULSE_TEST_KAFKA=host:port, DESKPULSE_TEST_REDIS=redis://...: use these, start nothing.
- DESKPULSE_REQUIRE_REAL=1: without a real Kafka and a real Redis the run fails.
- DESKPULSE_NO_SKIP=1: a run with a skipped test fails.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, NoReturn, Protocol

import anyio
import pytest
from hypothesis import HealthCheck, settings

from services.embedded import Unavailable
from services.state.address import Address
from tests.support import apache_kafka
from tests.support import kafka as kafka_support
from tests.support import redis as redis_support
from tests.support.choice import Note, flag, real_required
from tests.support.kafka import Kafka, KafkaKind
from tests.support.redis import RedisKind, RedisServer
from tests.support.redis_cluster import RedisCluster

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("deskpulse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("deskpulse")


_WAITING = ("e2e", "integration")
_LONG = (
    *("test_alerts_kill_points.py", "test_docs_commands.py", "test_board.py", "test_metrics_worker.py"),
    *("test_rolling_upgrade.py", "test_openapi.py", "test_replay.py", "test_secure_line.py", "test_send_test.py"),
    *("test_state_versions.py", "test_first_ten_minutes.py"),
)


class Parts:
    """What this session has chosen, and what of it has been started."""

    def __init__(self) -> None:
        self.kafka_kinds: list[KafkaKind] = kafka_support.candidates()
        self.redis_kinds: list[RedisKind] = redis_support.candidates()
        self.kafka: Kafka | None = None
        self.redis: RedisServer | None = None
        self.elsewhere: list[str] = []


PARTS = pytest.StashKey[Parts]()


def pytest_configure(config: pytest.Config) -> None:
    # A broker of a few minutes is done before Java's second compiler has earned what it takes from the tests.
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    config.stash[PARTS] = Parts()
    config.pluginmanager.register(FromWorkers(config.stash[PARTS]))


def pytest_report_header(config: pytest.Config) -> list[str]:
    parts = config.stash[PARTS]
    return [
        f"kafka: {_choice(parts.kafka_kinds)}, started when a test needs it",
        f"redis: {_choice(parts.redis_kinds)}, started when a test needs it",
    ]


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not kafka"` leaves out whatever uses one of the fixtures; nobody has to remember the mark. Files that wait
    for brokers and processes come first: a long one at the end would leave the other workers without anything to do."""
    rank = {name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: (rank.get(item.path.name, len(rank)), item.path.parent.name not in _WAITING))
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for mark, fixture in (("kafka", "kafka"), ("redis", "redis_server")):
            if fixture in fixtures:
                item.add_marker(mark)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail before the first test where a part is demanded and missing, and fetch what must be fetched: a
    download belongs to no test and to no test's timeout."""
    if session.config.option.collectonly:
        return
    parts = session.config.stash[PARTS]
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if real_required():
        for name, kinds in (("kafka", parts.kafka_kinds), ("redis_server", parts.redis_kinds)):
            if name in wanted and not kinds:
                raise pytest.UsageError(f"DESKPULSE_REQUIRE_REAL is set and there is no real {name} here")
    if "kafka" in wanted and parts.kafka_kinds[:1] == [KafkaKind.APACHE]:
        try:
            apache_kafka.obtain(_note(session.config))
        except Unavailable as reason:
            _note(session.config)(str(reason))
            parts.kafka_kinds.remove(KafkaKind.APACHE)
            if real_required():
                raise pytest.UsageError(str(reason)) from reason


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # a worker of pytest-xdist: its parts are told by the process that writes the summary
        output["parts used"] = _used(session.config.stash[PARTS])
    if flag("DESKPULSE_NO_SKIP") and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in sorted({*_used(config.stash[PARTS]), *config.stash[PARTS].elsewhere}):
        terminalreporter.write_line(line)
    skipped = _skipped(config)
    if flag("DESKPULSE_NO_SKIP") and skipped:
        terminalreporter.section("skipped, and DESKPULSE_NO_SKIP allows none", red=True)
        for report in skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.write_line(f"{report.nodeid}: {why}")


def _used(parts: Parts) -> list[str]:
    """What this process ran against, a line for each part."""
    lines = []
    if parts.kafka is not None:
        lines.append(f"kafka used: {parts.kafka.kind}, {parts.kafka.version}, at {parts.kafka.bootstrap}")
    if parts.redis is not None:
        lines.append(f"redis used: {parts.redis.kind}, {parts.redis.version}, at {parts.redis.address}")
    return lines


class FromWorkers:
    """Hears from the workers of pytest-xdist what they ran against."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._parts.elsewhere += getattr(node, "workeroutput", {}).get("parts used", [])


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {}


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A running broker, with no topic that anyone else uses."""
    parts = request.config.stash[PARTS]
    with ExitStack() as stack:
        try:
            server = kafka_support.serving_kafka(parts.kafka_kinds, _note(request.config))
            parts.kafka = stack.enter_context(server)
        except Unavailable as reason:
            _unavailable(reason)
        yield parts.kafka
        if parts.kafka.kind is KafkaKind.CONFIGURED and parts.kafka.created:
            anyio.run(parts.kafka.delete_created)


class NewTopic(Protocol):
    def __call__(
        self, noun: str, *, partitions: int = ..., config: Mapping[str, str] | None = ...
    ) -> Awaitable[str]: ...


@pytest.fixture
def new_topic(kafka: Kafka) -> NewTopic:
    """`await new_topic("tickets", partitions=4)` makes an empty topic and returns its name."""

    async def create(noun: str, *, partitions: int = 4, config: Mapping[str, str] | None = None) -> str:
        name = kafka_support.unique(noun)
        await kafka.create_topic(name, partitions=partitions, config=config)
        return name

    return create


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """`unique_name("workers")` is a topic, group or client name that nobody else uses."""
    return kafka_support.unique


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A running Redis. What is in it is whatever earlier tests left: most tests want `redis_db`."""
    parts = request.config.stash[PARTS]
    with ExitStack() as stack:
        try:
            server = redis_support.serving_redis(parts.redis_kinds, _note(request.config))
            parts.redis = stack.enter_context(server)
        except Unavailable as reason:
            _unavailable(reason)
        yield parts.redis
        parts.redis.empty()


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def redis_db(redis_server: RedisServer) -> str:
    """The URL of a Redis database that is empty."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A running Redis Cluster of three nodes. Most tests want `cluster_db`."""
    try:
        cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    except Unavailable as reason:
        _unavailable(reason)
    with cluster:
        yield cluster


@pytest.fixture
def cluster_db(redis_cluster: RedisCluster) -> Address:
    """Where a Redis Cluster is that is empty."""
    redis_cluster.empty()
    return redis_cluster.address


def _unavailable(reason: Unavailable) -> NoReturn:
    if real_required():
        raise reason
    pytest.skip(str(reason))


def _choice(kinds: list[KafkaKind] | list[RedisKind]) -> str:
    return " or else ".join(kinds) or "none here"


def _note(config: pytest.Config) -> Note:
    """A line on the terminal now, also from a fixture: who waits for a download wants to know for what."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:
        return print

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    return say


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else reporter.stats.get("skipped", [])
