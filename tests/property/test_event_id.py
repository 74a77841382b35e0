"""Ids of events are uuid5s, as ADRs, guides and other systems' own computations expect."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from schemas.ticket import NAMESPACE, event_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts, st.lists(texts, max_size=4))
def test_an_event_id_is_the_uuid5_of_its_identity(source: str, identity: list[str]) -> None:
    found = event_id(source, *identity)
    assert UUID(found) == uuid5(NAMESPACE, "\x1f".join((source, *identity)))
    assert found == str(UUID(found))
