"""Desks for the engine's tests."""

import pytest

from tests.engine.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """One coin at whole lots, free of cost, volume without end: lots are easy to reckon."""
    return Desk("AAA", costs={"fee_bps": 0.0, "half_spread_bps": 0.0, "impact_eta": 0.0, "volume_share": 1.0})
