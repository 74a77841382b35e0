"""Become another program that the kernel ends together with the process that started this one.

Run by path, never imported: `python -I -S tether.py PARENT_PID PROGRAM ARGUMENT...`. Doing this between fork
and exec of the parent (`preexec_fn`) would run Python code in a forked copy of a threaded process, which may
deadlock; doing it in a fresh interpreter cannot.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, argv: list[str]) -> None:
    """Replace this process by `argv`. The request survives the exec, so the program needs to know nothing.

    Only Linux can promise this. Elsewhere the program outlives a parent that was killed outright.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # SIGKILL and not SIGTERM: with the rest of the system gone a graceful stop may wait for ever, and
        # every part is made to survive a crash.
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the process that started this one has already ended")
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
