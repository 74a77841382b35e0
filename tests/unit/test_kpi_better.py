"""Which way each KPI is better."""

from services.kpi.better import DIRECTIONS, good
from services.kpi.catalogue import KPIS


def test_every_kpi_has_one_direction() -> None:
    assert DIRECTIONS.keys() == KPIS.keys()


def test_a_change_is_good_or_bad_by_its_direction() -> None:
    assert good("first_response_time", 60.0, 90.0) is True
    assert good("first_response_time", 90.0, 60.0) is False
    assert good("csat", 0.9, 0.8) is True
    assert good("csat", 0.7, 0.8) is False


def test_no_change_and_a_mere_amount_are_no_news() -> None:
    assert good("csat", 0.8, 0.8) is None
    assert good("tickets_created", 10.0, 5.0) is None
