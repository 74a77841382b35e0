"""What Kubernetes would say of an object, by the schemas of its versions and of the operators' kinds, and who reaches
whom by NetworkPolicies."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource

VERSIONS: Final = ("1.27.0", "1.30.0", "1.33.0", "1.37.0")
_CRDS: Final = Path(__file__).parents[1] / "fixtures" / "crds"

Object = dict[str, Any]


def problems(this: Object, version: str) -> list[str]:
    """What the API server of that version would refuse of an object: unknown fields too."""
    name = f"{this.get('kind')} {this.get('metadata', {}).get('name')}"
    return [
        f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in _validator(this.get("kind", ""), this.get("apiVersion", ""), version).iter_errors(this)
    ]


@cache
def _validator(kind: str, api: str, version: str) -> Validator:
    group, _, name = api.rpartition("/")
    crd = _CRDS / f"{kind}.json"
    if crd.exists():
        return Draft202012Validator(json.loads(crd.read_text()))
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    file = "-".join(part for part in (kind.lower(), group.partition(".")[0], name) if part)
    schema = json.loads((folder / f"{file}.json").read_text())
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    found = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    registry: Registry[Any] = found @ Registry()
    return registry


def selects(selector: Object, labels: Object) -> bool:
    """Whether a label selector means something with these labels. An empty one means everything."""
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    assert not selector.get("matchExpressions"), "nothing of ours uses these"
    return True


class Peer:
    """One end of a connection: a pod with labels in a namespace, or an address outside of the cluster."""

    def __init__(self, labels: Object | None = None, namespace: str = "support", address: str | None = None) -> None:
        self.labels = labels or {}
        self.namespace = namespace
        self.address = address


def allowed(policies: list[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether NetworkPolicies let a connection through: the source must be allowed to go, the target to be reached.

    A pod that no policy selects for a direction is free in it; one that any selects has what these together allow.
    """
    return _way(policies, "Egress", source, target, port, protocol) and _way(
        policies, "Ingress", target, source, port, protocol
    )


def _way(policies: list[Object], direction: str, this: Peer, other: Peer, port: int, protocol: str) -> bool:
    if this.address is not None:
        return True  # policies bind pods
    bound = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == this.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], this.labels)
    ]
    rules = [rule for spec in bound for rule in spec.get(direction.lower(), [])]
    return not bound or any(_fits(rule, direction, this, other, port, protocol) for rule in rules)


def _fits(rule: Object, direction: str, this: Peer, other: Peer, port: int, protocol: str) -> bool:
    ports = rule.get("ports", [])
    if ports and {"port": port, "protocol": protocol} not in ports:
        return False
    peers = rule.get("to" if direction == "Egress" else "from", [])
    return not peers or any(_is(peer, this, other) for peer in peers)


def _is(peer: Object, this: Peer, other: Peer) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if other.address is None:
            return False  # a pod's address is the cluster's business; selectors are for pods
        address = ip_address(other.address)
        within = [block["cidr"], *block.get("except", [])]
        return [address in ip_network(network) for network in within] == [True, *[False] * (len(within) - 1)]
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        # Every namespace has its name as a label.
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != this.namespace:
        return False
    return selects(peer.get("podSelector", {}), other.labels)
