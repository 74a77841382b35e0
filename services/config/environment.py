"""The environment: ``DESKPULSE_*`` variables for infrastructure. docs/settings.md lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.config.duration import seconds
from services.state.address import Address
from services.stream.connection import MECHANISMS, PROTOCOLS, Connection
from services.tls import Tls


def _horizon(text: str) -> str:
    if not 3600 <= seconds(text) <= 30 * 86_400:
        raise ValueError(f"'{text}' is less than 1h or more than 30d")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    """A validator of a setting that is one of ``choices``."""

    def chosen(text: str) -> str:
        if text not in choices:
            raise ValueError(f"'{text}' is none of {', '.join(choices)}")
        return text

    return chosen


class Environment(BaseSettings):
    """Where things are. Every field is the variable ``DESKPULSE_<FIELD>``; ``<FIELD>`` may come from a file named
    by the same variable in the folder ``DESKPULSE_SECRETS_DIR`` points to."""

    model_config = SettingsConfigDict(env_prefix="DESKPULSE_", frozen=True, extra="ignore")

    config: Path | None = Field(None, description="The YAML document. Default: deploy/config/deskpulse.yaml.")
    kafka_bootstrap: str | None = Field(None, description="Brokers, host:port separated by commas.")
    kafka_security_protocol: Annotated[str, AfterValidator(_one_of(*PROTOCOLS))] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Annotated[str, AfterValidator(_one_of(*MECHANISMS))] = Field(
        "PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_sasl_username: str | None = Field(None, description="User of SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password of SASL.")
    kafka_ssl_cafile: str | None = Field(
        None,
        description="PEM file of the authority that signed the brokers' certificates; then no other is trusted. "
        "Default: the system's authorities.",
    )
    kafka_ssl_certfile: str | None = Field(
        None, description="PEM file of our own certificate, where the brokers ask for one."
    )
    kafka_ssl_keyfile: str | None = Field(
        None, description="PEM file of that certificate's key, when it is not in the same file."
    )
    kafka_ssl_key_password: SecretStr | None = Field(None, description="Password of that key.")
    kafka_ssl_check_hostname: bool = Field(
        True, description="Whether a broker's certificate must name the host that we reached it by."
    )
    kafka_session_timeout_s: float = Field(
        45.0, ge=1, le=300, description="After how long without a sign of life a worker's partitions go to another."
    )
    instance_id: str | None = Field(
        None,
        description="A name that this replica keeps over restarts (a StatefulSet's pod name): it then gets its "
        "partitions back at once instead of after the session timeout.",
    )
    redis_url: str | None = Field(
        None,
        description="redis://, rediss:// (TLS) or unix:// URL of the state. For a Cluster several nodes may be named, "
        "separated by commas.",
    )
    redis_cluster: bool = Field(False, description="Whether DESKPULSE_REDIS_URL names nodes of a Redis Cluster.")
    redis_username: str | None = Field(None, description="User of Redis' ACL, when it is not in the URL.")
    redis_password: SecretStr | None = Field(None, description="Password of Redis, when it is not in the URL.")
    redis_ssl_cafile: str | None = Field(
        None,
        description="PEM file of the authority that signed Redis' certificate; then no other is trusted. Default: the "
        "system's authorities.",
    )
    redis_ssl_certfile: str | None = Field(
        None, description="PEM file of our own certificate, where Redis asks for one."
    )
    redis_ssl_keyfile: str | None = Field(
        None, description="PEM file of that certificate's key, when it is not in the same file."
    )
    redis_ssl_key_password: SecretStr | None = Field(None, description="Password of that key.")
    redis_ssl_check_hostname: bool = Field(
        True, description="Whether Redis' certificate must name the host that we reached it by."
    )
    bind_host: str = Field("127.0.0.1", description="Address that every service listens on.")
    ingest_port: int = Field(8080, ge=0, le=65_535, description="Port of POST /webhooks/{source}.")
    metrics_port: int = Field(8081, ge=0, le=65_535, description="Port of the metrics worker's probes and /metrics.")
    alerts_port: int = Field(8082, ge=0, le=65_535, description="Port of the alerts worker's probes and /metrics.")
    api_port: int = Field(8090, ge=0, le=65_535, description="Port of the query API and the board.")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest webhook body that ingest reads.")
    body_deadline_s: float = Field(10.0, gt=0, le=60, description="How long a sender may take for a webhook's body.")
    trusted_proxies: str = Field(
        "",
        description="Addresses and networks of the proxies before ingest, separated by commas: their "
        "X-Forwarded-For is believed where a source has `allow_from`.",
    )
    dedupe_horizon: Annotated[str, AfterValidator(_horizon)] = Field(
        "72h",
        description="How long ingest remembers what it has taken, from 1h to 30d. The default is three times the "
        "longest that a helpdesk sends again. About 200 bytes of Redis for each event.",
    )
    produce_deadline_s: float = Field(5.0, gt=0, le=60, description="How long ingest waits for Kafka's ack.")
    data_dir: Path = Field(
        Path(".deskpulse"), description="Where `deskpulse up` keeps its Redis file and secrets, and ingest its spool."
    )
    spool_dir: Path | None = Field(
        None,
        description="A folder of this ingest process alone, on a disk that outlives it: webhooks that were accepted "
        "while Kafka is away. Default: `spool` in DESKPULSE_DATA_DIR.",
    )
    spool_max_bytes: int = Field(
        1 << 30, ge=0, description="How much the spool may hold. 0 is no spool: every source gets 503 instead."
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=60,
        description="How long ingest and the API go on answering after SIGTERM, not ready: as long as a balancer that "
        "asks /readyz may take to look elsewhere. Not needed where something else waits before SIGTERM (`preStop`).",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    def kafka(self) -> Connection:
        """How to reach the brokers. Raises ``ValueError`` when no broker is configured."""
        if not self.kafka_bootstrap:
            raise ValueError("DESKPULSE_KAFKA_BOOTSTRAP is not set; `deskpulse up` starts an embedded broker")
        return Connection(
            bootstrap=self.kafka_bootstrap,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=_told(self.kafka_sasl_password),
            tls=Tls(
                self.kafka_ssl_cafile,
                self.kafka_ssl_certfile,
                self.kafka_ssl_keyfile,
                _told(self.kafka_ssl_key_password),
                self.kafka_ssl_check_hostname,
            ),
        )

    def spool(self) -> Path:
        """The folder of the spool."""
        return self.spool_dir if self.spool_dir is not None else self.data_dir / "spool"

    def redis(self) -> Address:
        """How to reach Redis. Raises ``ValueError`` when none is configured."""
        if not self.redis_url:
            raise ValueError("DESKPULSE_REDIS_URL is not set; `deskpulse up` starts an embedded Redis")
        return Address(
            url=self.redis_url,
            username=self.redis_username,
            password=_told(self.redis_password),
            cluster=self.redis_cluster,
            tls=Tls(
                self.redis_ssl_cafile,
                self.redis_ssl_certfile,
                self.redis_ssl_keyfile,
                _told(self.redis_ssl_key_password),
                self.redis_ssl_check_hostname,
            ),
        )


def _told(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
