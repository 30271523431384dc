"""What a ruling keeps of its paths: quantiles of the very paths that decided it, small, and missing in old records."""

import msgspec
import numpy as np
import pytest

from tests.tournaments.seasons import days, season
from tests.tournaments.stressed import ALWAYS_LONG, IGNORES_GAPS, planted, staged
from tournaments.record import RoundRecord
from tournaments.season import rounds
from tournaments.stress.curves import POINTS, points, stress_path
from tournaments.stress.resilience import excess
from tournaments.stress.rule import rule
from tournaments.stress.scenarios import Claim, Scenario
from tournaments.stress.simulate import simulate

GAP = Scenario(family="overnight_gap")
DRAIN = Scenario(family="liquidity_drain")


@pytest.fixture(scope="module")
def outcomes():
    return simulate(staged(paths=40), [planted(ALWAYS_LONG), planted(IGNORES_GAPS)], [GAP, DRAIN], curves=True)


@pytest.fixture(scope="module")
def record():
    market = days(60)
    found = rounds(season(market), after_ns=int(market.daily.now_ns[44]), until_ns=int(market.daily.now_ns[-1]))
    return next(found)


@pytest.mark.parametrize(("k", "s"), [(0, 0), (1, 1)])
def test_a_path_is_the_quantiles_of_the_equity_at_each_of_its_points(outcomes, k, s):
    path = stress_path(outcomes, k, s)
    at = np.array(path.bars[1:]) - 1
    change = outcomes.equity[k][:, :, at] / outcomes.stage.terms.capital - 1.0
    ranked = np.sort(change[1 + s], axis=0)
    assert path.low[1:] == pytest.approx(ranked[1] + 0.95 * (ranked[2] - ranked[1]), abs=1e-6)  # (40 - 1) / 20
    assert path.median[1:] == pytest.approx((ranked[19] + ranked[20]) / 2, abs=1e-6)
    assert path.high[1:] == pytest.approx(ranked[37] + 0.05 * (ranked[38] - ranked[37]), abs=1e-6)
    assert path.calm[1:] == pytest.approx(np.median(change[0], axis=0), abs=1e-6)
    worst = int(np.argmax(change[0, :, -1] - change[1 + s, :, -1]))
    assert path.worst[1:] == pytest.approx(change[1 + s, worst], abs=1e-6)
    assert {each[0] for each in (path.low, path.median, path.high, path.worst, path.calm)} == {0.0}


def test_the_paths_drawn_are_those_that_decided_the_claim(outcomes):
    stage = outcomes.stage
    ruled = rule(stage, planted(ALWAYS_LONG), [Claim(scenario=GAP, measure="mean", exceeds=0.1)])[0]
    assert ruled.path == stress_path(outcomes, 0, 0)
    last = outcomes.equity[0, :, :, -1] / stage.terms.capital
    assert ruled.measured * stage.risk_budget == pytest.approx(float((last[0] - last[1]).mean()), abs=1e-12)
    assert float(excess(outcomes, 0, 0).max()) * stage.risk_budget == pytest.approx(float((last[0] - last[1]).max()))


def test_a_gap_is_seen_on_both_sides_of_where_it_begins(outcomes):
    path = stress_path(outcomes, 0, 0)
    before, after = path.bars.index(path.begins), path.bars.index(path.begins + 1)
    assert path.begins > 0
    assert after == before + 1
    assert path.high[after] - path.low[after] > 2.0 * (path.high[before] - path.low[before])


@pytest.mark.parametrize("bars", [1, 2, 20, 26, 59, 60, 61, 390, 1440])
@pytest.mark.parametrize("at", [0.0, 0.5])
def test_points_are_few_and_hold_the_first_the_last_and_the_event(bars, at):
    begins = int(at * bars)
    kept = points(bars, begins)
    assert kept[0] == 0
    assert kept[-1] == bars - 1
    assert len(kept) + 1 <= POINTS
    assert (np.diff(kept) > 0).all()
    assert begins in kept


def test_outcomes_without_curves_have_no_path(outcomes):
    without = simulate(outcomes.stage, [planted(ALWAYS_LONG)], [GAP])
    with pytest.raises(ValueError, match="curves = True"):
        stress_path(without, 0, 0)


def test_every_ruling_of_a_round_keeps_its_path_and_the_record_stays_small(record):
    ruled = [each for debate in record.debates.values() for each in debate.rulings]
    assert len(ruled) == 12
    assert all(each.path is not None and each.path.bars[-1] == 20 for each in ruled)
    assert len(msgspec.json.encode(record)) < 300_000
    longest = stress_path(simulate(staged(paths=10), [planted(ALWAYS_LONG)], [GAP], curves=True), 0, 0)
    assert longest.bars[-1] == 390
    assert len(msgspec.json.encode(longest)) < 5_000


def test_records_from_before_paths_were_kept_can_be_read(record):
    old = msgspec.json.decode(msgspec.json.encode(record))
    for debate in old["debates"].values():
        for ruling in debate["rulings"]:
            del ruling["path"]
    read = msgspec.json.decode(msgspec.json.encode(old), type=RoundRecord)
    assert {each.path for debate in read.debates.values() for each in debate.rulings} == {None}
    assert read.scores == record.scores
