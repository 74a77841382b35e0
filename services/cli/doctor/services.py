"""The four services on this machine: their ports, whether they are ready, and what their metrics say."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import httpx

from services.cli.doctor.finding import Finding, ok, problem, warning
from services.cli.scrape import Scraped, scraped
from services.config.environment import Environment

NAMES: Final = ("ingest", "metrics", "alerts", "api")
LAGGING: Final = 1000
CLOCK_LAG_S: Final = 10.0
_LOOPBACK: Final = "127.0.0.1"
_UNPROVED: Final = frozenset(
    {
        *("missing_signature", "bad_signature", "missing_timestamp", "malformed_timestamp", "stale", "missing_id"),
        *("missing_token", "bad_token", "unknown_key", "wrong_account"),
    }
)


async def look(environment: Environment) -> dict[str, Scraped]:
    """What answers on each port."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return {name: await scraped(client, f"http://{_LOOPBACK}:{port(environment, name)}") for name in NAMES}


def port(environment: Environment, service: str) -> int:
    """Where the service listens."""
    return int(getattr(environment, f"{service}_port"))


def findings(environment: Environment, seen: Mapping[str, Scraped]) -> Iterator[Finding]:
    """One for each service, and what their metrics tell."""
    running = [name for name in NAMES if seen[name].alive]
    for name in NAMES:
        yield _port(name, port(environment, name), seen[name], running)
    yield from refused(seen["ingest"])
    yield from behind(seen["metrics"])


def refused(ingest: Scraped) -> Iterator[Finding]:
    """Webhooks that proved nothing, since ingest started."""
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in ingest.of("deskpulse_webhooks_total"):
        if sample.value:
            counts[sample.labels["source"]][sample.labels["outcome"]] = sample.value
    for source, outcomes in sorted(counts.items()):
        unproved = {name: number for name, number in outcomes.items() if name in _UNPROVED}
        if not unproved:
            continue
        told = ", ".join(f"{name} {number:g}" for name, number in sorted(unproved.items()))
        detail = f"{source}: since ingest started, webhooks whose proof was not accepted: {told}"
        good = sum(number for name, number in outcomes.items() if name not in _UNPROVED)
        if "stale" in unproved:
            fix = "set the clocks, or look for a proxy that holds requests up"
        else:
            fix = f"compare the secret in the helpdesk with sources.{source}.secrets: deskpulse send-test {source}"
        yield warning("signatures", detail, fix) if good else problem("signatures", f"{detail}; none was accepted", fix)


def behind(metrics: Scraped) -> Iterator[Finding]:
    """How far the metrics worker is behind the log."""
    if not metrics.alive:
        return
    lag = metrics.total("deskpulse_consumer_lag_records")
    clock_lag_s = max((one.value for one in metrics.of("deskpulse_partition_clock_lag_seconds")), default=0.0)
    fix = "run more workers, or find what slows them: docs/runbooks/consumer-lag.md"
    if lag > LAGGING:
        yield warning("lag", f"{lag:g} records are in Kafka and not in the numbers yet", fix)
    elif clock_lag_s > CLOCK_LAG_S:
        detail = f"the clock of SLA timers is {clock_lag_s:.0f} s behind: breaches are told as late"
        yield warning("lag", detail, fix)
    else:
        yield ok("lag", f"{lag:g} records, timers' clock {clock_lag_s:.1f} s behind")


def _port(service: str, number: int, seen: Scraped, running: Sequence[str]) -> Finding:
    what = f"port {number}"
    if seen.alive:
        if seen.unready is not None:
            return problem(what, f"{service}: runs, and is not ready: {seen.unready}", "put right what it says")
        return ok(what, f"{service}: a running Deskpulse has it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, number))
            probe.listen(1)
        except OSError as exc:
            fix = f"stop what uses it, or set DESKPULSE_{service.upper()}_PORT to another"
            return problem(what, f"{service} cannot have it ({exc.strerror})", fix)
    if running:
        fix = f"start it (deskpulse {service}), unless it runs elsewhere or has another port"
        return warning(what, f"{service}: does not run here, though {', '.join(running)} do", fix)
    return ok(what, f"{service}: free")
