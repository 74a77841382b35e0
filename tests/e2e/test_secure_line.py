"""The whole line with everything locked: Kafka over SASL_SSL with rights, and a Redis Cluster over TLS with an ACL.

Rights and ACL are those of docs/guides/secure-connections.md, read from it: what is missing there fails here.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from schemas.failure import NotNow
from schemas.state import position_key
from services.embedded import Unavailable
from services.state import client
from services.state.address import Address
from services.stream.connection import Connection
from services.stream.survey import survey
from services.tls import SYSTEM, Tls
from tests.support import apache_kafka, signing
from tests.support.apache_kafka import ApacheKafka, Secure
from tests.support.certificates import Authority, Certificate
from tests.support.choice import real_required
from tests.support.line import Line
from tests.support.redis_cluster import RedisCluster
from tests.support.wait import eventually, until

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(300)]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "secure-connections.md"
ACCOUNTS = ("ingest", "metrics", "alerts", "operator")
PASSWORDS = {name: f"{name}-geheim" for name in ACCOUNTS}
REDIS_PASSWORD, KEY_PASSWORD = "redis-geheim", "key-geheim"
CONFIG = """
sources:
  desk: {vendor: generic, secrets: ["${GENERIC_SECRET}"]}
sla_policies:
  - {name: quick, warn_at: ["50%"], targets: {first_response: {"*": 3s}}}
segments: [[channel], [source]]
windows: [15m, 1h]
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """Both servers, and who may come in."""

    authority: Authority
    other: Authority
    person: Certificate
    stranger: Certificate
    kafka: ApacheKafka
    doors: Secure
    redis: RedisCluster

    @property
    def trusting(self) -> Tls:
        return Tls(str(self.authority.ca))

    @property
    def known(self) -> Tls:
        return Tls(str(self.authority.ca), str(self.person.cert), str(self.person.key), KEY_PASSWORD)

    @property
    def address(self) -> Address:
        return Address(self.redis.url, "deskpulse", REDIS_PASSWORD, cluster=True, tls=self.known)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    if not apache_kafka.obtainable():
        if real_required():
            raise Unavailable("Apache Kafka cannot be had here: Java and Maven are needed")
        pytest.skip("Apache Kafka cannot be had here")
    folder = tmp_path_factory.mktemp("locked")
    authority, other = Authority(folder / "ca"), Authority(folder / "other", "Somebody else")
    person = authority.issue("person", password=KEY_PASSWORD)
    doors = Secure(authority, PASSWORDS)
    with (
        ApacheKafka(folder / "kafka", secure=doors) as kafka,
        RedisCluster(
            folder / "redis",
            replicas=1,
            authority=authority,
            client=person,
            password="root-geheim",
            options=("--user", *_redis_rights().replace("PASSWORD", REDIS_PASSWORD).split()[2:]),
        ) as redis,
    ):
        _give_rights(kafka.bootstrap)
        yield Locked(authority, other, person, other.issue("stranger"), kafka, doors, redis)


def _give_rights(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    rows = re.findall(r"^\| (\w+) \| (topic|group|cluster) \| (\S+) \| (\w+) \| (.+?) \|$", GUIDE.read_text(), re.M)
    assert {account for account, *_ in rows} == set(ACCOUNTS)
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}
    rights = [
        AclBinding(
            kinds[kind],
            name,
            ResourcePatternType[pattern.upper()],
            f"User:{account}",
            "*",
            AclOperation[operation.strip()],
            AclPermissionType.ALLOW,
        )
        for account, kind, name, pattern, operations in rows
        for operation in operations.split(",")
    ]
    for done in admin.create_acls(rights).values():
        done.result(30)


def _redis_rights() -> str:
    found = re.search(r"^ACL SETUSER deskpulse .+$", GUIDE.read_text(), re.M)
    assert found is not None
    return found[0]


def _as(account: str) -> dict[str, str]:
    return {
        "DESKPULSE_KAFKA_SASL_MECHANISM": "PLAIN" if account == "alerts" else "SCRAM-SHA-512",
        "DESKPULSE_KAFKA_SASL_USERNAME": account,
        "DESKPULSE_KAFKA_SASL_PASSWORD": PASSWORDS[account],
    }


@pytest.fixture(scope="module")
def settings(locked: Locked, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "deskpulse_redis_password").write_text(f"{REDIS_PASSWORD}\n")
    (secrets / "deskpulse_redis_ssl_key_password").write_text(f"{KEY_PASSWORD}\n")
    return {
        "GENERIC_SECRET": "whsec_c2VjcmV0",
        "DESKPULSE_SECRETS_DIR": str(secrets),
        "DESKPULSE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "DESKPULSE_KAFKA_SSL_CAFILE": str(locked.authority.ca),
        "DESKPULSE_REDIS_CLUSTER": "true",
        "DESKPULSE_REDIS_USERNAME": "deskpulse",
        "DESKPULSE_REDIS_SSL_CAFILE": str(locked.authority.ca),
        "DESKPULSE_REDIS_SSL_CERTFILE": str(locked.person.cert),
        "DESKPULSE_REDIS_SSL_KEYFILE": str(locked.person.key),
    }


@pytest.fixture(scope="module")
def line(locked: Locked, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    found = Line(
        tmp_path_factory.mktemp("secure"),
        CONFIG,
        locked.doors.sasl_ssl,
        locked.redis.url,
        settings,
        own={name: _as(name) for name in ("ingest", "metrics", "alerts")},
        admin=locked.kafka.bootstrap,
    )
    yield found
    found.stop()


def command(line: Line, *arguments: str, account: str = "operator", **changed: str) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {**os.environ, **line.environment, **_as(account), **changed}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def closed_after(work: Awaitable[Any]) -> Any:
    """What ``work`` gives, once every socket is closed: the libraries close those of failed attempts a little later."""
    loop: Any = asyncio.get_running_loop()
    try:
        return await work
    finally:
        await eventually(lambda: len(loop._selector.get_map()) <= 1, "no socket is left open")


def created(line: Line, ticket_id: str) -> None:
    body = json.dumps(
        {
            "event_id": str(uuid4()),
            "ticket_id": ticket_id,
            "kind": "ticket.created",
            "occurred_at": datetime.now(UTC).isoformat(),
            "actor": {"kind": "customer"},
            "ticket": {"channel": "email"},
        }
    ).encode()
    answer = line.post("desk", body, signing.standard(body, b"secret", str(uuid4())))
    assert answer.status_code == 200, answer.text


def counted(line: Line) -> int:
    answer = line.client.get(f"{line.url('api')}/v1/kpis", params={"window": "1h", "segment": "source:desk"})
    return int(answer.json()["kpis"]["tickets_created"]["count"]) if answer.status_code == 200 else -1


def test_a_breach_comes_through_with_no_more_rights_than_the_guide_gives(line: Line, locked: Locked) -> None:
    with line.stream() as seen:
        for number in range(20):
            created(line, f"first-{number}")
        until(lambda: len([e for e in seen if e.get("event") == "breached"]) >= 20, "all breach", timeout_s=60)
    until(lambda: counted(line) == 20, "all are counted", timeout_s=30)
    assert len(line.get("/v1/sla/timers", state="breached", limit=50)["timers"]) == 20
    assert line.get("/v1/tickets/desk/first-7")["status"] == "new"
    assert len({e["id"] for e in seen if "id" in e}) >= 20
    for node in locked.redis.nodes[:3]:
        assert node.client.acl_log() == [], "Redis refused nothing"


def test_doctor_sees_it_all_and_says_what_is_wrong(line: Line, locked: Locked, tmp_path: Path) -> None:
    told = command(line, "doctor", "--json")
    found = {one["what"]: one for one in json.loads(told.stdout)["findings"]}
    assert found["kafka"]["ok"], found["kafka"]
    assert found["topics"]["ok"], found["topics"]
    assert found["redis"]["ok"], found["redis"]
    wrong = command(line, "doctor", "--json", DESKPULSE_KAFKA_SASL_PASSWORD="no", DESKPULSE_REDIS_PASSWORD="no")
    found = {one["what"]: one for one in json.loads(wrong.stdout)["findings"]}
    assert "wrong user or password" in found["kafka"]["detail"]
    assert "wrong user or password" in found["redis"]["detail"], found["redis"]
    said = told.stdout + told.stderr + wrong.stdout + wrong.stderr
    assert not [secret for secret in (*PASSWORDS.values(), REDIS_PASSWORD, KEY_PASSWORD) if secret in said]


def test_a_primary_dies_under_load_and_every_ticket_is_counted_once(line: Line, locked: Locked) -> None:
    dying = locked.redis.nodes[0]
    assert any(locked.redis.owner(position_key(number)) is dying for number in range(12))
    before = counted(line)
    for number in range(80):
        created(line, f"load-{number}")
        if number == 20:
            dying.kill()
    until(lambda: counted(line) == before + 80, "all are counted, once", timeout_s=60)
    dying.start()
    until(lambda: not dying.primary, "it comes back as a replica", timeout_s=30)
    for number in range(80, 90):
        created(line, f"load-{number}")
    until(lambda: counted(line) == before + 90, "it goes on", timeout_s=30)
    timers = len(line.get("/v1/sla/timers", state="breached", limit=200)["timers"])
    until(lambda: timers <= len(line.get("/v1/sla/timers", state="breached", limit=200)["timers"]), "timers stay")


def test_no_log_holds_a_secret(line: Line) -> None:
    said = "".join(service.said() for service in line.services.values())
    assert not [secret for secret in (*PASSWORDS.values(), REDIS_PASSWORD, KEY_PASSWORD) if secret in said]


def test_every_way_into_kafka_works(locked: Locked) -> None:
    def by(mechanism: str) -> Connection:
        return Connection(
            locked.doors.sasl_ssl, "SASL_SSL", mechanism, "operator", PASSWORDS["operator"], locked.trusting
        )

    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        assert asyncio.run(closed_after(survey(by(mechanism)))).brokers == 1
    assert asyncio.run(closed_after(survey(Connection(locked.doors.ssl, "SSL", tls=locked.known)))).brokers == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sasl_password": "no"}, "wrong user or password"),
        ({"sasl_password": "no", "sasl_mechanism": "PLAIN"}, "wrong user or password"),
        ({"tls": "other"}, "authority of the broker's certificate is not trusted"),
        ({"tls": "system"}, "authority of the broker's certificate is not trusted"),
        ({"host": "localhost"}, "certificate names another host"),
        ({"security_protocol": "PLAINTEXT"}, "it closes the connection at once"),
        ({"security_protocol": "SSL", "door": "ssl"}, "without a client certificate that it trusts"),
        ({"security_protocol": "SSL", "door": "ssl", "tls": "stranger"}, "does not trust our certificate"),
        ({"door": "ssl", "tls": "known"}, "it asks for no password on this port"),
        ({"door": "plain"}, "it closes the connection at once"),
    ],
)
def test_what_is_wrong_with_a_connection_to_kafka_is_said(locked: Locked, changed: dict[str, Any], said: str) -> None:
    doors = {"sasl": locked.doors.sasl_ssl, "ssl": locked.doors.ssl, "plain": locked.kafka.bootstrap}
    stranger = Tls(str(locked.authority.ca), str(locked.stranger.cert), str(locked.stranger.key))
    trusts = {"known": locked.known, "other": Tls(str(locked.other.ca)), "system": SYSTEM, "stranger": stranger}
    connection = Connection(
        doors[changed.get("door", "sasl")].replace("127.0.0.1", changed.get("host", "127.0.0.1")),
        changed.get("security_protocol", "SASL_SSL"),
        changed.get("sasl_mechanism", "SCRAM-SHA-512"),
        "operator",
        changed.get("sasl_password", PASSWORDS["operator"]),
        trusts.get(changed.get("tls", ""), locked.trusting),
    )
    with pytest.raises(NotNow, match=said):
        asyncio.run(closed_after(survey(connection)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"password": "no"}, "wrong user or password"),
        ({"username": None, "password": None}, "it asks for a password"),
        ({"tls": "other"}, "authority is not trusted"),
        ({"tls": "trusting"}, "asks for a client certificate|closed the connection"),
        ({"tls": "stranger"}, "does not trust our certificate|closed the connection"),
        ({"host": "localhost"}, "certificate names another host"),
        ({"cluster": False}, "set DESKPULSE_REDIS_CLUSTER"),
    ],
)
def test_what_is_wrong_with_a_connection_to_redis_is_said(
    locked: Locked, changed: dict[str, Any], said: str | None
) -> None:
    stranger = Tls(str(locked.authority.ca), str(locked.stranger.cert), str(locked.stranger.key))
    own = Tls(str(locked.other.ca), str(locked.person.cert), str(locked.person.key), KEY_PASSWORD)
    trusts = {"trusting": locked.trusting, "other": own, "stranger": stranger}
    address = Address(
        locked.address.nodes()[1].replace("127.0.0.1", changed.get("host", "127.0.0.1")),
        changed.get("username", "deskpulse"),
        changed.get("password", REDIS_PASSWORD),
        changed.get("cluster", True),
        trusts.get(changed.get("tls", ""), locked.known),
    )

    async def asked() -> None:
        redis: Any = client.reader(address)
        try:
            with client.away():
                for name in "abcdef":
                    await redis.get(f"dp:{name}")
        finally:
            await redis.aclose()

    if said is None:
        asyncio.run(closed_after(asked()))
        return
    with pytest.raises(NotNow, match=said):
        asyncio.run(closed_after(asked()))
