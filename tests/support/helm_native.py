"""A process that has Helm's Go code in it: a request on each line of stdin, its answer on a line of stdout, in JSON.

A process of its own, since the Go runtime brings threads and signal handlers, which pytest should not get.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

_T, _I = ctypes.c_char_p, ctypes.c_int


class _Result(ctypes.Structure):
    _fields_ = tuple((name, _T) for name in ("out", "err", "stdout", "stderr"))


class _Install(ctypes.Structure):
    """``struct InstallOptions`` of the library's header, in its order."""

    _fields_ = (
        *(("name", _T), ("generate_name", _I), ("name_template", _T), ("version", _T), ("chart", _T)),
        *(("namespace", _T), ("kube_version", _T), ("atomic", _I), ("create_namespace", _I), ("description", _T)),
        *(("devel", _I), ("dependency_update", _I), ("disable_open_api_validation", _I), ("dry_run", _I)),
        *(("dry_run_option", _T), ("skip_crds", _I), ("wait", _I), ("timeout", _I), ("values", _T)),
        *(("set_files", _T), ("values_files", _T), ("kube_config", _T), ("kube_config_contents", _T)),
        *(("cert_file", _T), ("key_file", _T), ("ca_file", _T), ("insecure_skip_tls_verify", _I)),
        *(("plain_http", _I), ("keyring", _T), ("debug", _I), ("client_only", _I), ("repository_config", _T)),
    )


class _Template(ctypes.Structure):
    """``struct TemplateOptions``."""

    _fields_ = (
        *(("name", _T), ("version", _T), ("chart", _T), ("namespace", _T), ("kube_version", _T)),
        *(("dependency_update", _I), ("skip_crds", _I), ("values", _T), ("set_files", _T), ("values_files", _T)),
        *(("cert_file", _T), ("key_file", _T), ("ca_file", _T), ("insecure_skip_tls_verify", _I)),
        *(("plain_http", _I), ("keyring", _T), ("debug", _I), ("repository_config", _T)),
    )


class _Lint(ctypes.Structure):
    _fields_ = (("path", _T), ("strict", _I), ("quiet", _I))


_REQUESTS: dict[str, type[ctypes.Structure]] = {"Install": _Install, "Template": _Template, "Lint": _Lint}


def _native(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else int(value)


def main(library: str) -> None:
    """Answers until stdin ends."""
    helm = ctypes.CDLL(library)
    for name in (*_REQUESTS, "Version"):
        getattr(helm, name).restype = _Result
    for line in sys.stdin:
        asked = json.loads(line)
        call = getattr(helm, asked.pop("call"))
        form = _REQUESTS.get(call.__name__)
        options = form(**{name: _native(value) for name, value in asked.items()}) if form else None
        found = call(ctypes.byref(options)) if options is not None else call()
        answer = {name: (getattr(found, name) or b"").decode() for name in ("out", "err", "stdout", "stderr")}
        helm.Free(found)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
