"""Challenges bite: in whole rounds a planted weakness loses resilience in its own family, and claims about it hold.

What is planted is in tests.tournaments.stressed: one book that stays over night, one that grows when markets become
restless, and a robust one that does neither. Bars are minutes of eight symbols on New York's calendar.
"""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from agents.lookahead import slices
from engine.configuration import load_settings
from market.bars import empty_bars
from market.calendars import DAY_NS, sessions
from market.occurrences import Occurrence, between
from risk.measures.monte_carlo import tail
from tests.tournaments.seasons import QUICK, START_NS
from tests.tournaments.stressed import BLOWS_UP, IGNORES_GAPS, ROBUST, instruments, planted, walk
from tournaments.conduct import Conductor, Inputs, seed_of
from tournaments.debate import losses_of
from tournaments.market import Market
from tournaments.record import RoundRecord
from tournaments.rounds import new_round
from tournaments.rules import schedule_of
from tournaments.stress.resilience import LEVEL
from tournaments.stress.rule import rule
from tournaments.stress.scenarios import Claim, Scenario

MINUTE_S, BARS, SYMBOLS, DAYS = 60, 390, 8, 50
WEAKNESSES = {IGNORES_GAPS: "overnight_gap", BLOWS_UP: "volatility"}
MODES = (ROBUST, IGNORES_GAPS, BLOWS_UP)
RULES = msgspec.structs.replace(QUICK, min_strategies=3, stress_paths=100, stress_symbols=SYMBOLS)


def market(seed):
    """Return walking minutes, and the days that they make."""
    known = sessions("XNYS", START_NS, START_NS + (2 * DAYS + 40) * DAY_NS)
    whole = np.flatnonzero(known.closes_ns - known.opens_ns == MINUTE_S * BARS * 1_000_000_000)[:DAYS]
    fine = walk(DAYS, BARS, SYMBOLS, seed=seed)
    daily = np.stack((
        fine[:, :1, :, 0], fine[..., 1].max(axis=1, keepdims=True), fine[..., 2].min(axis=1, keepdims=True),
        fine[:, -1:, :, 3], fine[..., 4].sum(axis=1, keepdims=True),
    ), axis=-1)  # fmt: skip
    listed = tuple(instruments(SYMBOLS))
    return Market(
        listed, (known,) * SYMBOLS, history(daily, known, whole), history(fine, known, whole), MINUTE_S
    )  # fmt: skip


def history(table, known, whole):
    """Return bars [session, bar, symbol, 5] as a history on these sessions."""
    count = table.shape[1]
    session, bar, symbol = (part.ravel() for part in np.indices(table.shape[:3]))
    bars = empty_bars(len(session))
    for k, name in enumerate(("open", "high", "low", "close", "volume")):
        bars[name] = table[session, bar, symbol, k]
    opens, closes = known.opens_ns[whole][session], known.closes_ns[whole][session]
    length = (closes - opens) // count
    bars["open_ns"], bars["close_ns"] = opens + bar * length, opens + (bar + 1) * length
    return slices(symbol, bars, [known] * SYMBOLS)


def conductor(seed):
    made = market(seed)
    occurrence = between(schedule_of(RULES), int(made.daily.now_ns[35]), int(made.daily.now_ns[-1]))[0]
    given = Inputs(
        market=made, entrants=tuple(planted(mode) for mode in MODES), rules=RULES, costs=load_settings().costs,
        capital=1e6, seed=seed, as_of_ns=occurrence.opens_ns, threads=1,
    )  # fmt: skip
    return Conductor(given), occurrence


def conducted(made: Conductor, occurrence: Occurrence) -> RoundRecord:
    calendars = {each.calendar for each in made.inputs.market.instruments}
    record = RoundRecord(round=new_round(occurrence, RULES, started_ns=occurrence.opens_ns, calendars=calendars))
    while record.round.state not in {"settled", "void"}:
        state = record.round.state
        at_ns = record.round.settles_ns if state == "settle" else record.round.deadlines_ns[state]
        record = made.step(record, at_ns)
    return record


@pytest.fixture(scope="module", params=[1, 2, 3])
def held(request):
    made, occurrence = conductor(request.param)
    return made, conducted(made, occurrence)


def name(mode):
    return planted(mode).name


def marks(record, mode):
    row = next(row for row in record.scores if row.agent == name(mode))
    return {family.family: family for family in row.resilience.families}


def test_the_rounds_are_whole_and_on_quarter_hours(held):
    _, record = held
    assert record.round.state == "settled"
    assert record.opened.interval_s == MINUTE_S
    assert sorted(record.debates) == sorted(name(mode) for mode in MODES)


@pytest.mark.parametrize(("mode", "family"), WEAKNESSES.items())
def test_a_planted_weakness_costs_resilience_in_exactly_its_family(held, mode, family):
    weak, robust = marks(held[1], mode), marks(held[1], ROBUST)
    assert weak[family].clipped > robust[family].clipped + 0.05
    assert weak[family].cvar95 > robust[family].cvar95 + 1.0, "a whole risk budget, in the worst twentieth"
    for other in set(robust) - {family}:
        assert weak[other].clipped < robust[other].clipped + 0.05, other
        assert weak[other].cvar95 < robust[other].cvar95 + 0.6, other


@pytest.mark.parametrize(("mode", "family"), WEAKNESSES.items())
def test_the_weak_name_their_family_as_the_worst_and_stand_below_the_robust_one(held, mode, family):
    rows = {row.agent: row.resilience for row in held[1].scores}
    assert rows[name(mode)].worst == family
    assert rows[name(mode)].resilience < rows[name(ROBUST)].resilience - 0.01
    assert rows[name(ROBUST)].resilience > 0.88


@pytest.mark.parametrize(("mode", "family"), WEAKNESSES.items())
def test_a_claim_about_the_weakness_holds_and_the_same_one_about_the_robust_does_not(held, mode, family):
    """The claim is what a challenger could say after its own paths: half of what the worst ones cost there."""
    made, _ = held
    practice, ruling = (made.stage(seed) for seed in (seed_of(made.inputs.seed, "practice"), made.inputs.seed))
    losses = next(each for each in losses_of(practice, planted(mode)) if each.family == family)
    exceeds = 0.5 * tail(losses.losses / practice.risk_budget, LEVEL)[1]
    claim = Claim(scenario=Scenario(family=family), measure="cvar95", exceeds=exceeds)
    assert [rule(ruling, planted(one), [claim])[0].holds for one in MODES] == [one == mode for one in MODES]


@pytest.mark.parametrize(("mode", "family"), WEAKNESSES.items())
def test_the_challenger_goes_for_the_weakness_first(held, mode, family):
    assert held[1].debates[name(mode)].claims[0].family == family


def test_most_claims_about_a_planted_weakness_hold():
    """One of six may fail by chance: a threshold lies at three quarters of what was measured on other paths."""
    ruled = [
        record.debates[name(mode)].rulings[0].holds
        for record in (conducted(*conductor(seed)) for seed in (1, 2, 3))
        for mode in WEAKNESSES
    ]
    assert sum(ruled) >= 4


@pytest.mark.parametrize("mode", MODES)
def test_every_claim_was_decided_by_what_the_rulings_paths_say(held, mode):
    made, record = held
    stage = made.stage(made.inputs.seed)
    debate = record.debates[name(mode)]
    assert len(debate.claims) == len(debate.rulings) >= 3
    for claim, ruling in zip(debate.claims, debate.rulings, strict=True):
        told = marks(record, mode)[claim.family]
        expected = told.mean if claim.metric == "mean_loss" else told.cvar95
        assert ruling.measured == pytest.approx(expected * stage.risk_budget, rel=1e-9)
        assert ruling.holds == (ruling.measured > claim.threshold)


def test_what_the_challenger_practised_on_are_not_the_paths_of_the_ruling(held):
    made, _ = held
    practice, ruling = made.stage(seed_of(made.inputs.seed, "practice")), made.stage(made.inputs.seed)
    assert not np.array_equal(practice.draws.sessions, ruling.draws.sessions)


def test_who_mends_its_weakness_is_cleared_in_the_same_market(held):
    made, record = held
    mended = tuple(replace(planted(ROBUST), name=name(mode)) for mode in MODES)
    again = between(schedule_of(RULES), record.round.started_ns - 1, record.round.started_ns)[0]
    scored = conducted(Conductor(replace(made.inputs, entrants=mended)), again)
    rows = {row.agent: row.resilience.resilience for row in scored.scores}
    assert len(set(rows.values())) == 1
    assert min(rows.values()) > 0.88
