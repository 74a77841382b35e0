"""Apache Kafka itself, one KRaft node, from its Maven artifacts."""

import base64
import fcntl
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from services.embedded import Unavailable
from services.embedded.child import Child
from services.embedded.port import LOOPBACK, accepts, free_port
from tests.support.certificates import Authority
from tests.support.choice import Note

_POM = Path(__file__).with_name("kafka-dist") / "pom.xml"
_DOWNLOAD_S = 600.0
_FORMAT_S = 60.0
_START_S = 90.0
_POLL_S = 0.05
STARTED = "Kafka Server started"
_ATTEMPTS = 3

_LOG4J = f"""\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{{1}} %m%n
# The one line at INFO that says "{STARTED}".
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
"""


def kafka_version() -> str:
    """The version that `kafka-dist/pom.xml` names."""
    found = ElementTree.parse(_POM).findtext(".//{*}kafka.version")
    assert found, _POM
    return found


def node_properties(*, listeners: str, advertised: str, controller: str) -> dict[str, str]:
    """The configuration of one node that is broker and controller, for tests: small, quick, strict.

    Topics are never made by accident: a test that forgets to create one must fail here as in production.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": listeners,
        "advertised.listeners": advertised,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        # A node that was killed is let in again only when its last session is over; 9 s is the default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": "16777216",
    }


def distribution_folder() -> Path:
    """Where the artifacts are or will be; another pom is another folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return cache / "deskpulse" / f"kafka-{kafka_version()}-{digest}"


def obtainable() -> bool:
    """Whether this machine can run Kafka: it has Java, and Maven or an earlier download."""
    return bool(shutil.which("java")) and (distribution_folder().exists() or bool(shutil.which("mvn")))


def obtain(note: Note) -> Path:
    """The folder with the artifacts, downloaded on first use. Unavailable when Maven fails."""
    folder = distribution_folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test session may be downloading
        if folder.exists():
            return folder
        note(f"fetching Apache Kafka {kafka_version()} with Maven, once (about 45 MB) -> {folder}")
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={part}", "-DincludeScope=runtime"]
        maven = Child("maven", ["mvn", "-B", "-q", "-f", str(_POM), *goal])
        code = maven.wait(_DOWNLOAD_S)
        if code != 0:
            maven.kill()
            why = f"exit code {code}" if code is not None else f"no end after {_DOWNLOAD_S:.0f} s"
            raise Unavailable(f"Maven could not fetch Apache Kafka ({why}): {maven.tail()}")
        part.rename(folder)  # complete or not there
    return folder


class Secure:
    """Listeners beside the plain one: `SASL_SSL`, and `SSL` which asks for a client certificate."""

    def __init__(self, authority: Authority, users: Mapping[str, str]) -> None:
        """`users` with their passwords may come by PLAIN and by SCRAM. The certificate names 127.0.0.1 only."""
        self.users = dict(users)
        self.sasl_ssl, self.ssl = (f"{LOOPBACK}:{free_port()}" for _ in range(2))
        self._authority = authority
        self._certificate = authority.issue("kafka", addresses=(LOOPBACK,))

    def properties(self, plaintext: str, controller: str) -> dict[str, str]:
        listeners = f"{plaintext},SASL_SSL://{self.sasl_ssl},SSL://{self.ssl}"
        login = "org.apache.kafka.common.security"
        users = "".join(f' user_{user}="{password}"' for user, password in self.users.items())
        return {
            "listeners": f"{listeners},CONTROLLER://{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._certificate.chain),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._authority.ca),
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{login}.plain.PlainLoginModule required{users};",
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }


class ApacheKafka:
    """One node that keeps its port and its data over `stop` or `kill` and `start`."""

    def __init__(self, folder: Path, *, note: Note = lambda _: None, secure: Secure | None = None) -> None:
        """`folder` gets configuration and data, and is the caller's to remove. With `secure` there are more listeners,
        and rights are asked for on them; who comes to the plain one may do everything."""
        self.folder = folder
        self._secure = secure
        self.version = kafka_version()
        self._libraries = obtain(note)
        self._port: int | None = None
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        assert self._port is not None, "not started"
        return f"{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Return when the node serves. Unavailable, with the end of its log, when it does not."""
        if self._port is not None:
            self._run()
            return
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = self._format()
            try:
                self._run()
            except Unavailable as reason:
                # Between our look and the bind somebody else may have taken the port.
                if attempt == _ATTEMPTS or "Address already in use" not in str(reason):
                    raise
            else:
                return

    def stop(self, grace_s: float = 30.0) -> None:
        """A clean stop. May be repeated."""
        if self._child is not None:
            self._child.terminate(grace_s)
            self._child = None

    def kill(self) -> None:
        """As when the machine loses power, except that what the system holds of its files stays."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _format(self) -> int:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        port, controller = free_port(), f"{LOOPBACK}:{free_port()}"
        plaintext = f"PLAINTEXT://{LOOPBACK}:{port}"
        properties = node_properties(
            listeners=f"{plaintext},CONTROLLER://{controller}", advertised=plaintext, controller=controller
        )
        properties["log.dirs"] = str(self.folder / "data")
        scram: list[str] = []
        if self._secure is not None:
            properties |= self._secure.properties(plaintext, controller)
            scram = [
                f"--add-scram={mechanism}=[name={user},password={password}]"
                for user, password in self._secure.users.items()
                for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            ]
        text = "".join(f"{key}={value}\n" for key, value in properties.items())
        (self.folder / "server.properties").write_text(text)
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In one word: one id in 64 begins with a dash, and alone it would be taken for an option.
        arguments = ("format", f"--cluster-id={cluster}", "--config=server.properties", *scram)
        format_ = self._java("kafka.tools.StorageTool", *arguments)
        if format_.wait(_FORMAT_S) != 0:
            format_.kill()
            raise Unavailable(f"Kafka could not format its storage: {format_.tail()}")
        return port

    def _run(self) -> None:
        assert self._port is not None
        self._child = self._java("kafka.Kafka", "server.properties")
        pause = threading.Event()
        for _ in range(int(_START_S / _POLL_S)):
            if STARTED in self._child.tail() and accepts(self._port):
                return
            if not self._child.running:
                break
            pause.wait(_POLL_S)
        child, self._child = self._child, None
        child.kill()
        raise Unavailable(f"Apache Kafka {self.version} did not start:\n{child.tail()}")

    def _java(self, main: str, *arguments: str) -> Child:
        return Child(
            main,
            [
                *("java", "-Xms256m", "-Xmx768m", "-Dlog4j2.configurationFile=log4j2.properties"),
                *("-cp", f"{self._libraries}/*", main, *arguments),
            ],
            cwd=self.folder,
        )
