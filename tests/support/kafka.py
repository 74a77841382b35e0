"""The Kafka that tests use: configured, in a container, Apache Kafka on this machine, or librdkafka's broker."""

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from services.embedded import Unavailable
from services.embedded.broker import MEMBERS_PER_GROUP, PARTITIONS, BrokerProcess
from services.embedded.port import free_port
from tests.support import apache_kafka
from tests.support.choice import Note, container_engine_answers, container_trouble, real_required


class KafkaKind(StrEnum):
    """Where the broker comes from, in the order of preference."""

    CONFIGURED = "configured by DESKPULSE_TEST_KAFKA"
    CONTAINER = "Apache Kafka in a container"
    APACHE = "Apache Kafka (KRaft, from Maven)"
    EMBEDDED = "the in-process broker of librdkafka"


@dataclass(frozen=True, slots=True)
class Kafka:
    """A running broker."""

    bootstrap: str
    kind: KafkaKind
    version: str
    can_create_topics: bool = True
    group_members: int | None = None  # how many members a consumer group may have; None is no limit
    created: list[str] = field(default_factory=list)

    async def create_topic(
        self, name: str, *, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None
    ) -> None:
        """Make an empty topic. Where topics cannot be created they appear by themselves with `PARTITIONS`
        partitions; another number is refused there, so that no test believes in partitions it does not have."""
        if not self.can_create_topics:
            if partitions != PARTITIONS or config:
                raise Unavailable(f"{self.kind} makes topics of {PARTITIONS} partitions without settings")
            return
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            answer = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(config or {}))])
        finally:
            await admin.close()
        for _, code, message in answer.topic_errors:
            if code:
                raise for_code(code)(message)
        self.created.append(name)

    async def delete_created(self) -> None:
        """Remove what `create_topic` made, on a broker that outlives the session."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics(self.created)
        finally:
            await admin.close()


def unique(noun: str) -> str:
    """A topic or group name that no other test and no other session uses."""
    return f"test.{noun}.{uuid.uuid4().hex[:12]}"


def candidates() -> list[KafkaKind]:
    """The kinds to try here, in order. CI allows only a real Kafka."""
    if os.environ.get("DESKPULSE_TEST_KAFKA"):
        return [KafkaKind.CONFIGURED]
    kinds = []
    if container_engine_answers():
        kinds.append(KafkaKind.CONTAINER)
    if apache_kafka.obtainable():
        kinds.append(KafkaKind.APACHE)
    if not real_required():
        kinds.append(KafkaKind.EMBEDDED)
    return kinds


@contextmanager
def serving_kafka(kinds: list[KafkaKind], note: Note) -> Iterator[Kafka]:
    """The first of `kinds` that starts; `note` hears why an earlier one did not. Unavailable when none does."""
    reasons = []
    for kind in kinds:
        server = _SERVERS[kind](note)
        try:
            kafka = server.__enter__()
        except Unavailable as reason:
            reasons.append(f"{kind}: {reason}")
            note(reasons[-1])
            continue
        try:
            yield kafka
        finally:
            server.__exit__(None, None, None)
        return
    raise Unavailable(
        "; ".join(reasons) or "no Kafka for the tests: set DESKPULSE_TEST_KAFKA, or install Java and Maven"
    )


@contextmanager
def _configured(_: Note) -> Iterator[Kafka]:
    yield Kafka(os.environ["DESKPULSE_TEST_KAFKA"], KafkaKind.CONFIGURED, "version unknown")


@contextmanager
def _container(note: Note) -> Iterator[Kafka]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    version, port = apache_kafka.kafka_version(), free_port()
    note(f"starting Apache Kafka {version} in a container")
    with container_trouble():
        container = DockerContainer(f"apache/kafka:{version}").with_bind_ports(9092, port)
        # The broker tells clients its address, so the address outside must be known before it starts.
        address = f"{container.get_docker_client().host()}:{port}"
        properties = apache_kafka.node_properties(
            listeners="PLAINTEXT://:9092,CONTROLLER://:9093",
            advertised=f"PLAINTEXT://{address}",
            controller="localhost:9093",
        )
        container.with_envs(**{f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in properties.items()})
        container.waiting_for(LogMessageWaitStrategy(apache_kafka.STARTED))
        container.start()
    try:
        yield Kafka(address, KafkaKind.CONTAINER, version)
    finally:
        container.stop()


@contextmanager
def _apache(note: Note) -> Iterator[Kafka]:
    with (
        tempfile.TemporaryDirectory(prefix="deskpulse-kafka-") as folder,
        apache_kafka.ApacheKafka(Path(folder), note=note) as server,
    ):
        yield Kafka(server.bootstrap, KafkaKind.APACHE, server.version)


@contextmanager
def _embedded(_: Note) -> Iterator[Kafka]:
    with BrokerProcess() as broker:
        yield Kafka(
            broker.bootstrap,
            KafkaKind.EMBEDDED,
            broker.version,
            can_create_topics=False,
            group_members=MEMBERS_PER_GROUP,
        )


_SERVERS = {
    KafkaKind.CONFIGURED: _configured,
    KafkaKind.CONTAINER: _container,
    KafkaKind.APACHE: _apache,
    KafkaKind.EMBEDDED: _embedded,
}
