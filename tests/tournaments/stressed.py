"""A market to stress, and one compiled policy whose parameter chooses what is wrong with it."""

import numpy as np
from numba import njit

from agents.strategies.policy import Parameter, Policy
from engine.configuration import load_settings
from market.instruments import Instrument
from tournaments.stress.paths import Window, window
from tournaments.stress.policies import Entrant
from tournaments.stress.stage import Stage, Terms, stage, terms

ROBUST, IGNORES_GAPS, BLOWS_UP, IDLE, CHURNS, TURNS_SOMETIMES, SAYS_NAN, ALWAYS_LONG = range(8)
STATE = np.dtype([("count", "i8"), ("previous", "f8"), ("fast", "f8"), ("slow", "f8")], align=True)
LEAVES_NS, DAY_NS = 375 * 60_000_000_000, 86_400_000_000_000  # what is decided at the close fills after the night


@njit(cache=True)
def loop(state, parameters, bars, closed, targets, scores, features):  # noqa: PLR0917 - as every policy's
    """Hold a book with few common moves in it, small while it is restless and none over night; or fail to."""
    mode = int(parameters[0])
    for i in np.flatnonzero(closed):
        row, bar = state[i], bars[i]
        if row.count > 0:
            change = abs(bar.close / row.previous - 1.0)
            if row.slow > 0.0:
                change = min(change, 4.0 * row.slow)
            row.fast += 0.22 * (change - row.fast)
            row.slow += max(0.01, 1.0 / row.count) * (change - row.slow)
        row.count += 1
        row.previous = bar.close
        side = 1.0 if (i // 2) % 2 == 0 else -1.0
        targets[i] = 0.2 + 0.5 * side
        if bar.close_ns % DAY_NS >= LEAVES_NS and mode != IGNORES_GAPS:
            targets[i] = 0.0
        elif row.count > 30 and row.fast > 1.9 * row.slow:
            targets[i] = 1.0 if mode == BLOWS_UP else 0.1 * side
        if mode == IDLE:
            targets[i] = 0.0
        elif mode in (CHURNS, TURNS_SOMETIMES):
            often = 1 if mode == CHURNS else 6
            targets[i] = 0.5 * side * (1.0 if (row.count // often) % 2 == 0 else -1.0)
        elif mode == SAYS_NAN:
            targets[i] = np.nan
        elif mode == ALWAYS_LONG:
            targets[i] = 1.0


POLICY = Policy(
    name="planted", title="Planted", idea="", source="", interval_s=900, warm_up_bars=1, horizon_bars=1,
    parameters=(Parameter("mode", 0, 0, 7, "", ""),), features=("score",), state_dtype=STATE, loop=loop,
)  # fmt: skip


def planted(mode: int, name: str = "") -> Entrant:
    return Entrant(name or f"planted-{mode}", POLICY, np.array([float(mode)]))


def walk(sessions: int = 20, bars: int = 390, symbols: int = 8, *, seed: int = 1, daily: float = 0.01) -> np.ndarray:
    """Prices that walk: pairwise correlation a half, plenty of volume."""
    chance = np.random.default_rng(seed)
    shape = (sessions * bars, symbols)
    step = daily / np.sqrt(bars)
    moves = step * np.sqrt(0.5) * (chance.standard_normal((shape[0], 1)) + chance.standard_normal(shape))
    closes = 100.0 * np.cumprod(1.0 + moves, axis=0)
    opens = np.concatenate((np.full((1, symbols), 100.0), closes[:-1])) * (1.0 + 0.1 * moves)
    reach = 1.0 + step * np.abs(chance.standard_normal(shape)) / 2
    highs, lows = np.maximum(opens, closes) * reach, np.minimum(opens, closes) / reach
    volumes = chance.gamma(2.0, 5e5, shape)
    return np.stack((opens, highs, lows, closes, volumes), axis=-1).reshape(sessions, bars, symbols, 5)


def names(symbols: int) -> tuple[str, ...]:
    return tuple(f"S{i}" for i in range(symbols))


def instruments(symbols: int, **fields: object) -> list[Instrument]:
    given = {"asset_class": "equity", "exchange": "TEST", "calendar": "XNYS", "currency": "USD", "tick": 0.01} | fields
    return [Instrument(symbol=name, **given) for name in names(symbols)]


def conditions(symbols: int = 8, capital: float = 1e6) -> Terms:
    return terms(instruments(symbols), load_settings().costs, capital=capital)


def minutes(bars: np.ndarray) -> Window:
    return window(names(bars.shape[2]), 60, bars)


def staged(*, paths: int = 60, seed: int = 7, **market: float) -> Stage:
    bars = walk(**market)
    return stage(minutes(bars), conditions(bars.shape[2]), seed=seed, paths=paths)
