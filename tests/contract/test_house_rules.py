"""The architecture holds: who imports whom, who reads the time, what no file may say.

Every rule is also shown a broken twin, since a check that cannot fail protects nothing.
"""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from tests.contract import house
from tests.contract.house import ROOT

PACKAGES = ("schemas", "services")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def _found(rule: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """What ``rule`` finds in the product's code, outside the files and folders of ``but``."""
    check = getattr(house, rule)
    places = [path for path in SOURCES if not str(path.relative_to(ROOT)).startswith(but)] if but else SOURCES
    return [f"{path.relative_to(ROOT)}, {what}" for path in places for what in check(path.read_text())]


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """A copy of the product's code and of the contracts, to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_import_keeps_the_contracts() -> None:
    ran = _lint_imports(ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("services/ingest/raw.py", "import services.metrics.engine", "Services never import each other"),
        ("services/simulate/pace.py", "import services.ingest.verify", "Services never import each other"),
        ("schemas/instant.py", "import services.clock", "Contracts know nothing of the services"),
        ("services/kpi/window.py", "import services.metrics.delta", "What services share knows none of them"),
        ("services/metrics/store.py", "import aiokafka", "Only services.stream speaks Kafka and Faust"),
        ("services/ingest/intake.py", "import faust", "Only services.stream speaks Kafka and Faust"),
        ("services/stream/record.py", "import confluent_kafka", "Only services.embedded brings"),
        ("services/metrics/worker.py", "import time", "Only services.clock reads the time"),
        ("services/fold/ticket.py", "import services.clock", "The core never asks what time it is"),
        ("services/ingest/normalise/fields.py", "import httpx", "The core does no input and no output"),
        ("services/kpi/sketch.py", "import redis", "The core does no input and no output"),
        ("services/alerts/state.py", "import services.state.client", "The core does no input and no output"),
        ("services/fold/sla.py", "import services.stream.producer", "The core does no input and no output"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(twin: Path, module: str, line: str, contract: str) -> None:
    with (twin / module).open("a") as source:
        source.write(f"\n{line}\n")
    ran = _lint_imports(twin)
    assert ran.returncode == 1
    assert any(said.startswith(contract) and "BROKEN" in said for said in ran.stdout.splitlines()), ran.stdout


def test_every_package_of_the_services_has_its_place_in_the_contracts() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    placed = {
        *contracts["importlinter:contract:services"]["modules"].split(),
        *contracts["importlinter:contract:shared"]["source_modules"].split(),
        "services.cli",  # starts them all, so it may import them all
    }
    there = {f"services.{path.parent.name}" for path in (ROOT / "services").glob("*/__init__.py")}
    assert there <= placed


def test_only_the_clock_reads_the_time() -> None:
    assert _found("reads_of_time", but=("services/clock.py",)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from time import monotonic",
        "at = datetime.now(UTC)",
        "at = datetime.datetime.utcnow()",
        "day = date.today()",
        "clock = datetime.now",
        "at = asyncio.get_running_loop().time()",
        "at = loop.time()",
    ],
)
def test_a_look_at_any_clock_is_found(line: str) -> None:
    assert list(house.reads_of_time(line))


def test_asking_our_own_clock_is_no_look_at_another() -> None:
    assert list(house.reads_of_time("at = clock.now()\nbirth = event.time\nday = datetime.fromisoformat(x)")) == []


def test_only_commands_print() -> None:
    assert _found("prints", but=("services/cli",)) == []


def test_a_print_is_found() -> None:
    assert list(house.prints("if True:\n    print('here')"))
    assert list(house.prints("pprint(x); log.print(x)")) == []


def test_metric_labels_come_from_closed_sets() -> None:
    assert _found("open_labels") == []


@pytest.mark.parametrize(
    "call", ["m.labels(f'{a}')", "m.labels(a, name='x' + b)", "m.labels(str(f'{a}-b'))", "m.labels('%s' % a)"]
)
def test_a_composed_label_is_found(call: str) -> None:
    assert list(house.open_labels(call))
    assert list(house.open_labels("m.labels(outcome.value, str(number))")) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = {str(path): found for path in SOURCES if (found := house.vague_names(path.relative_to(ROOT)))}
    assert vague == {}


@pytest.mark.parametrize("path", ["services/ingest/utils.py", "services/common/clock.py", "schemas/manager.py"])
def test_a_name_that_says_nothing_is_found(path: str) -> None:
    assert house.vague_names(PurePath(path))


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    said = {
        str(path.relative_to(ROOT)): found
        for path in house.tracked()
        if (found := house.foreign_places(path.read_text(errors="replace")))
    }
    assert said == {}


@pytest.mark.parametrize("text", [*house.REGISTRIES, "cd " + "/" + "work/main", '"' + "/" + "work/x" + '"'])
def test_a_foreign_place_is_found(text: str) -> None:
    assert house.foreign_places(f"see {text} for more")
    assert house.foreign_places("the network/" + "work/flow") == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_pin_versions_and_hashes_and_name_no_source(lock: Path) -> None:
    assert house.unlocked(lock.read_text()) == []


@pytest.mark.parametrize(
    "lock",
    [
        "redis==8.1.0\n",
        "redis>=8.1 \\\n    --hash=sha256:00\n",
        "redis @ https://example.com/redis.whl --hash=sha256:00\n",
        "--index-url https://example.com/simple\nredis==8.1.0 --hash=sha256:00\n",
    ],
)
def test_a_requirement_that_is_not_locked_is_found(lock: str) -> None:
    assert house.unlocked(lock)
    assert house.unlocked("redis==8.1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n") == []
