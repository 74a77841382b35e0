"""What a client needs to speak TLS: whom it trusts, and its own certificate where the other side asks for one."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files. Without ``cafile`` the system's authorities are trusted, with it only those in it."""

    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    key_password: str | None = field(default=None, repr=False)
    check_hostname: bool = True

    def context(self) -> ssl.SSLContext:
        """Raises ``OSError`` or ``ssl.SSLError`` for what :meth:`problems` tells."""
        made = ssl.create_default_context(cafile=self.cafile)
        made.check_hostname = self.check_hostname
        if self.certfile:
            # Never None: for a key with a password, OpenSSL would then ask at the terminal.
            made.load_cert_chain(self.certfile, self.keyfile, password=self.key_password or "")
        return made

    @property
    def given(self) -> dict[str, str]:
        """What is set, by the end of its variable's name."""
        said = {
            "CAFILE": self.cafile,
            "CERTFILE": self.certfile,
            "KEYFILE": self.keyfile,
            "KEY_PASSWORD": "***" if self.key_password else None,
            "CHECK_HOSTNAME": None if self.check_hostname else "false",
        }
        return {name: value for name, value in said.items() if value is not None}

    def problems(self, prefix: str) -> Iterator[str]:
        """What is wrong, a line each; ``prefix`` is what the variables' names begin with (``DESKPULSE_KAFKA_SSL_``)."""
        missing = False
        for name, file in (("CAFILE", self.cafile), ("CERTFILE", self.certfile), ("KEYFILE", self.keyfile)):
            if file is not None and (why := _unreadable(file)):
                missing = True
                yield f"{prefix}{name}: {file} {why}"
        if missing:
            return
        if (self.keyfile or self.key_password) and not self.certfile:
            named = "KEYFILE" if self.keyfile else "KEY_PASSWORD"
            yield f"{prefix}{named}: given without {prefix}CERTFILE: a key is of use only with its certificate"
        if self.cafile and not _loads(Tls(cafile=self.cafile)):
            yield f"{prefix}CAFILE: {self.cafile} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        elif self.certfile:
            yield from self._own_problems(prefix)

    def _own_problems(self, prefix: str) -> Iterator[str]:
        key = f"{prefix}{'KEYFILE' if self.keyfile else 'CERTFILE'}: {self.keyfile or self.certfile}"
        try:
            self.context()
        except ssl.SSLError as exc:
            reason = (exc.reason or "").upper()
            if "MISMATCH" in reason:
                yield f"{key} is not the key of the certificate in {self.certfile}"
            elif "BAD_DECRYPT" in reason or "PASSWORD" in reason or "BAD_PASS" in reason:
                said = "is not the password" if self.key_password else "is not set, and the key has a password"
                yield f"{prefix}KEY_PASSWORD: {said} of {self.keyfile or self.certfile}"
            elif _encrypted(self.keyfile or self.certfile or ""):
                said = "does not open" if self.key_password else "is not set, and a password is on"
                yield f"{prefix}KEY_PASSWORD: {said} {self.keyfile or self.certfile}"
            else:
                yield f"{key} cannot be used ({exc.reason or 'not PEM'}): certificate and key must be PEM"
        except OSError as exc:
            yield f"{key} cannot be used ({exc.strerror})"


SYSTEM: Final = Tls()
"""The system's authorities, and no certificate of our own."""


def _unreadable(file: str) -> str | None:
    try:
        with Path(file).open("rb"):
            return None
    except FileNotFoundError:
        return "does not exist"
    except OSError as exc:
        return f"cannot be read ({exc.strerror}): give this process's user the right to"


def _loads(tls: Tls) -> bool:
    try:
        tls.context()
    except (ssl.SSLError, OSError):
        return False
    return True


def _encrypted(file: str) -> bool:
    return "ENCRYPTED" in Path(file).read_text(encoding="ascii", errors="replace")
