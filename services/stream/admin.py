"""Provisioning: makes the topics of ``schemas/topics`` where they are missing, and says where they differ.

What exists is never altered. Another number of partitions moves keys to other partitions, away from the state
that was built for them, and other settings may be an operator's decision: both are reported, for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, TopicAlreadyExistsError, for_code

from schemas.failure import NotNow
from schemas.topics import TOPICS, Topic
from services.stream.connection import Connection
from services.stream.diagnosis import unreachable

_POLL_S: Final = 0.05


class Outcome(StrEnum):
    """What :func:`apply` found or did; ``MISSING`` is only what :func:`compare` found."""

    CREATED = "created"
    MISSING = "missing"
    UNCHANGED = "unchanged"
    PARTITIONS_DIFFER = "partitions_differ"
    SETTINGS_DIFFER = "settings_differ"
    SETTINGS_UNREADABLE = "settings_unreadable"
    REFUSED = "refused"
    NOT_SUPPORTED = "not_supported"


IN_ORDER: Final = frozenset({Outcome.CREATED, Outcome.UNCHANGED})
"""Outcomes after which there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class TopicChange:
    """One row of the answer. ``partitions`` is how many there are now (0: no topic); ``detail`` is for a person."""

    topic: str
    outcome: Outcome
    partitions: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replicas: int


async def apply(
    connection: Connection,
    replication_factor: int | None = None,
    topics: Iterable[Topic] = tuple(TOPICS.values()),
    deadline_s: float = 30.0,
) -> list[TopicChange]:
    """Creates the topics that are missing and compares the others; one row for each, in the given order.

    ``replication_factor`` overrides what the topics declare; without it, a cluster of fewer brokers than declared
    gets as many copies as it has brokers. ``min.insync.replicas`` is one less than the copies (at least 1), so
    that ``acks=all`` means what it says and one broker may be away. May be repeated at any time.

    Raises :class:`NotNow` when Kafka does not answer within ``deadline_s``.
    """
    async with _admin(connection, deadline_s) as client:
        cluster = await client.describe_cluster()
        brokers = {broker["node_id"] for broker in cluster["brokers"]}
        declared = {topic.name: topic for topic in topics}
        copies = {
            name: replication_factor or min(topic.replication_factor, len(brokers)) for name, topic in declared.items()
        }
        found = await _found(client)
        missing = [topic for name, topic in declared.items() if name not in found]
        try:
            settings = await _settings(client, declared)
        except IncompatibleBrokerVersion:
            return [_unmanaged(topic, found.get(name)) for name, topic in declared.items()]
        if missing and cluster["controller_id"] not in brokers:
            raise NotNow("Kafka has no controller at the moment")
        rows = await _created(client, missing, copies)
        if any(name not in found and name not in rows for name in declared):
            # Someone else, most likely another `topics apply`, was quicker: what they made is compared as well.
            await _visible(client, declared.keys() - rows.keys())
            found, settings = await _found(client), await _settings(client, declared)
        for name in declared.keys() - rows.keys():
            rows[name] = _compared(declared[name], found[name], copies[name], settings[name])
        return [rows[name] for name in declared]


async def compare(
    connection: Connection, topics: Iterable[Topic] = tuple(TOPICS.values()), deadline_s: float = 10.0
) -> list[TopicChange]:
    """As :func:`apply`, without making what is missing. Asks about topics by name only where they are there. Raises
    :class:`NotNow`."""
    declared = {topic.name: topic for topic in topics}
    async with _admin(connection, deadline_s) as client:
        brokers = {broker["node_id"] for broker in (await client.describe_cluster())["brokers"]}
        found = await _found(client)
        there = {name: topic for name, topic in declared.items() if name in found}
        try:
            settings = await _settings(client, there) if there else {}
        except IncompatibleBrokerVersion:
            return [
                _unmanaged(topic, found[name]) if name in found else _missing(name) for name, topic in declared.items()
            ]
        return [
            _compared(topic, found[name], min(topic.replication_factor, len(brokers)), settings[name])
            if name in found
            else _missing(name)
            for name, topic in declared.items()
        ]


def _missing(name: str) -> TopicChange:
    return TopicChange(name, Outcome.MISSING, 0, "there is no such topic")


async def ensure_exist(
    connection: Connection, names: Collection[str] = tuple(TOPICS), deadline_s: float = 10.0
) -> dict[str, int]:
    """Makes topics appear on a broker that creates them when they are first asked about: the embedded one.

    Returns the number of partitions of each. Not for a cluster: what this asks for would come into being with the
    brokers' defaults where they create topics by themselves. Raises :class:`NotNow` when a topic has not appeared
    within ``deadline_s``.
    """
    async with _admin(connection, deadline_s) as client:
        while True:
            told = await client.describe_topics(list(names))
            if all(topic["error_code"] == 0 for topic in told):
                return {topic["topic"]: len(topic["partitions"]) for topic in told}
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def _admin(connection: Connection, deadline_s: float) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(**connection.arguments(), request_timeout_ms=int(deadline_s * 1000))
    try:
        async with asyncio.timeout(deadline_s):
            await client.start()
            yield client
    except TimeoutError:
        raise NotNow("Kafka did not answer in time") from None
    except (KafkaError, OSError):
        raise NotNow(await unreachable(connection)) from None
    finally:
        await client.close()


async def _found(client: Any) -> dict[str, _Found]:
    # All topics, not those by name: a broker that creates topics by itself would create what it is asked about.
    return {
        topic["topic"]: _Found(
            partitions=len(topic["partitions"]),
            replicas=min((len(one["replicas"]) for one in topic["partitions"]), default=0),
        )
        for topic in await client.describe_topics()
    }


async def _settings(client: Any, topics: Mapping[str, Topic]) -> dict[str, Mapping[str, str] | None]:
    """The settings of each topic, None where they cannot be read: no right to, or no such topic."""
    asked = [
        ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_wanted(topic, copies=1)))
        for name, topic in topics.items()
    ]
    answers = await client.describe_configs(asked)
    return {
        name: {entry[0]: entry[1] for entry in entries} if code == 0 else None
        for answer in answers
        for code, _, _, name, entries in answer.resources
    }


def _wanted(topic: Topic, copies: int) -> dict[str, str]:
    return topic.config.items() | {"min.insync.replicas": str(max(1, copies - 1))}


def _compared(topic: Topic, found: _Found, copies: int, settings: Mapping[str, str] | None) -> TopicChange:
    if found.partitions != topic.partitions:
        detail = (
            f"has {found.partitions} partitions, {topic.partitions} are declared. Left as it is: with another "
            "number, keys move to other partitions, away from their state. To repartition is to replay: stop the "
            "services, make the topic anew, and rebuild the state from the log"
        )
        return TopicChange(topic.name, Outcome.PARTITIONS_DIFFER, found.partitions, detail)
    if settings is None:
        detail = "exists, but its settings cannot be read: the account needs DescribeConfigs"
        return TopicChange(topic.name, Outcome.SETTINGS_UNREADABLE, found.partitions, detail)
    different = [
        f"{name} is {settings.get(name)}, declared is {value}"
        for name, value in _wanted(topic, found.replicas).items()
        if settings.get(name) != value
    ]
    if found.replicas < copies:
        different.insert(0, f"has {found.replicas} copies of each partition, declared are {copies}")
    if different:
        return TopicChange(topic.name, Outcome.SETTINGS_DIFFER, found.partitions, "; ".join(different))
    return TopicChange(topic.name, Outcome.UNCHANGED, found.partitions)


def _unmanaged(topic: Topic, found: _Found | None) -> TopicChange:
    if found is None:
        detail = "this broker cannot create topics by request; it appears, with the broker's settings, when first used"
        return TopicChange(topic.name, Outcome.NOT_SUPPORTED, 0, detail)
    detail = f"exists with {found.partitions} partitions; this broker cannot set partitions or settings"
    return TopicChange(topic.name, Outcome.NOT_SUPPORTED, found.partitions, detail)


async def _created(client: Any, missing: list[Topic], copies: Mapping[str, int]) -> dict[str, TopicChange]:
    """A row for each topic that was created or refused; none for one that is there after all."""
    if not missing:
        return {}
    answer = await client.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                copies[topic.name],
                topic_configs=_wanted(topic, copies[topic.name]),
            )
            for topic in missing
        ]
    )
    declared = {topic.name: topic for topic in missing}
    rows: dict[str, TopicChange] = {}
    for name, code, *message in answer.topic_errors:
        if code == 0:
            detail = f"{copies[name]} copies of each partition"
            rows[name] = TopicChange(name, Outcome.CREATED, declared[name].partitions, detail)
        elif code != TopicAlreadyExistsError.errno:
            said = next((text for text in message if text), for_code(code).__name__)
            rows[name] = TopicChange(name, Outcome.REFUSED, 0, said)
    await _visible(client, {name for name, row in rows.items() if row.outcome is Outcome.CREATED})
    return rows


async def _visible(client: Any, names: Collection[str]) -> None:
    """Returns when the topics can be written to: creation is answered before every broker knows of it."""
    while True:
        led = {
            topic["topic"]
            for topic in await client.describe_topics()
            if topic["error_code"] == 0 and all(one["leader"] >= 0 for one in topic["partitions"])
        }
        if led.issuperset(names):
            return
        await asyncio.sleep(_POLL_S)
