"""`deskpulse send-test` and `deskpulse doctor` against one running line: every vendor's sample through the real door to
the receiver and out again, and each thing that can be wrong, made wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from services.cli.app import app
from services.embedded.port import free_port
from services.ingest.normalise import VENDORS
from services.stream.producer import Connection
from tests.support import signing
from tests.support.command import ROOT
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.receiver import SECRET as ALERTS_SECRET
from tests.support.receiver import Receiver
from tests.support.redis import RedisServer
from tests.support.topics import renewed
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SECRET = "a-secret-that-nobody-guesses"
TOKEN = "a-token-that-nobody-guesses"
OPTIONS = {
    "hubspot": {"public_url": "https://deskpulse.example.com"},
    "zoho_desk": {"org_id": "4242", "webhook_id": "77"},
}
VENDORS_OF_ALL = [
    *((vendor, vendor) for vendor in VENDORS),
    *(("soap", "salesforce"), ("zoho_token", "zoho_desk"), ("slow", "zendesk")),
]


def config(port: int, **more: Any) -> dict[str, Any]:
    """Every vendor, and what is wrong with some sources."""
    sources: dict[str, Any] = {
        name: {"vendor": vendor, "secrets": ["${DESK_SECRET}"], "options": OPTIONS.get(vendor, {})}
        for name, vendor in VENDORS_OF_ALL
    }
    sources["soap"]["options"] = {"auth": "soap", "organization_id": "00D000000000001EAA"}
    sources["zoho_token"]["options"] = {"auth": "token"}
    sources["never"] = {"vendor": "generic", "secrets": ["${DESK_SECRET}"]}
    hours = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    return {
        "sources": sources,
        "calendars": {"always": {"timezone": "UTC", "weekly": hours}},
        "sla_policies": [
            {"name": "unpromised", "match": {"source": ["slow"]}, "targets": {"resolution": {"*": None}}},
            {
                "name": "standard",
                "calendar": "always",
                "targets": {"first_response": {"urgent": "30m", "*": "1h"}, "resolution": {"*": "2d"}},
            },
        ],
        "segments": [["source"], ["tag"]],
        "windows": ["15m", "2h", "7d"],
        "receivers": {
            "here": {
                "webhook": {
                    "url": f"http://127.0.0.1:{port}/hook",
                    "secrets": ["${ALERTS_SECRET}"],
                    "allow_private": True,
                }
            }
        },
        "routes": [{"receiver": "here"}],
        "api_tokens": [{"token": "${TOKEN}", "name": "tests", "role": "admin"}],
        **more,
    }


class Desk:
    """The line and the commands beside it, in this process: nothing of them is replaced, and none starts anew."""

    def __init__(self, line: Line, folder: Path, receiver_port: int) -> None:
        self.line, self.folder, self.receiver_port = line, folder, receiver_port
        self.secrets = {"DESK_SECRET": SECRET, "ALERTS_SECRET": ALERTS_SECRET, "TOKEN": TOKEN}

    def run(self, *arguments: str, **variables: str) -> tuple[int, Any, str]:
        told = CliRunner().invoke(
            app, [*arguments, "--json"], env={**self.line.environment, **self.secrets, **variables}
        )
        return told.exit_code, json.loads(told.stdout) if told.stdout else None, told.stderr

    def send(self, *arguments: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
        code, said, complaint = self.run("send-test", *arguments, **variables)
        assert said is not None, complaint
        return code, {step["step"]: step for step in said["steps"]}

    def doctor(self, *arguments: str, **variables: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        code, said, complaint = self.run("doctor", *arguments, **variables)
        assert said is not None, complaint
        found: dict[str, list[dict[str, Any]]] = {}
        for one in said["findings"]:
            found.setdefault(one["what"], []).append(one)
        return code, found

    def config(self, name: str, **more: Any) -> str:
        """Another configuration than that of the line."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config(self.receiver_port, **more)))
        return str(path)


@pytest.fixture(scope="module")
def desk(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    folder = tmp_path_factory.mktemp("desk")
    with listening() as receiver:
        port = int(receiver.server.url.rpartition(":")[2])
        variables = {"DESK_SECRET": SECRET, "ALERTS_SECRET": ALERTS_SECRET, "TOKEN": TOKEN}
        line = Line(folder, json.dumps(config(port)), kafka.bootstrap, redis_server.url, variables)
        found = Desk(line, folder, port)
        yield found
        line.stop()
        asyncio.run(renewed(Connection(kafka.bootstrap)))  # one topic has other settings now


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver in a loop of its own."""
    loop, made, up, over = asyncio.new_event_loop(), [], threading.Event(), asyncio.Event()

    async def serve() -> None:
        receiver = Receiver()
        await receiver.server.start()
        made.append(receiver)
        up.set()
        await over.wait()
        await receiver.server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


@pytest.mark.parametrize(("source", "vendor"), VENDORS_OF_ALL[:-1])
def test_a_sample_of_every_vendor_breaks_a_promise_reaches_the_receiver_and_leaves_nothing(
    desk: Desk, source: str, vendor: str
) -> None:
    code, steps = desk.send(source, "--breach")
    assert code == 0, steps
    way = ["before", "http", "kafka", "ticket", "kpis", "timers", "breach", "alert", "receivers", "taken out"]
    assert list(steps) == way
    assert "partition" in steps["kafka"]["detail"]
    assert "open_breached 0 -> 1" in steps["kpis"]["detail"]
    assert "first_response of standard: breached, due 20" in steps["timers"]["detail"]
    assert "sla.breached partition" in steps["breach"]["detail"]
    assert "breached to here: delivered" in steps["receivers"]["detail"]
    assert "every number is as it was before" in steps["taken out"]["detail"]
    assert ("only Zoho can sign" in steps["http"]["detail"]) == (source == "zoho_desk")


def test_a_triggers_sample_and_one_that_stays(desk: Desk) -> None:
    code, said, _ = desk.run("send-test", "zendesk", "--vendor-sample", "trigger", "--keep")
    assert code == 0, said
    assert [step["step"] for step in said["steps"]] == ["before", "http", "kafka", "ticket", "kpis", "timers"]
    headers = {"authorization": f"Bearer {TOKEN}"}
    page = desk.line.client.get(
        f"{desk.line.url('api')}/v1/tickets/zendesk/{said['ticket_id']}", headers=headers
    ).json()
    assert page["tags"] == ["deskpulse-test"]
    assert page["gone"] is None


class TestWhatGoesWrong:
    def test_another_secret_is_told_with_401_and_the_fix_and_nothing_was_taken(self, desk: Desk) -> None:
        code, steps = desk.send("zendesk", DESK_SECRET="another-secret-altogether")
        assert code == 1
        assert list(steps) == ["before", "http"]
        assert steps["http"]["detail"].startswith("401 Bad signature")
        assert "other secrets for sources.zendesk" in steps["http"]["fix"]

    def test_a_source_that_only_this_command_knows_is_told_with_404(self, desk: Desk) -> None:
        sources = {**config(1)["sources"], "new": {"vendor": "zendesk", "secrets": ["${DESK_SECRET}"]}}
        code, steps = desk.send("new", "--config", desk.config("new", sources=sources))
        assert (code, steps["http"]["detail"][:3]) == (1, "404")

    def test_an_address_where_nobody_listens_is_named(self, desk: Desk) -> None:
        code, steps = desk.send("zendesk", "--url", f"http://127.0.0.1:{free_port()}")
        assert code == 1
        assert "--url" in steps["http"]["fix"]

    def test_a_ticket_that_nothing_is_promised_to(self, desk: Desk) -> None:
        code, steps = desk.send("slow")
        assert code == 1
        assert steps["timers"]["state"] == "problem"
        assert "no policy matches" in steps["timers"]["detail"]
        assert steps["taken out"]["state"] == "ok"
        assert desk.run("send-test", "slow", "--breach")[2].startswith("--breach: no promise of sla_policies")

    def test_an_alert_that_no_route_takes(self, desk: Desk) -> None:
        routes = [{"receiver": "here", "match": {"team": ["nobody"]}}]
        code, steps = desk.send("generic", "--breach", "--config", desk.config("routes", routes=routes))
        assert code == 1
        assert steps["alert"]["state"] == "ok"
        assert steps["receivers"]["detail"].startswith("no route matches")

    def test_a_command_line_that_cannot_be_is_told_in_one_line(self, desk: Desk) -> None:
        assert "no source 'nobody'" in desk.run("send-test", "nobody")[2]
        assert (
            "no sample 'x' of zendesk (there is: event, trigger)"
            in desk.run("send-test", "zendesk", "--vendor-sample", "x")[2]
        )

    def test_without_an_address_of_kafka_the_api_alone_shows_the_way(self, desk: Desk, tmp_path: Path) -> None:
        nowhere = {"DESKPULSE_KAFKA_BOOTSTRAP": "", "DESKPULSE_DATA_DIR": str(tmp_path)}
        code, steps = desk.send("jira", **nowhere)
        assert code == 0, steps
        assert steps["kafka"]["state"] == "skipped"
        code, steps = desk.send("chatwoot", **nowhere)
        assert code == 1
        assert "has no webhook for a deletion" in steps["taken out"]["detail"]

    def test_a_worker_that_is_down_is_named_and_the_sample_is_taken_out_later(self, desk: Desk) -> None:
        desk.line.services["alerts"].kill()
        desk.line.services["metrics"].kill()
        try:
            code, steps = desk.send("generic", "--wait", "1")
            assert code == 1
            assert "no metrics worker answers" in steps["ticket"]["detail"]
            assert list(steps)[-1] == "taken out"
            _, found = desk.doctor()
            down = [one for name, ones in found.items() if name.startswith("port") for one in ones]
            assert [one["level"] for one in down] == ["ok", "warning", "warning", "ok"]
            desk.line.start("metrics")
            code, steps = desk.send("generic", "--breach", "--wait", "3")
            assert code == 1
            assert "no alerts worker answers" in steps["alert"]["detail"]
        finally:
            desk.line.start("alerts")


class TestDoctor:
    def test_a_line_as_it_should_be_has_no_problem(self, desk: Desk) -> None:
        code, found = desk.doctor()
        assert code == 0, found
        assert [one["level"] for one in found["clocks"]] == ["ok"]
        assert found["lag"][0]["level"] == "ok"
        assert "can be reached" in found["receivers"][0]["detail"]
        assert found["spool"][0]["level"] == "ok"

    def test_a_webhook_that_was_never_received_is_told_with_the_address_to_paste(self, desk: Desk) -> None:
        assert desk.send("zendesk")[0] == 0
        _, found = desk.doctor("--public-url", "https://desk.acme.example/")
        [never] = [one for one in found["sources"] if one["detail"].startswith("never: ")]
        assert (never["level"], never["ok"]) == ("warning", True)
        assert "no webhook has ever been received" in never["detail"]
        assert "https://desk.acme.example/webhooks/never" in never["fix"]
        assert any(one["detail"].startswith("zendesk: last received 20") for one in found["sources"])

    def test_refused_signatures_and_dead_letters_are_told_by_their_reasons(self, desk: Desk) -> None:
        assert desk.line.post("never", b"{}", signing.standard(b"{}", b"guessed", "m-1")).status_code == 401
        body = b'{"type": "zen:event-type:ticket.exploded"}'
        assert desk.line.post("zendesk", body, signing.zendesk(body, SECRET)).json()["dead_lettered"] == 1
        code, found = desk.doctor()
        assert code == 1, "nothing that this helpdesk sent was accepted"
        [refused] = [one for one in found["signatures"] if one["detail"].startswith("never: ")]
        assert refused["level"] == "problem"
        assert "bad_signature 1" in refused["detail"]
        assert found["dead letters"][0]["level"] == "warning"
        assert "unknown_type 1" in found["dead letters"][0]["detail"]

    def test_a_receiver_that_is_not_there_is_a_problem_and_hears_nothing(self, desk: Desk) -> None:
        receivers = {
            "gone": {
                "webhook": {
                    "url": f"http://127.0.0.1:{free_port()}/",
                    "secrets": ["${ALERTS_SECRET}"],
                    "allow_private": True,
                }
            },
            "private": {"webhook": {"url": "https://127.0.0.1:1/", "secrets": ["${ALERTS_SECRET}"]}},
            "nameless": {"webhook": {"url": "https://name.invalid/", "secrets": ["${ALERTS_SECRET}"]}},
            "plain": {
                "webhook": {
                    "url": f"https://127.0.0.1:{desk.receiver_port}/",
                    "secrets": ["${ALERTS_SECRET}"],
                    "allow_private": True,
                }
            },
        }
        code, found = desk.doctor(
            "--config", desk.config("receivers", receivers=receivers, routes=[{"receiver": "gone"}])
        )
        assert code == 1
        told = {one["detail"].partition(":")[0]: one["detail"] for one in found["receivers"]}
        assert "refused" in told["gone"]
        assert "private address" in told["private"]
        assert "cannot be resolved" in told["nameless"]
        assert "TLS" in told["plain"]
        assert all(one["level"] == "problem" and one["fix"] for one in found["receivers"])
        assert found["routes"][0]["detail"] == "nothing leads to private, nameless, plain"

    def test_a_redis_that_would_throw_state_away_or_lose_it_is_told(
        self, desk: Desk, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            kept = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "maxmemory", "appendonly")}
            try:
                client.config_set("maxmemory", "8gb")
                client.config_set("maxmemory-policy", "allkeys-lru")
                client.config_set("appendonly", "no")
                code, found = desk.doctor()
            finally:
                for name, value in kept.items():
                    client.config_set(name, value)
        assert code == 1
        assert found["redis memory"][0]["level"] == "problem"
        assert "allkeys-lru" in found["redis memory"][0]["detail"]
        assert found["redis disk"][0]["level"] == "warning"

    def test_topics_that_differ_from_what_is_declared_are_told_and_not_altered(self, desk: Desk, kafka: Kafka) -> None:
        from aiokafka.admin import AIOKafkaAdminClient
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

        async def keep_ms(value: str) -> None:
            client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
            await client.start()
            resource = ConfigResource(ConfigResourceType.TOPIC, "helpdesk.sla.v1", {"retention.ms": value})
            await client.alter_configs([resource])
            await client.close()

        asyncio.run(keep_ms("60000"))
        until(lambda: desk.doctor()[1]["topics"][0]["level"] == "warning", "doctor sees it", timeout_s=30)
        [told] = desk.doctor()[1]["topics"]
        assert "helpdesk.sla.v1: " in told["detail"]
        assert "retention.ms is 60000" in told["detail"]

    def test_secrets_calendars_and_policies_that_will_not_do_are_told(self, desk: Desk) -> None:
        always = config(1)["calendars"]["always"]
        standard = config(1)["sla_policies"][1]
        document = desk.config(
            "odd",
            sources={
                "short": {"vendor": "generic", "secrets": ["tiny"]},
                "known": {"vendor": "generic", "secrets": ["changeme"]},
                "twice": {"vendor": "generic", "secrets": [TOKEN]},
                "later": {"vendor": "zendesk", "secrets": ["placeholder-0123456789abcdef"]},
            },
            calendars={"always": {**always, "holidays": ["2020-12-25"]}},
            sla_policies=[
                standard,
                {**standard, "name": "vip", "match": {"tier": ["vip"]}},
                {**standard, "name": "gone", "match": {"source": ["sold"]}},
            ],
            routes=[],
        )
        code, found = desk.doctor("--config", document)
        assert code == 1
        assert [one["detail"].partition(":")[0] for one in found["secrets"]] == [
            "sources.short",
            "sources.known",
            "sources.later",
            "api_tokens[0]",
        ]
        assert [one["level"] for one in found["secrets"]] == ["warning", "problem", "warning", "warning"]
        assert "Reveal secret" in found["secrets"][2]["fix"]
        assert "its last holiday was 2020-12-25" in found["calendars"][0]["detail"]
        assert [one["detail"].partition(":")[0] for one in found["policies"]] == ["vip", "gone"]
        assert found["routes"][0]["level"] == "warning"

    def test_a_spool_that_cannot_be_written_is_a_problem(self, desk: Desk) -> None:
        _, found = desk.doctor(DESKPULSE_SPOOL_DIR="/proc/spool")
        assert found["spool"][0]["level"] == "problem"
        _, found = desk.doctor(DESKPULSE_SPOOL_MAX_BYTES=str(1 << 60))
        assert found["spool"][0]["level"] == "warning"

    def test_nothing_that_it_says_is_a_secret(self, desk: Desk) -> None:
        told = json.dumps(desk.doctor()[1])
        assert not any(value in told for value in desk.secrets.values())


def test_the_shipped_configuration_has_a_guide_for_every_source_that_doctor_points_to() -> None:
    assert all((ROOT / "docs" / "guides" / f"connect-{vendor.replace('_', '-')}.md").is_file() for vendor in VENDORS)
