"""A real SMTP server on a free port, with TLS and a login, that answers as it is told."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from warnings import catch_warnings, simplefilter

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "deskpulse", "s3cret-of-smtp"


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 and localhost, and the server's side of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "smtp.pem", folder / "smtp.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return public, context


@dataclass
class Mailbox:
    """``answers`` is what the next mails get in place of ``250 OK``; ``STALL`` gets none."""

    folder: Path
    implicit: bool = False
    answers: deque[str] = field(default_factory=deque)
    got: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._end = asyncio.Event()
        self._served: list[SMTP] = []
        self.ca_file, context = certificate(self.folder)
        options: dict[str, Any] = {"tls_context": context, "require_starttls": True}
        if self.implicit:
            options = {"auth_require_tls": False}

        def served() -> SMTP:
            with catch_warnings():  # it does not know that the connection itself is TLS
                simplefilter("ignore", UserWarning)
                made = SMTP(self, authenticator=self._authenticated, auth_required=True, hostname="test", **options)
            self._served.append(made)
            return made

        loop = asyncio.get_running_loop()
        tls = context if self.implicit else None
        self._server = await loop.create_server(served, "127.0.0.1", 0, ssl=tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        self._server.close()
        for served in self._served:
            for transport in (served.transport, served._original_transport):
                if transport is not None:
                    transport.abort()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.answers.popleft() if self.answers else "250 OK"
        if answer == "STALL":
            await self._end.wait()
            return "451 gone"
        if answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.got.append(mail)
            self.to.append(envelope.rcpt_tos)
        return answer

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 there is no such mailbox"
        if address.startswith("full"):
            return "452 4.2.2 the mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def _authenticated(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)
