"""Stands in for a command that needs an engine, a cluster or an hour: exit code 0 when what it was asked for exists.

``python -m tests.support.stand_in docker compose --profile observe up``; run by tests of the documents' commands.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]


def docker(words: list[str]) -> str | None:
    """``docker compose``: its file has these profiles and services. ``None``, or what is wrong."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: Mapping[str, Any] = compose["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    if not words:
        return "docker what?"
    if words[0] == "build":
        files = [words[at + 1] for at, word in enumerate(words) if word in ("-f", "--file")]
        return next((f"there is no {file}" for file in files if not (ROOT / file).is_file()), None)
    if words[0] != "compose":
        return f"docker {words[0]} is not known here"
    rest, at = words[1:], 0
    while at < len(rest) and rest[at].startswith("-"):
        if rest[at] == "--profile" and rest[at + 1] not in profiles:
            return f"there is no profile {rest[at + 1]}, only {sorted(profiles)}"
        at += 2 if rest[at] in ("--profile", "-f", "--file", "-p") else 1
    verb, arguments = rest[at], rest[at + 1 :]
    taken = {"up": "--build --detach -d --wait", "down": "--volumes -v", "ps": "", "logs": "-f --follow", "pull": ""}
    taken |= {"restart": "", "stop": "", "start": "", "exec": "-T", "run": "--rm -T", "build": "", "config": "-q"}
    if verb not in taken:
        return f"docker compose has no {verb} that is known here"
    plain = [word for word in arguments if not word.startswith("-")]
    named = plain[:1] if verb in ("exec", "run") else plain
    flags = [word for word in arguments[: len(arguments) - len(plain) + 1] if word.startswith("-")]
    if verb not in ("exec", "run") and (unknown := set(flags) - set(taken[verb].split())):
        return f"docker compose {verb} has no {sorted(unknown)} that is known here"
    return next((f"there is no service {name}" for name in named if name not in services), None)


def make(words: list[str]) -> str | None:
    """The targets of the Makefile, by make itself, without running their recipes."""
    ran = subprocess.run(["/usr/bin/env", "-i", "make", "-n", "-C", str(ROOT), *words], capture_output=True, text=True)
    return None if ran.returncode == 0 else ran.stderr


def pytest(words: list[str]) -> str | None:
    """Files that are there."""
    files = [word.partition("::")[0] for word in words if word.startswith("tests")]
    return next((f"there is no {name}" for name in files if not (ROOT / name).exists()), None)


def bench(words: list[str]) -> str | None:
    """``python -m bench``: its options, without measuring."""
    if words[:2] != ["-m", "bench"]:
        return f"python {' '.join(words)} is not known here"
    from bench.__main__ import NAMES, _options

    return next((f"bench has no {name}" for name in _options(words[2:]).names if name not in NAMES), None)


def kubectl(words: list[str]) -> str | None:
    """A known verb, on files that are there."""
    known = "get describe logs apply rollout exec port-forward delete create scale wait top create"
    if words[0] not in known.split():
        return f"kubectl has no {words[0]} that is known here"
    return None


def helm(words: list[str]) -> str | None:
    """A known verb; a chart and values that are there."""
    if words[0] not in ["install", "upgrade", "template", "lint", "test", "uninstall", "history", "rollback", "status"]:
        return f"helm has no {words[0]} that is known here"
    paths = [word for word in words if re.match(r"(\./)?deploy/", word)]
    return next((f"there is no {path}" for path in paths if not (ROOT / path).exists()), None)


def kafka_script(words: list[str]) -> str | None:
    """Options that Kafka's scripts have."""
    known = (
        "--bootstrap-server --offset-json-file --describe --under-min-isr-partitions --topic --list --alter --create"
    )
    known += " --partitions --command-config --delete --group --all-groups"
    unknown = [word for word in words if word.startswith("--") and word not in known.split()]
    return f"{unknown} are not known here" if unknown else None


KNOWN: Final[Mapping[str, Callable[[list[str]], str | None]]] = {
    "docker": docker,
    "make": make,
    "pytest": pytest,
    "bench": bench,
    "kubectl": kubectl,
    "helm": helm,
    "kafka-delete-records.sh": kafka_script,
    "kafka-topics.sh": kafka_script,
}


if __name__ == "__main__":
    problem = KNOWN[sys.argv[1]](sys.argv[2:])
    if problem:
        sys.exit(problem)
