"""An authority for one test run, and the certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; ``chain`` has certificate and key together, as Kafka wants them."""

    cert: Path
    key: Path
    chain: Path
    password: str | None


class Authority:
    """Its certificate is in ``ca``; what it signs lies beside that."""

    def __init__(self, folder: Path, name: str = "Deskpulse test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            self._begun(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, hosts: tuple[str, ...] = (), addresses: tuple[str, ...] = (), password: str | None = None
    ) -> Certificate:
        """A certificate for ``name``, good for servers and clients; ``password`` protects its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        named: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        named += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        begun = self._begun(subject, key)
        if named:
            begun = begun.add_extension(x509.SubjectAlternativeName(named), critical=False)
        made = begun.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        locked = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        told = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        files = Certificate(*(self._folder / f"{name}{end}" for end in (".crt", ".key", ".pem")), password)
        files.cert.write_bytes(made)
        files.key.write_bytes(told)
        files.chain.write_bytes(told + made)
        return files

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 2 * _DAY)
        )
