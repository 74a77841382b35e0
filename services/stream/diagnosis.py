"""Why no broker answers: a library says only that none did, and an operator needs to know which setting is wrong."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

from aiokafka import errors
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from services.stream.connection import Connection

_DEADLINE_S: Final = 3.0
_DOES_NOT_ANSWER: Final = "Kafka does not answer"

_TLS: Final = {
    "HOSTNAME_MISMATCH": "the broker's certificate names another host",
    "IP_ADDRESS_MISMATCH": "the broker's certificate names another host",
    "EXPIRED": "the broker's certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "the authority of the broker's certificate is not trusted: see "
    "DESKPULSE_KAFKA_SSL_CAFILE",
    "CERTIFICATE_REQUIRED": "it asks for a client certificate: set DESKPULSE_KAFKA_SSL_CERTFILE",
    "UNKNOWN_CA": "it does not trust our certificate: see DESKPULSE_KAFKA_SSL_CERTFILE",
    "DECRYPT_ERROR": "it does not trust our certificate: see DESKPULSE_KAFKA_SSL_CERTFILE",
    "CERTIFICATE_UNKNOWN": "it does not trust our certificate: see DESKPULSE_KAFKA_SSL_CERTFILE",
    "BAD_CERTIFICATE": "it takes no connection without a client certificate that it trusts: see "
    "DESKPULSE_KAFKA_SSL_CERTFILE",
    "HANDSHAKE_FAILURE": "it refused the TLS handshake: see DESKPULSE_KAFKA_SSL_CERTFILE",
}
_NO_TLS: Final = "it does not speak TLS on this port: see DESKPULSE_KAFKA_SECURITY_PROTOCOL"
_OTHER: Final = "it closes the connection at once: see DESKPULSE_KAFKA_SECURITY_PROTOCOL, and the client certificate"


async def unreachable(connection: Connection) -> str:
    """One sentence without secrets, by asking the brokers once more."""
    reasons: list[str] = []
    for address in connection.bootstrap.split(","):
        why = await _tried(connection, address.strip())
        if why is None:
            return _DOES_NOT_ANSWER  # it does, by now
        if why not in reasons:
            reasons.append(why)
    return f"{_DOES_NOT_ANSWER}: {'; '.join(reasons)}"


def refused(exc: BaseException) -> str | None:
    """What the account lacks, where that is what the error says."""
    if isinstance(exc, errors.TopicAuthorizationFailedError):
        return "the account has no right to a topic: see docs/guides/secure-connections.md"
    if isinstance(exc, errors.GroupAuthorizationFailedError):
        return "the account has no right to the consumer group: see docs/guides/secure-connections.md"
    if isinstance(exc, errors.ClusterAuthorizationFailedError):
        return "the account has no right to write idempotently: see docs/guides/secure-connections.md"
    return None


async def _tried(connection: Connection, address: str) -> str | None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return f"{address} is not host:port: see DESKPULSE_KAFKA_BOOTSTRAP"
    made = None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            made = await create_conn(
                host.strip("[]"), int(port), client_id="deskpulse-probe", **connection.credentials()
            )
            await made.send(MetadataRequest([]))
    except errors.UnsupportedSaslMechanismError:
        return f"it does not take {connection.sasl_mechanism}: see DESKPULSE_KAFKA_SASL_MECHANISM"
    except errors.IllegalSaslStateError:
        return "it asks for no password on this port: see DESKPULSE_KAFKA_SECURITY_PROTOCOL"
    except errors.SaslAuthenticationFailed:
        return "wrong user or password: see DESKPULSE_KAFKA_SASL_USERNAME and DESKPULSE_KAFKA_SASL_PASSWORD"
    except TimeoutError:
        return f"nothing comes back from {address}"
    except (errors.KafkaError, OSError) as exc:
        return _reason(exc, address)
    finally:
        if made is not None and (closing := made.close()) is not None:
            await asyncio.wait({closing}, timeout=1.0)
    return None


def _reason(exc: BaseException | None, address: str) -> str:
    first = exc
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            said = f"{exc.reason or ''} {getattr(exc, 'verify_message', '')} {exc}".upper().replace(" ", "_")
            found = next((meaning for name, meaning in _TLS.items() if name in said), None)
            return found or _NO_TLS
        if isinstance(exc, socket.gaierror):
            return f"the name in {address} is not known: see DESKPULSE_KAFKA_BOOTSTRAP"
        if isinstance(exc, ConnectionRefusedError):
            return f"nobody listens on {address}"
        if isinstance(exc, OSError) and "Connect call failed" in str(exc):
            return f"nobody listens on {address}"
        exc = exc.__cause__ or exc.__context__
    return (
        _OTHER
        if isinstance(first, (errors.KafkaConnectionError, ConnectionError, EOFError))
        else (type(first).__name__)
    )
