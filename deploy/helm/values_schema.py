"""What may be in the chart's values: made into values.schema.json by make.py, which Helm holds every install to."""

from __future__ import annotations

from typing import Any, Final

from pydantic import SecretStr

from services.config.environment import Environment

Schema = dict[str, Any]

GIVEN: Final = (
    "config",
    "kafka_bootstrap",
    "kafka_security_protocol",
    "kafka_sasl_",
    "kafka_ssl_",
    "redis_",
    "instance_id",
    "ingest_port",
    "metrics_port",
    "alerts_port",
    "api_port",
    "data_dir",
    "spool_",
)
"""Beginnings of the settings that the chart gives from values of their own; every other one may stand in `settings`."""

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
TEXTS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}
LIST: Final[Schema] = {"type": "array", "items": {"type": "object"}}
FREE: Final[Schema] = {"type": "object"}
NAMES: Final[Schema] = {"type": "array", "items": {"type": "string", "minLength": 1}}
PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65535}
PORTS: Final[Schema] = {"type": "array", "items": PORT}
SPAN: Final[Schema] = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h))+$"}


def whole(minimum: int, maximum: int | None = None) -> Schema:
    """A whole number of at least ``minimum``."""
    return {"type": "integer", "minimum": minimum} | ({} if maximum is None else {"maximum": maximum})


def one_of(*choices: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(choices)}


def exactly(**keys: Schema) -> Schema:
    """A mapping with these keys and no other."""
    return {"type": "object", "additionalProperties": False, "properties": keys}


def camel(name: str) -> str:
    """``produce_deadline_s`` as it stands in `settings`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def settings() -> Schema:
    """Every setting of the services that has no value of its own in the chart."""
    kinds: dict[Any, Schema] = {int: whole(0), float: {"type": "number"}, bool: FLAG}
    found: dict[str, Schema] = {}
    for name, field in Environment.model_fields.items():
        if name.startswith(GIVEN):
            continue
        if field.annotation in (SecretStr, SecretStr | None):
            raise ValueError(f"{name} is a secret: give it a value of its own in the chart, and a place in GIVEN")
        found[camel(name)] = {**kinds.get(field.annotation, TEXT), "description": field.description}
    return exactly(**found)


def _tls() -> Schema:
    return exactly(existingSecret=TEXT, caKey=TEXT, certKey=TEXT, keyKey=TEXT, keyPasswordKey=TEXT, checkHostname=FLAG)


def _workload(grace_s: int, **more: Schema) -> Schema:
    return exactly(
        **more,
        terminationGracePeriodSeconds=whole(grace_s),
        resources=FREE,
        podDisruptionBudget=exactly(
            enabled=FLAG,
            maxUnavailable={"anyOf": [whole(1), {"type": "string", "pattern": "^[1-9][0-9]?%$"}]},
        ),
        extraEnv=LIST,
        podLabels=TEXTS,
        podAnnotations=TEXTS,
        nodeSelector=TEXTS,
        tolerations=LIST,
        affinity=FREE,
        topologySpreadConstraints=LIST,
        priorityClassName=TEXT,
    )


def _service() -> Schema:
    return exactly(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), port=PORT, annotations=TEXTS)


def _ingress() -> Schema:
    return exactly(enabled=FLAG, className=TEXT, host=TEXT, tlsSecret=TEXT, annotations=TEXTS)


def schema() -> Schema:
    """All of it."""
    reached = exactly(to=LIST, ports=PORTS)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart deskpulse",
        **exactly(
            **{"global": FREE},  # what an umbrella chart gives to all of its charts
            nameOverride=TEXT,
            fullnameOverride=TEXT,
            image=exactly(
                repository={"type": "string", "minLength": 1},
                tag=TEXT,
                digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
                pullPolicy=one_of("IfNotPresent", "Always", "Never"),
            ),
            imagePullSecrets=LIST,
            config={"type": ["object", "string"]},
            existingConfigMap=TEXT,
            secrets=exactly(
                existing=NAMES,
                values={
                    "type": "object",
                    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                    "additionalProperties": {"type": "string", "minLength": 1},
                },
            ),
            kafka=exactly(
                bootstrap=TEXT,
                partitions=exactly(tickets=whole(1), sla=whole(1)),
                securityProtocol=one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
                sasl=exactly(
                    mechanism=one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                    username=TEXT,
                    password=TEXT,
                    existingSecret=TEXT,
                    usernameKey=TEXT,
                    passwordKey=TEXT,
                ),
                tls=_tls(),
            ),
            redis=exactly(
                url=TEXT,
                cluster=FLAG,
                username=TEXT,
                password=TEXT,
                existingSecret=TEXT,
                urlKey=TEXT,
                usernameKey=TEXT,
                passwordKey=TEXT,
                tls=_tls(),
            ),
            settings=settings(),
            topics=exactly(
                apply=FLAG,
                replicationFactor={"type": ["integer", "null"], "minimum": 1},
                deadlineSeconds=whole(30),
                tries=whole(0),
                resources=FREE,
            ),
            ingest=_workload(
                35,
                replicas=whole(0),
                spool=exactly(
                    enabled=FLAG,
                    size={"type": "string", "pattern": "^[1-9][0-9]*[MGT]i$"},
                    maxBytes=whole(1),
                    storageClass=TEXT,
                ),
                service=_service(),
                settleSeconds=whole(0),
            ),
            metrics=_workload(
                35,
                replicas=whole(0),
                autoscaling=exactly(
                    enabled=FLAG,
                    minReplicas=whole(1),
                    maxReplicas=whole(1),
                    lagThreshold=whole(1),
                    activationLagThreshold=whole(0),
                    pollingIntervalSeconds=whole(15),
                    scaleDownSeconds=whole(0, 3600),
                    kafkaVersion={"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
                    authentication=TEXT,
                    metadata=TEXTS,
                    annotations=TEXTS,
                ),
            ),
            alerts=_workload(35, replicas=whole(0)),
            api=_workload(35, replicas=whole(0), service=_service(), settleSeconds=whole(0)),
            serviceAccount=exactly(create=FLAG, name=TEXT, annotations=TEXTS),
            podSecurityContext=FREE,
            securityContext=FREE,
            ingress=exactly(webhooks=_ingress(), board=_ingress()),
            networkPolicy=exactly(
                enabled=FLAG,
                webhooksFrom=LIST,
                boardFrom=LIST,
                metricsFrom=LIST,
                kafka=reached,
                redis=reached,
                receivers=reached,
                extraIngress=LIST,
                extraEgress=LIST,
            ),
            serviceMonitor=exactly(enabled=FLAG, labels=TEXTS, interval=SPAN, scrapeTimeout=SPAN),
            prometheusRule=exactly(enabled=FLAG, labels=TEXTS, runbooksUrl=TEXT),
            dashboards=exactly(enabled=FLAG, labels=TEXTS, annotations=TEXTS),
        ),
    }
