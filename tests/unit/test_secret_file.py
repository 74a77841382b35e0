"""The secrets of a first try."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from services.embedded import Unavailable
from services.embedded.secret_file import FILE_NAME, kept, names, provide, source_variables

CONFIG = """
# A comment may mention ${NOT_THIS}.
sources:
  shop: {vendor: zendesk, secrets: ["${SHOP_SECRET}", "${SHOP_OLD}"], hash_key: "${HASH_KEY}"}
  erp:
    vendor: generic
    secrets: ["whsec_${ERP_SECRET}"]
    ticket_url: "${BASE_URL}/tickets/{ticket_id}"
receivers:
  oncall:
    webhook: {url: "${ONCALL_URL}", secrets: ["${ONCALL_SECRET}", "${SHOP_SECRET}"]}
api_tokens: ["${TOKEN}"]
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_names_are_found_where_secrets_stand_and_nowhere_else() -> None:
    assert names(CONFIG) == ["SHOP_SECRET", "SHOP_OLD", "HASH_KEY", "ERP_SECRET", "ONCALL_SECRET", "TOKEN"]


@pytest.mark.parametrize("text", ["", "a: [", "just words", "[]"])
def test_a_text_that_is_no_configuration_has_none(text: str) -> None:
    assert names(text) == []


def test_only_a_secret_that_is_nothing_but_a_variable_can_be_read_by_a_shell() -> None:
    assert source_variables(CONFIG) == {"shop": "SHOP_SECRET"}
    assert source_variables("") == {}


def test_what_is_made_is_random_kept_for_the_next_time_and_only_the_owners_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = provide(folder, ["A", "B"], {})
    assert set(first) == {"A", "B"}
    assert first["A"] != first["B"]
    assert all(len(value) == 32 for value in first.values())
    assert mode(folder / FILE_NAME) == 0o600
    assert mode(folder) == 0o700
    assert provide(folder, ["A", "B"], {}) == first
    assert provide(tmp_path / "other", ["A"], {})["A"] != first["A"]


def test_what_the_environment_sets_is_neither_made_nor_kept(tmp_path: Path) -> None:
    assert provide(tmp_path, ["A"], {"A": "mine"}) == {}
    assert not (tmp_path / FILE_NAME).exists()
    assert set(provide(tmp_path, ["A", "B"], {"A": "mine", "B": ""})) == {"B"}
    assert set(json.loads((tmp_path / FILE_NAME).read_text())) == {"B"}


def test_a_new_name_is_added_and_the_others_stay(tmp_path: Path) -> None:
    first = provide(tmp_path, ["A"], {})
    assert provide(tmp_path, ["B"], {}).keys() == {"B"}
    assert kept(tmp_path)["A"] == first["A"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    provide(tmp_path, ["A"], {})
    (tmp_path / FILE_NAME).chmod(0o644)
    provide(tmp_path, ["A"], {})
    assert mode(tmp_path / FILE_NAME) == 0o600


@pytest.mark.parametrize("content", ["", "[]", '{"A": 1}', '{"A": ""}'])
def test_a_file_that_makes_no_sense_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / FILE_NAME
    file.write_text(content)
    with pytest.raises(Unavailable, match=FILE_NAME):
        provide(tmp_path, ["A"], {})
    assert file.read_text() == content
