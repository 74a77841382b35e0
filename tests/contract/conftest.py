"""The Helm chart, rendered: fixtures of the tests that look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.chart import CHART, SETS, Sets
from tests.support import helm as helm_support
from tests.support.helm import Helm, Rendered


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    """Helm, for our chart."""
    reason = helm_support.missing()
    if reason is not None:
        pytest.skip(reason)
    with helm_support.serving(CHART, tmp_path_factory.mktemp("helm")) as found:
        yield found


@pytest.fixture(scope="session")
def sets(helm: Helm) -> Sets:
    """Each set of values, rendered once."""
    return Sets(helm)


@pytest.fixture(params=sorted(SETS))
def rendered(sets: Sets, request: pytest.FixtureRequest) -> Rendered:
    """One set after the other."""
    return sets.of(request.param)
