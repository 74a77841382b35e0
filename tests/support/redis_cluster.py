"""A Redis Cluster of real servers on this machine, with TLS if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import redis

from services.embedded import Unavailable
from services.embedded.child import Child
from services.embedded.port import LOOPBACK, accepts, free_port
from services.embedded.redis import redis_binary, redis_version
from services.state.address import Address
from services.tls import SYSTEM, Tls
from tests.support.certificates import Authority, Certificate
from tests.support.wait import until

SLOTS = 16_384
_NODE_TIMEOUT_MS = 1000
"""After so long a primary that does not answer is failed over."""


class Node:
    """One server of the Cluster. Keeps its port and its data over :meth:`kill` and :meth:`start`."""

    def __init__(self, folder: Path, options: Sequence[str], tls: dict[str, Any]) -> None:
        self.port, self.bus = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        listen = ["--port", "0", "--tls-port", str(self.port)] if "ssl" in tls else ["--port", str(self.port)]
        self._argv = [
            str(redis_binary()),
            *(*listen, "--bind", LOOPBACK, "--dir", str(folder), "--save", "", "--logfile", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"),
            *("--cluster-enabled", "yes", "--cluster-port", str(self.bus)),
            *("--cluster-node-timeout", str(_NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0"),
            *options,
        ]
        self.client = redis.Redis(LOOPBACK, self.port, socket_timeout=5, **tls)
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        self._child = Child("redis-cluster", self._argv)
        until(self._answers, f"the node on port {self.port} answers", timeout_s=20)

    def _answers(self) -> bool:
        assert self._child is not None
        if not self._child.running:
            raise Unavailable(f"redis-server ended at once: {self._child.tail()}")
        if not accepts(self.port):
            return False
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            self.client.close()  # a connection that was given up is nobody's garbage
            return False

    def kill(self) -> None:
        """As when the machine goes away."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def id(self) -> str:
        return str(self.client.execute_command("CLUSTER MYID").decode())

    @property
    def primary(self) -> bool:
        return str(self.client.info("replication")["role"]) == "master"


class RedisCluster:
    """Three primaries, and ``replicas`` of the first one."""

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 0,
        authority: Authority | None = None,
        client: Certificate | None = None,
        password: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """With an ``authority`` the servers speak only TLS, and ask for a client certificate when ``client`` is
        given. ``password`` is that of the default user."""
        if redis_version(redis_binary()) < (7,):
            raise Unavailable("a Cluster with ports of its own needs Redis 7")
        own: dict[str, Any] = {}
        self.tls = SYSTEM
        if authority is not None:
            server = authority.issue("redis", addresses=(LOOPBACK,))
            options = (
                *options,
                *("--tls-cert-file", str(server.cert), "--tls-key-file", str(server.key)),
                *("--tls-ca-cert-file", str(authority.ca), "--tls-auth-clients", "yes" if client else "no"),
                *("--tls-cluster", "yes", "--tls-replication", "yes"),
            )
            shown = client or server
            own = {
                "ssl": True,
                "ssl_ca_certs": str(authority.ca),
                "ssl_certfile": str(shown.cert),
                "ssl_keyfile": str(shown.key),
                "ssl_password": shown.password,
            }
            self.tls = Tls(str(authority.ca))
            if client is not None:
                self.tls = Tls(str(authority.ca), str(client.cert), str(client.key), client.password)
        if password is not None:
            options = (*options, "--requirepass", password, "--masterauth", password)
            own["password"] = password
        self.nodes = [Node(folder / str(number), options, own) for number in range(3 + replicas)]
        self._join(replicas)

    @property
    def url(self) -> str:
        scheme = "rediss" if self.tls is not SYSTEM else "redis"
        return f"{scheme}://" + ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes[:3])

    @property
    def address(self) -> Address:
        return Address(self.url, cluster=True, tls=self.tls)

    def empty(self) -> None:
        for node in self.nodes:
            if node.primary:
                node.client.flushdb()

    def keys(self) -> int:
        """How many keys all primaries have."""
        return sum(int(node.client.dbsize()) for node in self.nodes if node.primary)

    def owner(self, key: str) -> Node:
        """The primary that has the slot of ``key``."""
        return self.owner_of(int(self.nodes[-1].client.execute_command("CLUSTER KEYSLOT", key)))

    def owner_of(self, slot: int) -> Node:
        told = self.nodes[-1].client.execute_command("CLUSTER", "SLOTS")
        port = next(int(row[2][1]) for row in told if int(row[0]) <= slot <= int(row[1]))
        return next(node for node in self.nodes if node.port == port)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
            node.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _join(self, replicas: int) -> None:
        first, edges = self.nodes[0], [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for number, node in enumerate(self.nodes):
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < 3:
                node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", edges[number], edges[number + 1] - 1)
            if node is not first:
                first.client.execute_command("CLUSTER", "MEET", LOOPBACK, node.port, node.bus)
        until(lambda: all(self._knows(node) for node in self.nodes), "every node knows the others", timeout_s=30)
        for node in self.nodes[3 : 3 + replicas]:
            node.client.execute_command("CLUSTER", "REPLICATE", first.id)
        for node in self.nodes[3:]:
            until(lambda n=node: self._follows(n), "the replica follows", timeout_s=30)
        until(lambda: all(self._well(node) for node in self.nodes), "every node says that all is well", timeout_s=30)

    def _knows(self, node: Node) -> bool:
        told = node.client.execute_command("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else str(told)
        return f"cluster_known_nodes:{len(self.nodes)}" in text

    def _follows(self, node: Node) -> bool:
        return bool(node.client.info("replication").get("master_link_status") == "up")

    def _well(self, node: Node) -> bool:
        told = node.client.execute_command("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else str(told)
        return "cluster_state:ok" in text
