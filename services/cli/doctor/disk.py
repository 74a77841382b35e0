"""The folder of ingest's spool: whether there is room, and whether the disk keeps what it is told to keep."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from services import clock
from services.cli.doctor.finding import Finding, ok, problem, warning
from services.config.environment import Environment

SLOW_MS: Final = 200.0
_PROBE: Final = b"\0" * 4096


def look(environment: Environment) -> Finding:
    """Writes 4 KiB into a file without a name and forces it to the disk; nothing is left."""
    most = environment.spool_max_bytes
    if not most:
        return ok("spool", "switched off: while Kafka is away every source gets 503")
    folder = environment.spool()
    there = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
    try:
        began_s = clock.steady_s()
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
        took_ms = (clock.steady_s() - began_s) * 1000
        free = shutil.disk_usage(there).free
    except OSError as exc:
        fix = "give ingest a folder that it may write to (DESKPULSE_SPOOL_DIR), on a disk that outlives it"
        return problem("spool", f"{folder}: cannot be written ({exc.strerror})", fix)
    return judged(folder, free, most, took_ms)


def judged(folder: Path, free: int, most: int, fsync_ms: float) -> Finding:
    """``free`` bytes are left on the disk of a spool of at most ``most``. Pure."""
    said = f"{folder}: {free / 1e9:.1f} GB free, forced to the disk in {fsync_ms:.0f} ms"
    if free < most:
        fix = f"free some, or set DESKPULSE_SPOOL_MAX_BYTES below it (now {most / 1e9:.1f} GB)"
        return warning("spool", f"{said}: less than the spool may take", fix)
    if fsync_ms > SLOW_MS:
        return warning("spool", f"{said}: slow", "use a faster disk: each spooled webhook waits for it")
    return ok("spool", said)
