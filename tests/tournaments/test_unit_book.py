"""Unit books: returns by hand, costs, sessions without a bar, and nothing before it is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.brains.observations import Observations
from agents.brains.quant import walk
from agents.strategies import STRATEGIES
from tests.tournaments.seasons import days
from tournaments.unit_book import PATIENCE, unit_book

NAN = np.nan


def observed(opens, closes, targets, sigma):
    """Return what is known of sessions [session, symbol]; a NaN close is a session without a bar."""
    opens, closes = np.asarray(opens, dtype=float), np.asarray(closes, dtype=float)
    session, symbol = np.nonzero(~np.isnan(closes))
    inside = closes / opens - 1.0
    following = np.append(inside[1:], np.full((1, closes.shape[1]), NAN), axis=0)[session, symbol]
    targets, sigma = (np.broadcast_to(np.asarray(each, dtype=float), closes.shape) for each in (targets, sigma))
    count = len(session)
    return Observations(
        strategy="planted", symbols=tuple(f"S{k}" for k in range(closes.shape[1])), feature_names=(), as_of_ns=10**6,
        sessions=(), symbol=symbol, known_ns=100 * (session + 1), features=np.zeros((count, 0)),
        target=targets[session, symbol], score=np.zeros(count), warm=np.ones(count, dtype=bool),
        close=closes[session, symbol], sigma=sigma[session, symbol], next_return=following,
        next_class=np.where(np.isnan(following), -1, 1),
        settled_ns=np.where(np.isnan(following), 0, 100 * (session + 2)),
    )  # fmt: skip


def test_three_sessions_of_two_symbols_come_out_as_by_hand():
    opens = [[100.0, 50.0], [102.0, 49.0], [103.0, 52.0]]
    closes = [[101.0, 50.0], [104.0, 50.0], [102.0, 51.0]]
    book = unit_book(observed(opens, closes, [[1.0, -0.5], [0.5, 1.0], [0.0, 0.0]], [[0.01, 0.03]] * 3), cost=0.001)
    first = 0.75 * (104 / 102 - 1) - 0.125 * (50 / 49 - 1) - 0.001 * (0.75 + 0.125)  # budgets 3/4 and 1/4
    night = 0.75 * (103 / 104 - 1) - 0.125 * (52 / 50 - 1)
    second = night + 0.375 * (102 / 103 - 1) + 0.25 * (51 / 52 - 1) - 0.001 * (0.375 + 0.375)
    np.testing.assert_allclose(book.returns, [first, second], rtol=1e-12)
    np.testing.assert_allclose(book.gross, [0.875, 0.625])
    assert book.known_ns.tolist() == [200, 300]  # each at the end of the session that it was earned in


def test_what_has_no_bar_is_held_as_it_is_and_pays_for_it_when_it_comes_back():
    opens = np.array([[100.0, 50.0], [NAN, 50.0], [60.0, 50.0], [60.0, 50.0]])
    closes = np.array([[100.0, 50.0], [NAN, 50.0], [60.0, 50.0], [60.0, 50.0]])
    entered = np.array([[100.0, 50.0], *opens])
    book = unit_book(observed(entered, np.array([[100.0, 50.0], *closes]), 1.0, 0.01), cost=0.0)
    np.testing.assert_allclose(book.returns, [0.0, 0.0, 0.5 * (60 / 100 - 1), 0.0])  # halted, then 40 % lower
    assert book.gross[1] == pytest.approx(1.0)


def test_a_symbol_that_is_gone_for_good_is_given_up_after_a_while_and_the_sale_costs():
    closes = np.full((PATIENCE + 6, 2), 100.0)
    closes[3:, 0] = NAN
    book = unit_book(observed(closes, closes, 1.0, 0.01), cost=0.01)
    np.testing.assert_allclose(book.returns[0], -0.01)
    sold = 2 + PATIENCE + 1
    assert not book.returns[1:sold].any()
    np.testing.assert_allclose(book.returns[sold], -0.01 * (0.5 + 0.5))  # one sold, the other takes its budget
    np.testing.assert_allclose(book.gross, 1.0)


def test_a_symbol_that_begins_late_has_no_budget_before():
    closes = np.full((5, 2), 100.0)
    closes[:3, 1] = NAN
    book = unit_book(observed(closes, closes, 1.0, 0.01), cost=0.01)
    np.testing.assert_allclose(book.returns, [-0.01, 0.0, 0.0, -0.01])


def test_a_short_that_multiplies_costs_no_more_than_everything():
    book = unit_book(observed([[100.0], [100.0], [700.0]], [[100.0], [700.0], [700.0]], -1.0, 0.01), cost=0.0)
    assert book.returns[0] == -1.0


def test_unknown_deviations_and_targets_are_no_position():
    closes = np.array([[100.0], [110.0], [121.0]])
    assert not unit_book(observed(closes, closes, NAN, 0.01), cost=0.01).returns.any()
    assert not unit_book(observed(closes, closes, 1.0, NAN), cost=0.01).returns.any()
    assert not unit_book(observed(closes, closes, 1.0, 0.0), cost=0.01).returns.any()


@pytest.mark.parametrize("count", [0, 1])
def test_one_session_or_none_is_no_book_yet(count):
    book = unit_book(observed(np.full((count, 2), 9.0), np.full((count, 2), 9.0), 1.0, 0.01), cost=0.01)
    assert [len(each) for each in (book.known_ns, book.returns, book.gross)] == [0, 0, 0]


@settings(derandomize=True, max_examples=40)
@given(seed=st.integers(0, 10**6), cut=st.integers(2, 28), cost=st.floats(0.0, 0.01))
def test_later_bars_change_no_earlier_return_and_gross_stays_within_the_capital(seed, cut, cost):
    generator = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(0.02 * generator.standard_normal((30, 3)), axis=0))
    opens = closes * np.exp(0.01 * generator.standard_normal(closes.shape))
    closes[generator.random(closes.shape) < 0.15] = NAN
    targets, sigma = generator.uniform(-2.0, 2.0, closes.shape), generator.uniform(0.005, 0.03, closes.shape)
    whole = unit_book(observed(opens, closes, targets, sigma), cost=cost)
    part = unit_book(observed(opens[:cut], closes[:cut], targets[:cut], sigma[:cut]), cost=cost)
    known = len(part.returns)
    np.testing.assert_array_equal(whole.returns[:known], part.returns)
    np.testing.assert_array_equal(whole.known_ns[:known], part.known_ns)
    assert np.isfinite(whole.returns).all()
    assert (whole.gross <= 1.0 + 1e-12).all()


@settings(derandomize=True, max_examples=15)
@given(order=st.permutations(range(4)))
def test_the_order_of_symbols_does_not_matter(order):
    generator = np.random.default_rng(7)
    closes = 100.0 * np.exp(np.cumsum(0.02 * generator.standard_normal((20, 4)), axis=0))
    targets = generator.uniform(-1.0, 1.0, closes.shape)
    one = unit_book(observed(closes, closes, targets, 0.01), cost=0.001)
    other = unit_book(observed(closes[:, order], closes[:, order], targets[:, order], 0.01), cost=0.001)
    np.testing.assert_allclose(one.returns, other.returns, atol=1e-15)


def test_the_walk_of_a_policy_makes_a_book_of_each_session_after_the_first():
    market = days(40, 3)
    seen = walk(STRATEGIES[0], market.symbols, market.daily, market.sessions, as_of_ns=int(market.daily.now_ns[-1]))
    book = unit_book(seen, cost=1e-4)
    assert book.known_ns.tolist() == market.daily.now_ns[1:].tolist()
    assert book.returns.any()
