"""What is wrong with the settings of Kafka and Redis is told before anything starts, with the variable and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.config.environment import Environment
from services.config.transport import problems
from tests.support.certificates import Authority, Certificate

KAFKA: dict[str, Any] = {"kafka_bootstrap": "kafka:9093"}
REDIS: dict[str, Any] = {"redis_url": "rediss://redis:6379/0"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pem")
    authority = Authority(folder)
    one: Certificate = authority.issue("one")
    other, locked = authority.issue("other"), authority.issue("locked", password="geheim")
    (folder / "none.pem").write_text("nothing in here")
    return {
        "ca": str(authority.ca),
        "crt": str(one.cert),
        "key": str(one.key),
        "both": str(one.chain),
        "other_key": str(other.key),
        "locked_crt": str(locked.cert),
        "locked_key": str(locked.key),
        "none": str(folder / "none.pem"),
        "missing": str(folder / "missing.pem"),
    }


SASL: dict[str, Any] = {"kafka_sasl_username": "ann", "kafka_sasl_password": "geheim"}
SSL: dict[str, Any] = {"kafka_security_protocol": "SSL"}


@pytest.mark.parametrize(
    "given",
    [
        KAFKA,
        {**KAFKA, **SSL, "kafka_ssl_cafile": "ca"},
        {**KAFKA, **SSL, "kafka_ssl_certfile": "crt", "kafka_ssl_keyfile": "key"},
        {**KAFKA, **SSL, "kafka_ssl_certfile": "both"},
        {
            **KAFKA,
            **SSL,
            "kafka_ssl_certfile": "locked_crt",
            "kafka_ssl_keyfile": "locked_key",
            "kafka_ssl_key_password": "geheim",
        },
        {**KAFKA, **SASL, "kafka_security_protocol": "SASL_SSL", "kafka_ssl_check_hostname": False},
        {"redis_url": "redis://:pw@redis:6379/3"},
        {"redis_url": "unix:///run/redis.sock"},
        {**REDIS, "redis_username": "ann", "redis_password": "geheim", "redis_ssl_cafile": "ca"},
        {"redis_url": "redis://a:1,b:2,c:3", "redis_cluster": True},
        {"kafka_security_protocol": "SASL_SSL"},  # no brokers: `up` brings its own
    ],
)
def test_what_makes_sense_is_not_spoken_of(made: dict[str, str], given: dict[str, Any]) -> None:
    assert problems(environment(made, given)) == []


@pytest.mark.parametrize(
    ("given", "begins", "holds"),
    [
        ({**KAFKA, "kafka_bootstrap": "kafka"}, "BOOTSTRAP", "not host:port"),
        (
            {**KAFKA, **SASL, "kafka_sasl_username": None, "kafka_security_protocol": "SASL_SSL"},
            "SASL_USERNAME",
            "set it",
        ),
        (
            {**KAFKA, **SASL, "kafka_sasl_password": None, "kafka_security_protocol": "SASL_SSL"},
            "SASL_PASSWORD",
            "DESKPULSE_SECRETS_DIR",
        ),
        ({**KAFKA, "kafka_sasl_username": "ann"}, "SASL_USERNAME", "choose SASL_PLAINTEXT or SASL_SSL"),
        ({**KAFKA, "kafka_ssl_cafile": "ca"}, "SSL_CAFILE", "choose SSL"),
        (
            {**KAFKA, **SASL, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ssl_cafile": "ca"},
            "SSL_CAFILE",
            "SASL_SSL",
        ),
        ({**KAFKA, **SSL, "kafka_ssl_cafile": "missing"}, "SSL_CAFILE", "does not exist"),
        ({**KAFKA, **SSL, "kafka_ssl_cafile": "none"}, "SSL_CAFILE", "no certificate in PEM form"),
        ({**KAFKA, **SSL, "kafka_ssl_keyfile": "key"}, "SSL_KEYFILE", "without DESKPULSE_KAFKA_SSL_CERTFILE"),
        ({**KAFKA, **SSL, "kafka_ssl_certfile": "crt"}, "SSL_CERTFILE", "cannot be used"),
        (
            {**KAFKA, **SSL, "kafka_ssl_certfile": "crt", "kafka_ssl_keyfile": "other_key"},
            "SSL_KEYFILE",
            "not the key of",
        ),
        (
            {**KAFKA, **SSL, "kafka_ssl_certfile": "locked_crt", "kafka_ssl_keyfile": "locked_key"},
            "SSL_KEY_PASSWORD",
            "is not set",
        ),
        (
            {
                **KAFKA,
                **SSL,
                "kafka_ssl_certfile": "locked_crt",
                "kafka_ssl_keyfile": "locked_key",
                "kafka_ssl_key_password": "wrong",
            },
            "SSL_KEY_PASSWORD",
            "locked.key",
        ),
    ],
)
def test_a_setting_of_kafka_that_makes_no_sense_is_named(
    made: dict[str, str], given: dict[str, Any], begins: str, holds: str
) -> None:
    [line] = problems(environment(made, given))
    assert line.startswith(f"DESKPULSE_KAFKA_{begins}: ")
    assert holds in line
    assert problems(environment(made, given), kafka=False) == [], "the API speaks no Kafka"


@pytest.mark.parametrize(
    ("given", "begins", "holds"),
    [
        ({"redis_url": "http://redis"}, "URL", "not an address"),
        ({"redis_url": "redis://:geheim@redis:port"}, "URL", "not an address"),
        ({"redis_url": "redis://redis", "redis_ssl_cafile": "ca"}, "SSL_CAFILE", "rediss://"),
        ({"redis_url": "redis://redis", "redis_ssl_check_hostname": False}, "SSL_CHECK_HOSTNAME", "rediss://"),
        ({**REDIS, "redis_ssl_cafile": "missing"}, "SSL_CAFILE", "does not exist"),
        ({**REDIS, "redis_username": "ann"}, "PASSWORD", "is not set"),
        ({"redis_url": "redis://:geheim@redis", "redis_password": "geheim"}, "PASSWORD", "one place"),
        ({"redis_url": "redis://ann:geheim@redis", "redis_username": "ann"}, "USERNAME", "one place"),
        ({"redis_url": "redis://a:1,b:2"}, "CLUSTER", "several nodes"),
        ({"redis_url": "redis://a:1/3", "redis_cluster": True}, "URL", "only 0"),
        ({"redis_url": "unix:///run/redis.sock", "redis_cluster": True}, "CLUSTER", "socket"),
    ],
)
def test_a_setting_of_redis_that_makes_no_sense_is_named(
    made: dict[str, str], given: dict[str, Any], begins: str, holds: str
) -> None:
    [line] = problems(environment(made, given))
    assert line.startswith(f"DESKPULSE_REDIS_{begins}: ")
    assert holds in line
    assert "geheim" not in line


def test_passwords_come_from_files_and_are_shown_nowhere(tmp_path: Path) -> None:
    names = ("kafka_sasl_password", "kafka_ssl_key_password", "redis_password", "redis_ssl_key_password")
    for name in names:
        (tmp_path / f"deskpulse_{name}").write_text(f"{name}-geheim\n")
    found = Environment(**KAFKA, **REDIS, kafka_security_protocol="SASL_SSL", _secrets_dir=tmp_path)
    connection, address = found.kafka(), found.redis()
    told = (connection.sasl_password, connection.tls.key_password, address.password, address.tls.key_password)
    assert told == tuple(f"{name}-geheim" for name in names)
    assert "geheim" not in f"{found!r} {connection!r} {address!r} {address.shown}"


def environment(made: dict[str, str], given: dict[str, Any]) -> Environment:
    files = {name: made.get(str(value), value) if "file" in name else value for name, value in given.items()}
    return Environment(**files)
