"""The bench's tables of where ingest's time goes."""

from __future__ import annotations

from bench.ingest_stages import InProcess, Pure, least, least_in_process, stages, vendors


def test_the_stages_add_up_to_the_whole() -> None:
    rows = stages(500.0, 400.0, 370.0, InProcess(250.0, {}), Pure(15.0, 70.0, 15.0))
    assert [int(row.split()[0]) for row in rows] == [120, 15, 70, 15, 30, 100, 150, 500]
    assert rows[-1].split()[2] == "100.0%"
    assert sum(int(row.split()[0]) for row in rows[:-1]) == 500


def test_vendors_are_told_beside_the_bare_route_the_cheapest_first() -> None:
    rows = vendors(InProcess(250.0, {"dear": 400.0, "cheap": 100.0}), 370.0, 220.0)
    assert [row.split() for row in rows] == [
        ["220", "µs", "1.00", "×", "bare", "cheap"],
        ["520", "µs", "2.36", "×", "bare", "dear"],
    ]


def test_of_several_measurements_the_least_of_each_counts() -> None:
    assert least([Pure(1, 5, 3), Pure(2, 4, 3)]) == Pure(1, 4, 3)
    assert least_in_process([InProcess(2, {"a": 1, "b": 4}), InProcess(3, {"a": 2, "b": 3})]) == InProcess(
        2, {"a": 1, "b": 3}
    )
