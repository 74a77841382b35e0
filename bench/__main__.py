"""``python -m bench [NAME …] [--quick] [--full] [--json] [--profile]``: the budgets as ratios of one run.

Exits 0 whatever the numbers are, and 1 when a measurement could not be made.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import platform
import signal
import sys
import traceback
from contextlib import ExitStack
from typing import Final, NoReturn

import orjson

from bench.table import Findings, document, rendered
from bench.world import World, steady_s
from services import clock
from services.embedded import Unavailable

NAMES: Final = ("core", "worker", "ingest", "latency", "breach", "message", "reads", "board", "memory", "growth")
"""The measurements, each a module of this package with ``measure(world)``, in the order of the run."""


def main(argv: list[str]) -> int:
    """Measures what is asked for and prints the table; the exit code."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, _stopped)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    began_s = steady_s()

    def say(line: str) -> None:
        print(f"[{steady_s() - began_s:5.0f} s] {line}", file=sys.stderr, flush=True)

    say(f"on {machine()}")
    found: dict[str, Findings] = {}
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        world = World(stack, say, quick=options.quick, profile=options.profile or not options.quick, full=options.full)
        for name in options.names or NAMES:
            say(name)
            try:
                found[name] = importlib.import_module(f"bench.{name}").measure(world)
            except Exception as reason:
                # Whatever it was, the others are measured and told.
                failed[name] = f"{type(reason).__name__}: {reason}"
                if not isinstance(reason, Unavailable | AssertionError):
                    traceback.print_exc()
                say(f"{name} could not be measured: {failed[name]}")
    seconds = steady_s() - began_s
    if options.json:
        _print_json(found, failed, seconds, quick=options.quick)
    else:
        _print_table(found, failed, seconds, quick=options.quick)
    return 1 if failed else 0


def machine() -> str:
    """What this run was measured on, and how busy that was with other things."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    at = clock.now().strftime("%Y-%m-%d %H:%MZ")
    return f"{at}, {cores} cores, Python {platform.python_version()}, {platform.system()}, load {load}"


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="smaller amounts: less than three minutes in all")
    parser.add_argument("--full", action="store_true", help="growth: the whole curves; hours, and some GB of memory")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument(
        "--profile", action="store_true", help="in --quick too: where the time goes, function by function"
    )
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


def _print_table(found: dict[str, Findings], failed: dict[str, str], seconds: float, *, quick: bool) -> None:
    for one in found.values():
        for heading, rows in one.profiles.items():
            print(f"\nWhere the time goes: {heading}")
            print("\n".join(rows))
    print(f"\n{machine()}; {seconds:.0f} s{', quick' if quick else ''}\n")
    print(rendered([line for one in found.values() for line in one.lines]))
    print("\nNotes")
    for one in found.values():
        for note in one.notes:
            print(f"- {note}")
    for name, reason in failed.items():
        print(f"- {name} could not be measured: {reason}")


def _print_json(found: dict[str, Findings], failed: dict[str, str], seconds: float, *, quick: bool) -> None:
    told = {
        "machine": machine(),
        "seconds": round(seconds, 1),
        "quick": quick,
        "lines": [{"name": name, **document(line)} for name, one in found.items() for line in one.lines],
        "notes": [note for one in found.values() for note in one.notes],
        "profiles": {heading: rows for one in found.values() for heading, rows in one.profiles.items()},
        "failed": failed,
    }
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


def _stopped(*_: object) -> NoReturn:
    """Ends as by Ctrl-C, so that everything that was started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
