"""What the environment may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.config.environment import Environment


@pytest.mark.parametrize("text", ["1h", "72h", "30d", "90m"])
def test_a_dedupe_horizon_is_a_duration_from_an_hour_to_a_month(text: str) -> None:
    assert Environment(dedupe_horizon=text).dedupe_horizon == text


@pytest.mark.parametrize("text", ["59m", "31d", "3600", "", "for ever"])
def test_another_horizon_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write for example|less than 1h or more than 30d"):
        Environment(dedupe_horizon=text)
