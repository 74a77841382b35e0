"""What doctor makes of the facts, where making them true would need another machine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.instant import SECOND_US
from services.cli.doctor import clocks, disk, services, state
from services.cli.doctor import document as judged
from services.cli.doctor.finding import Level
from services.cli.scrape import Sample, Scraped
from services.config.document import parse
from services.state.survey import Survey


@pytest.mark.parametrize(
    ("ahead_s", "whose", "side", "level"),
    [
        ({"Redis": 0.4, "Kafka": -0.4}, None, None, Level.OK),
        ({"Redis": 3.0}, "Redis", "ahead", Level.WARNING),
        ({"Redis": -60.0, "Kafka": 0.2}, "Redis", "behind", Level.PROBLEM),
        ({"Redis": 60.0, "Kafka": 60.3}, "this machine", "behind", Level.PROBLEM),
        ({"Redis": 0.1, "Kafka": 12.0}, "Kafka", "ahead", Level.PROBLEM),
    ],
)
def test_of_clocks_that_disagree_the_one_that_is_off_is_named(
    ahead_s: dict[str, float], whose: str | None, side: str | None, level: Level
) -> None:
    [found] = clocks.findings(ahead_s)
    assert found.level is level
    if whose is not None:
        assert f"the clock of {whose} is" in found.detail
        assert f" s {side} (" in found.detail
        assert found.fix is not None
        assert found.fix.startswith(f"on {whose}: ")


def test_brokers_show_their_clock_by_what_they_wrote_in_the_future_or_before_it_was_received() -> None:
    now_us = 1_000 * SECOND_US
    assert clocks.brokers_ahead_s(now_us + 5 * SECOND_US, now_us) == 5
    assert clocks.brokers_ahead_s(now_us, now_us) is None
    assert clocks.brokers_ahead_s(None, now_us) is None
    assert clocks.append_behind_s([30 * SECOND_US, -7 * SECOND_US, -6 * SECOND_US]) == -7
    assert clocks.append_behind_s([1, 2]) is None


def test_a_worker_behind_the_log_and_a_clock_that_stands_still_are_warnings() -> None:
    def worker(lag: float, clock_lag_s: float) -> Scraped:
        partition = {"partition": "0"}
        return Scraped(
            True,
            None,
            (
                Sample("deskpulse_consumer_lag_records", partition, lag),
                Sample("deskpulse_partition_clock_lag_seconds", partition, clock_lag_s),
            ),
        )

    levels = [[one.level for one in services.behind(worker(*facts))] for facts in ((3, 0.1), (5000, 60), (0, 60))]
    assert levels == [[Level.OK], [Level.WARNING], [Level.WARNING]]
    assert list(services.behind(Scraped(False))) == []


def test_a_service_that_is_not_ready_says_why() -> None:
    from services.config.environment import Environment

    seen = dict.fromkeys(services.NAMES, Scraped(True))
    seen["alerts"] = Scraped(True, "Redis does not answer")
    [unready] = [one for one in services.findings(Environment(), seen) if one.level is not Level.OK and one.fix]
    assert unready.level is Level.PROBLEM
    assert "Redis does not answer" in unready.detail


@pytest.mark.parametrize(
    ("info", "what", "level"),
    [
        ({"redis_version": "6.0.16"}, "redis", Level.PROBLEM),
        ({"maxmemory": 100, "used_memory": 90}, "redis memory", Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru"}, "redis memory", Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 1}, "redis memory", Level.PROBLEM),
        ({"aof_enabled": 0}, "redis disk", Level.WARNING),
        ({"aof_last_write_status": "err"}, "redis disk", Level.PROBLEM),
        ({"rdb_last_bgsave_status": "err"}, "redis disk", Level.WARNING),
    ],
)
def test_a_redis_that_is_not_fit_for_state_is_told(info: dict[str, object], what: str, level: Level) -> None:
    good = {"redis_version": "7.4.0", "aof_enabled": 1}
    assert [one.level for one in state.judged("here", good)] == [Level.OK]
    found = [one for one in state.judged("here", good | info) if one.level is not Level.OK]
    assert [(one.what, one.level) for one in found] == [(what, level)]
    assert all(one.fix for one in found)


def test_a_disk_that_is_full_or_slow_is_a_warning() -> None:
    levels = [disk.judged(Path("x"), free, 10, ms).level for free, ms in ((20, 5), (5, 5), (20, 900))]
    assert levels == [Level.OK, Level.WARNING, Level.WARNING]


def test_a_policy_is_reached_when_no_earlier_one_takes_all_of_its_tickets() -> None:
    reached = parse(
        """
sla_policies:
  - {name: teams, match: {team: [a]}, targets: {group_ownership: {"*": 1d}}}
  - {name: mail, match: {channel: [email], team: [a, b]}, targets: {resolution: {"*": 1d}}}
  - {name: vip, match: {tier: [vip]}, targets: {resolution: {"*": 1d}}}
  - {name: rest, targets: {resolution: {"*": 1d}}}
""",
        {},
    )
    assert list(judged.policies(reached)) == []
    hidden = parse(
        """
sla_policies:
  - {name: mail, match: {channel: [email, web]}, targets: {resolution: {"*": 1d}}}
  - {name: narrow, match: {channel: [email], team: [a]}, targets: {resolution: {"*": 1h}}}
""",
        {},
    )
    [found] = judged.policies(hidden)
    assert "narrow: never reached, mail before it" in found.detail


def test_holidays_to_come_or_every_year_are_no_finding() -> None:
    def found(text: str) -> int:
        calendar = f"calendars: {{c: {{timezone: UTC, weekly: {{mon: [['09:00', '10:00']]}}, {text}}}}}"
        return len(list(judged.calendars(parse(calendar, {}), date(2026, 6, 1))))

    assert found('holidays: ["2025-12-25"]') == 1
    assert found('holidays: ["2025-12-25", "2026-12-25"]') == 0
    assert found('holidays: ["2025-12-25"], annual_holidays: ["12-25"]') == 0
    assert found('holidays: ["2025-12-25"], country: FR') == 0
    assert found("holidays: []") == 0


@pytest.mark.parametrize(
    ("partitions", "readers", "levels", "said"),
    [
        ({}, {}, [], ""),
        ({0: (1, 1), 1: (1, 1)}, {"metrics:a": 1}, [Level.OK], "version 1"),
        ({0: (0, 1), 1: (1, 1)}, {"metrics:a": 1}, [Level.OK], "1 of 2 partitions left to rewrite"),
        ({0: (0, 1)}, {"api:a": 1}, [Level.PROBLEM], "no metrics worker runs"),
        ({0: (9, 9)}, {"metrics:a": 9}, [Level.PROBLEM], "upgrade this replica"),
    ],
)
def test_the_version_of_the_state_is_told_with_what_hinders(
    partitions: dict[int, tuple[int, int]], readers: dict[str, int], levels: list[Level], said: str
) -> None:
    found = list(state.versioned(Survey(partitions, 0, 0, readers, None)))
    assert [one.level for one in found] == levels
    assert all(said in one.detail for one in found)
