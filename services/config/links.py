"""``links`` of the document: what lets people act from a message."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from schemas import standard_webhook
from services.config.duration import seconds

_LEAST_BYTES: Final = 16


def _key(secret: SecretStr) -> SecretStr:
    if len(standard_webhook.key(secret.get_secret_value())) < _LEAST_BYTES:
        raise ValueError(f"at least {_LEAST_BYTES} bytes; make one with: openssl rand -base64 32")
    return secret


def _valid(text: str) -> str:
    if not 300 <= seconds(text) <= 30 * 86_400:
        raise ValueError("must be from 5m to 30d")
    return text


class Links(BaseModel):
    """Messages carry links that acknowledge and snooze, signed with the first of ``secrets``; those that an older one
    signed still count. They end ``valid`` after what the message tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets: tuple[Annotated[SecretStr, AfterValidator(_key)], ...] = Field(min_length=1, max_length=5)
    valid: Annotated[str, AfterValidator(_valid)] = "3d"
