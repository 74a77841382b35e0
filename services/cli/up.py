"""``deskpulse up``: everything on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from services.cli import settings
from services.cli.settings import Config


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Use the demo's configuration, and let a simulated helpdesk post to it.")
    ] = False,
    config: Config = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Webhooks per second of the demo's helpdesk.")] = 4.0,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Keep the log lines on stderr as JSON.")] = False,
) -> None:
    """Start everything on this machine and run it until Ctrl-C; a second Ctrl-C kills it at once.

    Starts ingest, metrics, alerts and api, each as a process that is started again when it dies. Without
    DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_REDIS_URL it also starts an embedded Kafka broker and Redis, for trying
    only. Secrets of the configuration that the environment does not set are made up and kept in
    DESKPULSE_DATA_DIR (.deskpulse), with Redis' data. Everything listens on 127.0.0.1 only.

    \b
    Ports (0: any free one):
      DESKPULSE_INGEST_PORT 8080   DESKPULSE_METRICS_PORT 8081
      DESKPULSE_ALERTS_PORT 8082   DESKPULSE_API_PORT     8090

    \b
    Examples:
      deskpulse up --demo
      deskpulse up --config my.yaml
      DESKPULSE_INGEST_PORT=9080 deskpulse up --json-logs 2> log.jsonl
    """
    from services.embedded import Unavailable
    from services.embedded.up import Wish
    from services.embedded.up import up as run

    settings.quiet_libraries()
    environment = settings.environment()
    file = settings.config_file(config, environment, "demo.yaml" if demo else "deskpulse.yaml")
    try:
        run(Wish(config=file, demo=demo, rate=rate, json_logs=json_logs), environment, os.environ)
    except Unavailable as exc:
        settings.fail(str(exc))
