"""A kubelet of one machine, as far as tests need one: rendered pods run as processes, their volumes are folders."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from services.embedded.child import Child
from services.embedded.port import free_port

ROOT: Final = Path(__file__).parents[2]
Object = dict[str, Any]


class ConfigMapVolume:
    """A ConfigMap as pods see it: files are links into a folder that a link names, and a change replaces that link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._version = 0
        folder.mkdir()

    def hold(self, data: Mapping[str, str]) -> None:
        """The files are these from now on, all of them at once."""
        self._version += 1
        fresh = self.folder / f"..{self._version}"
        fresh.mkdir()
        for name, text in data.items():
            (fresh / name).write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.replace(self.folder / "..data")
        for name in data:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


class Pod:
    """One pod of a workload, running. ``objects`` has the ConfigMaps and Secrets that it refers to.

    The image is this checkout: its entry point is ``deskpulse``. Of what is rendered only paths of volumes and the port
    are replaced, since pods of one machine share both.
    """

    def __init__(self, name: str, template: Object, claims: list[Object], objects: list[Object], folder: Path) -> None:
        self.name = name
        self.spec = template["spec"]
        (self.container,) = self.spec["containers"]
        self._objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        folder.mkdir()
        self.work = folder / "work"
        self.work.mkdir()
        self.config: ConfigMapVolume | None = None
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        volumes |= {claim["metadata"]["name"]: {} for claim in claims}
        self._mounts = {
            mount["mountPath"]: self._volume(volumes[mount["name"]], folder / mount["name"])
            for mount in self.container["volumeMounts"]
        }
        self.port = free_port()
        self._child = Child(
            name,
            [sys.executable, "-m", "services.cli", *self.container["args"]],
            env=self._environment(),
            cwd=self.work,
        )

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """The end of its log."""
        return self._child.tail()

    def probed(self, kind: str) -> bool:
        """What the kubelet would find: ``startup``, ``liveness`` or ``readiness``."""
        probe = self.container[f"{kind}Probe"]
        assert probe["httpGet"]["port"] in {port["name"] for port in self.container["ports"]}
        try:
            answer = httpx.get(
                f"{self.url}{probe['httpGet']['path']}", timeout=probe["timeoutSeconds"], trust_env=False
            )
        except httpx.TransportError:
            return False
        return answer.status_code < 400

    def wait(self, timeout_s: float) -> int | None:
        """The exit code of one that ends by itself."""
        return self._child.wait(timeout_s)

    def terminate(self) -> int:
        """SIGTERM, and SIGKILL after the time that the pod gives. The exit code."""
        return self._child.terminate(self.spec["terminationGracePeriodSeconds"])

    def kill(self) -> None:
        """At once."""
        self._child.kill()

    def _volume(self, volume: Object, folder: Path) -> Path:
        if "configMap" in volume:
            self.config = ConfigMapVolume(folder)
            self.config.hold(self._objects["ConfigMap", volume["configMap"]["name"]]["data"])
        else:
            folder.mkdir()
        return folder

    def _environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in self.container.get("envFrom", []):
            secret = self._objects["Secret", source["secretRef"]["name"]]["data"]
            found |= {name: base64.b64decode(value).decode() for name, value in secret.items()}
        found |= {variable["name"]: self._value(variable) for variable in self.container["env"]}
        ours = f"DESKPULSE_{self.container['args'][0].upper()}_PORT"
        if ours in found:
            found[ours] = str(self.port)
        (temporary,) = (str(here) for there, here in self._mounts.items() if there == "/tmp")
        image = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "TMPDIR": temporary}
        return {**image, "PYTHONDONTWRITEBYTECODE": "1", **found}

    def _value(self, variable: Object) -> str:
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return self.name
        if "secretKeyRef" in source:
            secret = self._objects["Secret", source["secretKeyRef"]["name"]]
            return base64.b64decode(secret["data"][source["secretKeyRef"]["key"]]).decode()
        value = str(variable["value"])
        for there, here in self._mounts.items():
            if value == there or value.startswith(f"{there}/"):
                return f"{here}{value.removeprefix(there)}"
        return value
