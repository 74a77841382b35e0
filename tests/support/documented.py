"""The commands that the documents tell people to type: fenced blocks of shell, and commands within a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.contract.house import ROOT, tracked

SHELL: Final = ("bash", "sh", "shell", "console")
_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ \t]*$", re.S | re.M
)
_TYPED: Final = re.compile(
    r"^\s*(\$ |(deskpulse|curl|docker|kubectl|helm|make|python3?|pytest|redis-cli|promtool|openssl|kafka-[a-z-]+) )"
)
COMMANDS: Final = (
    "deskpulse", "make", "docker", "kubectl", "helm", "python", "pytest", "promtool", "redis-cli", "curl",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ``page`` is the path from the root."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Inline:
    """A command between backticks within a line, such as ``deskpulse doctor``."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"


def pages() -> list[Path]:
    """Every document of the project that people read, the changelog left out: it tells what was."""
    return [path for path in tracked(".md") if path.is_relative_to(ROOT) and path.name != "CHANGELOG.md"]


def blocks() -> list[Block]:
    """Every fenced block of every page, in the order of reading."""
    return [block for path in pages() for block in in_text(path.read_text(), str(path.relative_to(ROOT)))]


def in_text(text: str, page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    for one in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, one.start()) + 1, one["language"], _plain(one))


def _plain(fence: re.Match[str]) -> str:
    """The text of a fence without the indentation of the list that it stands in."""
    indent = fence["indent"]
    return "".join(line.removeprefix(indent) for line in fence["text"].splitlines(keepends=True))


def typed_unmarked(block: Block) -> bool:
    """Whether ``block`` holds something to type and is not marked as shell: nobody would run it."""
    return block.language in ("", "text") and any(_TYPED.match(line) for line in block.text.splitlines())


def inline() -> Iterator[Inline]:
    """Every command of :data:`COMMANDS` that stands between backticks outside of fenced blocks."""
    for path in pages():
        text = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), path.read_text())
        for one in re.finditer(r"(?<!`)`([^`]+)`(?!`)", text):
            command = " ".join(one[1].split())
            if command.split(" ")[0] in COMMANDS and " " in command:
                yield Inline(str(path.relative_to(ROOT)), text.count("\n", 0, one.start()) + 1, command)
