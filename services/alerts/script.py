"""What changes alerts in Redis in one step: the scripts in ``lua/``."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis

from schemas.forms import ALERTS_FORM_KEY
from services.state.forms import guarded

_FOLDER: Final = files("services.alerts") / "lua"


def script(writer: Redis, name: str) -> Any:
    """``lua/{name}.lua``, to be called with keys and args. It changes nothing that is newer than this code knows."""
    return writer.register_script(guarded((_FOLDER / f"{name}.lua").read_text(), ALERTS_FORM_KEY))
