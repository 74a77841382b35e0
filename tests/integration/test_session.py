"""What tests/conftest.py does to a whole test session, seen on sessions of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SKIPS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="no promtool here")
def test_skips():
    pass
"""

NEEDS_KAFKA = """
def test_needs_kafka(kafka):
    pass
"""


def session(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    test = folder / "test_inner.py"
    test.write_text(text)
    # Not under tests/, where it would be collected with the rest: so the conftest is named.
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    options = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", str(test)]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_skipped_test_fails_the_session_and_is_listed_where_no_skip_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKPULSE_NO_SKIP", "1")
    outcome = session(tmp_path, SKIPS)
    assert outcome.returncode == pytest.ExitCode.TESTS_FAILED, outcome.stdout
    assert "test_inner.py::test_skips: Skipped: no promtool here" in outcome.stdout


def test_a_skipped_test_passes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESKPULSE_NO_SKIP", raising=False)
    outcome = session(tmp_path, SKIPS)
    assert outcome.returncode == pytest.ExitCode.OK, outcome.stdout
    assert "1 passed, 1 skipped" in outcome.stdout


def test_the_header_names_the_kafka_and_the_redis_that_would_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKPULSE_TEST_KAFKA", "broker.invalid:9092")
    outcome = session(tmp_path, "def test_passes(): pass")
    assert "kafka: configured by DESKPULSE_TEST_KAFKA" in outcome.stdout
    assert "\nredis: " in outcome.stdout
    assert "used:" not in outcome.stdout, "nothing may be started for a test that needs nothing"


def test_a_session_without_a_real_kafka_fails_at_once_where_one_is_demanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKPULSE_REQUIRE_REAL", "1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.delenv("DESKPULSE_TEST_KAFKA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = session(tmp_path, NEEDS_KAFKA)
    assert outcome.returncode == pytest.ExitCode.USAGE_ERROR, outcome.stdout
    assert "DESKPULSE_REQUIRE_REAL is set and there is no real kafka here" in outcome.stderr


def test_where_there_is_no_java_the_embedded_broker_serves_and_the_summary_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DESKPULSE_REQUIRE_REAL", "DESKPULSE_NO_SKIP", "DESKPULSE_TEST_KAFKA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = session(tmp_path, NEEDS_KAFKA)
    assert outcome.returncode == pytest.ExitCode.OK, outcome.stdout
    assert "kafka used: the in-process broker of librdkafka, librdkafka " in outcome.stdout
