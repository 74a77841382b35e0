"""What can be wrong with a Compose file or a Dockerfile without any engine to run them, as sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from services.config.environment import Environment

PREFIX: Final = "DESKPULSE_"
SETTINGS: Final = frozenset(PREFIX + name.upper() for name in Environment.model_fields)
_CONDITIONS: Final = {"service_healthy": "healthcheck", "service_completed_successfully": "command"}
_FLOATING: Final = frozenset({"latest", "edge", "nightly", "stable", "slim", "alpine"})

Service = Mapping[str, Any]


def unpinned(image: str) -> str | None:
    """Why ``image`` may be another one tomorrow; ``None`` when it names a version."""
    if "@sha256:" in image:
        return None
    name, _, tag = image.rpartition(":")
    if not name or "/" in tag:
        return f"{image} has no tag"
    if tag in _FLOATING or not re.match(r"^v?\d+\.\d+", tag):
        return f"{image} names no version"
    return None


def compose_problems(compose: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong with a parsed Compose file."""
    services: Mapping[str, Service] = compose["services"]
    for name, service in services.items():
        if problem := unpinned(str(service.get("image", ""))):
            yield f"{name}: {problem}"
        ends = "tools" in service.get("profiles", ()) or _is_one_shot(name, services)
        if "healthcheck" not in service and not ends:
            yield f"{name}: no healthcheck"
        if "restart" not in service:
            yield f"{name}: no restart policy"
        yield from (f"{name}: {problem}" for problem in _dependencies(service, services))
        yield from (f"{name}: {problem}" for problem in _variables(service))
        for volume in service.get("volumes", ()):
            source = str(volume).split(":", 1)[0]
            if not source.startswith(".") and source not in compose.get("volumes", {}):
                yield f"{name}: no volume {source}"


def ports_of(service: Service) -> set[int]:
    """The ports inside the container that are published."""
    return {int(str(port).rsplit(":", 1)[1]) for port in service.get("ports", ())}


def copied(dockerfile: str) -> Iterator[str]:
    """What the Dockerfile copies out of the project."""
    for line in _instructions(dockerfile):
        words = shlex.split(line)
        if words and words[0] == "COPY" and not any(word.startswith("--from") for word in words):
            yield from words[1:-1]


def missing_copies(dockerfile: str, root: Path) -> list[str]:
    """What the Dockerfile copies and the project does not have."""
    return [source for source in copied(dockerfile) if not (root / source).exists()]


def ignored(path: str, dockerignore: str) -> bool:
    """Whether the build context lacks ``path``: the last matching line counts, ``!`` takes back."""
    out = False
    for line in dockerignore.splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        places = [PurePosixPath(path), *PurePosixPath(path).parents]
        if any(_matches(place, pattern) for place in places):
            out = not line.strip().startswith("!")
    return out


def bases(dockerfile: str) -> list[str]:
    """The images that stages start from."""
    stages: set[str] = set()
    found = []
    for line in _instructions(dockerfile):
        words = line.split()
        if words and words[0] == "FROM":
            if words[1] not in stages:
                found.append(words[1])
            if len(words) == 4:
                stages.add(words[3])
    return found


def final_user(dockerfile: str) -> str:
    """Who runs the image."""
    users = [line.split()[1] for line in _instructions(dockerfile) if line.startswith(("USER ", "FROM "))]
    return users[-1]


def _dependencies(service: Service, services: Mapping[str, Service]) -> Iterator[str]:
    for other, how in service.get("depends_on", {}).items():
        if other not in services:
            yield f"depends on {other}, which does not exist"
        elif (needed := _CONDITIONS.get(how["condition"])) is None or needed not in services[other]:
            yield f"waits for {other} to be {how['condition']}, which it never is"


def _variables(service: Service) -> Iterator[str]:
    for variable in service.get("environment", {}):
        if variable.startswith(PREFIX) and variable not in SETTINGS:
            yield f"{variable} is no setting"


def _is_one_shot(name: str, services: Mapping[str, Service]) -> bool:
    awaited = [service.get("depends_on", {}).get(name, {}).get("condition") for service in services.values()]
    return "service_completed_successfully" in awaited


def _matches(place: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return place.name == pattern[3:]
    return len(place.parts) == len(PurePosixPath(pattern).parts) and place.match(pattern)


def _instructions(dockerfile: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", dockerfile)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]
