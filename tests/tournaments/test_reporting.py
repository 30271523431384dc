"""Figures of many rounds: shares of first places, errors that fit, the capital by the weights in force, claims."""

import msgspec
import numpy as np
import pytest

from tests.pages import rounds
from tournaments.reporting import figures
from tournaments.reporting.claims import claims
from tournaments.reporting.estimates import Interval, by_student, jackknifed, of_poisson, resampled
from tournaments.reporting.exposure import exposure
from tournaments.reporting.innovation import Innovation, innovated
from tournaments.scores.performance import maximum_drawdown, sharpe
from tournaments.unit_book import UnitBook


def test_first_places_add_up_to_the_rounds_and_ties_share_one():
    records = list(rounds.held())
    tied = msgspec.structs.replace(
        records[0], scores=[msgspec.structs.replace(row, rank=1) for row in records[0].scores]
    )
    told = {name: figures.agent_figures([tied, records[1]], name) for name in figures.agents_in(records)}
    assert sum(each.firsts for each in told.values()) == pytest.approx(2.0)
    assert min(each.firsts for each in told.values()) == pytest.approx(0.25)
    assert sum(each.bests for each in told.values()) == pytest.approx(2.0)
    assert all(each.firsts_error > 0.1 for each in told.values())


def test_settled_skill_is_the_mean_over_rounds_with_students_interval():
    records = rounds.held()
    skills = [each.settlement.skill["momentum"] for each in records]
    found = figures.agent_figures(records, "momentum").skill
    assert found.value == pytest.approx(np.mean(skills))
    assert found.error == pytest.approx(np.std(skills, ddof=1) / np.sqrt(2))
    assert found.high == pytest.approx(found.value + 12.7062 * found.error, rel=1e-5)


def test_every_session_has_the_weights_of_the_round_before_it():
    records, day = rounds.held(), 86_400 * 10**9
    known = np.array([records[0].round.started_ns - day, records[0].round.settles_ns, records[1].round.started_ns - day,
                      records[1].round.settles_ns])  # fmt: skip
    names = figures.agents_in(records)
    books = {name: UnitBook(known, np.full(4, 0.01 * (k + 1)), np.full(4, 0.5)) for k, name in enumerate(names)}
    held = figures.every_session(records, books)
    assert held.known_ns == tuple(known[1:].tolist())
    for row, record in zip(held.base, (records[0], records[0], records[1]), strict=True):
        assert row.tolist() == [record.allocated.base[name] for name in names]
    found = figures.capital(held)
    weights = held.base + held.pool
    assert found.whole == pytest.approx((weights * [0.01, 0.02, 0.03, 0.04]).sum(axis=1))
    assert found.alone == pytest.approx(weights.sum(axis=1) * (held.base * [0.01, 0.02, 0.03, 0.04]).sum(axis=1)
                                        / held.base.sum(axis=1))  # fmt: skip
    assert found.efficiency.value == pytest.approx(1.0 / (0.5 * weights.sum(axis=1)).mean())


def test_no_session_in_force_and_no_round_are_nothing():
    records = rounds.held()
    early = {name: UnitBook(np.array([0]), np.zeros(1), np.zeros(1)) for name in figures.agents_in(records)}
    assert figures.every_session(records, early) is None
    assert figures.every_session([], early) is None
    assert figures.predicted([]) is None
    assert figures.evidence_after([]) == 0.0


def test_evidence_after_the_last_settlement_is_that_of_the_next_round():
    first, second = rounds.held()
    assert figures.evidence_after([first]) == pytest.approx(second.allocated.evidence)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    rows = np.random.default_rng(1).standard_normal(40)
    found = jackknifed(lambda each: float(each.mean()), rows)
    assert found.error == pytest.approx(rows.std(ddof=1) / np.sqrt(40))
    assert jackknifed(sharpe, rows[:2]).error is None


def test_a_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator, covered = np.random.default_rng(2), 0
    for _ in range(60):
        found = resampled(lambda each: float(each.mean()), generator.standard_normal(100))
        covered += found.low <= 0.0 <= found.high
    assert 49 <= covered <= 60
    assert resampled(maximum_drawdown, np.zeros(9)).low is None


def test_an_interval_in_another_unit_keeps_its_order():
    assert by_student(1.0, None, 5).low is None
    assert by_student(1.0, 0.1, 1).error is None
    assert Interval(2.0, 0.5, 1.0, 4.0, 9).times(-10.0) == Interval(-20.0, 5.0, -40.0, -10.0, 9)
    assert Interval(2.0, None, None, None, 9).times(3.0) == Interval(6.0, None, None, None, 9)


def test_what_a_season_cannot_measure_is_not_measured_and_says_why():
    records = rounds.held()
    agents = [figures.agent_figures(records, name) for name in figures.agents_in(records)]
    without = claims(records, agents, None)
    held = claims(records, agents, figures.capital(figures.predicted(records)))
    assert [each.what for each in held] == [each.what for each in without]
    assert all(each.measured or each.note for each in held)
    told = {each.what: each for each in held}
    assert not told["Strategy innovation rate"].measured
    assert "needs a week of a station's searches" in told["Strategy innovation rate"].note
    assert told["Risk-adjusted returns"].measured
    assert not {each.what: each for each in without}["Risk-adjusted returns"].measured
    drawdown = told["Maximum drawdown"].measured[0].interval
    assert drawdown.value <= 0.0


def exposed(record, gross):
    return msgspec.structs.replace(record, settlement=msgspec.structs.replace(record.settlement, gross_of=gross))


def test_capital_efficiency_is_of_the_records_exposures_where_every_settled_round_has_them():
    names = figures.agents_in(rounds.held())
    gross = [{name: 0.2 + 0.1 * k + 0.05 * row for k, name in enumerate(names)} for row in range(2)]
    records = [exposed(each, known) for each, known in zip(rounds.held(), gross, strict=True)]
    held = figures.predicted(records)
    sums = [
        sum((each.allocated.base[name] + each.allocated.competitive[name]) * known[name] for name in names)
        for each, known in zip(records, gross, strict=True)
    ]
    assert figures.capital(held).efficiency.value == pytest.approx(2.0 / sum(sums))
    assert exposure(records[0].allocated, records[0].settlement) == pytest.approx(sums[0])
    agents = [figures.agent_figures(records, name) for name in names]
    told = {each.what: each for each in claims(records, agents, figures.capital(held))}["Capital efficiency"]
    assert told.measured[0].interval.value == pytest.approx(2.0 / sum(sums))
    before = exposed(records[0], {})
    assert figures.predicted([before, records[1]]).gross is None
    told = {each.what: each for each in claims([before, records[1]], agents, figures.capital(
        figures.predicted([before, records[1]])))}["Capital efficiency"]  # fmt: skip
    assert not told.measured
    assert "not every settled round has kept its gross exposure" in told.note


def test_exposure_is_not_known_without_that_of_all_with_capital():
    record = rounds.held()[0]
    made, names = record.allocated, sorted(record.allocated.base)
    some = exposed(record, dict.fromkeys(names[1:], 0.5)).settlement
    assert exposure(made, some) is None
    benched = msgspec.structs.replace(
        made, base=made.base | {names[0]: 0.0}, competitive=made.competitive | {names[0]: 0.0}
    )
    held = sum(made.base[name] + made.competitive[name] for name in names[1:])
    assert exposure(benched, some) == pytest.approx(0.5 * held)
    assert exposure(made, None) is None


WEEK_NS = 7 * 86_400 * 10**9


def test_innovation_counts_from_the_first_search_to_an_instant_and_no_further():
    found = innovated([3 * WEEK_NS, WEEK_NS], [2 * WEEK_NS, 5 * WEEK_NS, 6 * WEEK_NS], 5 * WEEK_NS)
    assert found == Innovation(2, 4.0)
    assert (found.rate, found.error) == (0.5, pytest.approx(2**0.5 / 4))
    assert innovated([WEEK_NS], [], 2 * WEEK_NS - 1) is None
    assert innovated([], [], WEEK_NS) is None
    none = innovated([0], [9 * WEEK_NS], 8 * WEEK_NS)
    assert (none.rate, none.error, none.most) == (0.0, None, 3.0 / 8.0)


def test_the_interval_of_a_count_is_garwoods():
    assert of_poisson(0, 2.0).high == pytest.approx(3.6889 / 2, rel=1e-4)
    found = of_poisson(4, 8.0)
    assert (found.value, found.error, found.count) == (0.5, 0.25, 8)
    assert (found.low, found.high) == (pytest.approx(1.0899 / 8, rel=1e-4), pytest.approx(10.2416 / 8, rel=1e-4))
    assert of_poisson(0, 2.0).low == 0.0


def test_a_count_of_promotions_is_beside_the_claim_with_its_errors():
    records = rounds.held()
    agents = [figures.agent_figures(records, name) for name in figures.agents_in(records)]
    told = {each.what: each for each in claims(records, agents, None, Innovation(2, 8.0))}["Strategy innovation rate"]
    assert told.measured[0].interval == of_poisson(2, 8.0)
    assert "2 promoted in 8.0 weeks of market time, a Poisson count, standard error 0.18" in told.yardstick
    none = {each.what: each for each in claims(records, agents, None, Innovation(0, 8.0))}["Strategy innovation rate"]
    assert "standard error" not in none.yardstick
    assert none.measured[0].interval.high == pytest.approx(3.6889 / 8, rel=1e-4)
