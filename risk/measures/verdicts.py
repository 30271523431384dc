"""Does a risk forecast hold? Tests of value at risk and expected shortfall against what was then lost.

Sources: Kupiec 1995, "Techniques for verifying the accuracy of risk measurement models", Journal of Derivatives 3(2);
Christoffersen 1998, "Evaluating interval forecasts", International Economic Review 39(4); Basel Committee 1996,
"Supervisory framework for the use of backtesting"; Acerbi and Szekely 2014, "Backtesting expected shortfall", Risk.
"""

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special, stats

NEEDED = 1000  # fewer days give no verdict
SIGNIFICANCE = 0.05
BASEL_DAYS = 250
YELLOW, RED = 0.95, 0.9999  # cumulative probabilities at which the zones of the Basel traffic light begin
SIMULATIONS = 10_000

Float64Array = npt.NDArray[np.float64]


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic, the probability of one as bad when the forecast is right, and whether it is above 5 %."""

    statistic: float
    p_value: float
    holds: bool


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic light over some days: the zone that their number of exceptions lies in."""

    days: int
    exceptions: int
    zone: str  # green, yellow, red


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one forecast did. ``holds`` is None where fewer than 1,000 days allow no verdict; ``said`` is a sentence."""

    observations: int
    exceptions: int
    expected: float
    holds: bool | None
    said: str
    kupiec: Test | None = None
    independence: Test | None = None
    conditional: Test | None = None
    basel: Light | None = None
    whole: Light | None = None
    shortfall: Test | None = None


def judge(losses: Float64Array, var: Float64Array, es: Float64Array, level: float, ratios: Float64Array) -> Verdict:
    """Return every test's verdict on forecasts of one day.

    Parameters
    ----------
    losses : what was lost on each day [t], as a positive fraction.
    var, es : what was forecast the evening before [t], at ``level``.
    ratios : loss / ES of losses beyond VaR as the method expects them; their mean is 1 (``acerbi_szekely``).
    """
    hits = losses > var
    count, exceptions, expected = len(losses), int(hits.sum()), len(losses) * (1.0 - level)
    if count < NEEDED:
        said = f"no verdict: {count} days, {NEEDED} are needed"
        return Verdict(observations=count, exceptions=exceptions, expected=expected, holds=None, said=said)
    tests = {
        "kupiec": kupiec(exceptions, count, level),
        "independence": christoffersen(hits),
        "conditional": conditional_coverage(hits, level),
        "shortfall": acerbi_szekely(losses, var, es, level, ratios),
    }
    recent = int(hits[-BASEL_DAYS:].sum())
    whole = traffic_light(exceptions, count, level)
    broken = [name for name, test in tests.items() if not test.holds]
    if whole.zone == "red":
        broken.append("traffic light")
    return Verdict(
        observations=count, exceptions=exceptions, expected=expected, holds=not broken,
        said="holds" if not broken else f"rejected by {', '.join(broken)}",
        basel=traffic_light(recent, BASEL_DAYS, level), whole=whole, **tests,
    )  # fmt: skip


def kupiec(exceptions: int, count: int, level: float) -> Test:
    """Test the proportion of failures: LR = -2 ln(L(p) / L(x / T)), chi-squared with one degree (Kupiec 1995)."""
    rate = exceptions / count
    likelihood = _log_likelihood(exceptions, count, 1.0 - level)
    return _chi_squared(-2.0 * (likelihood - _log_likelihood(exceptions, count, rate)), 1)


def christoffersen(hits: npt.NDArray[np.bool_]) -> Test:
    """Test that an exception says nothing about the next day's: first-order Markov chain (Christoffersen 1998)."""
    return _chi_squared(_independence_ratio(hits), 1)


def conditional_coverage(hits: npt.NDArray[np.bool_], level: float) -> Test:
    """Test coverage and independence together: LR_cc = LR_uc + LR_ind, two degrees (Christoffersen 1998).

    As there, coverage is that of the days after the first.
    """
    later = hits[1:]
    proportion = kupiec(int(later.sum()), len(later), level).statistic
    return _chi_squared(proportion + _independence_ratio(hits), 2)


def traffic_light(exceptions: int, days: int, level: float) -> Light:
    """Return the Basel zone: green below the 95 % point of the binomial distribution, red from 99.99 %.

    At 99 % over 250 days: green to 4 exceptions, yellow 5 to 9, red from 10 (Basel Committee 1996); other levels and
    longer records by the same two probabilities.
    """
    probability = float(stats.binom.cdf(exceptions, days, 1.0 - level))
    zone = "green" if probability < YELLOW else "yellow" if probability < RED else "red"
    return Light(days=days, exceptions=exceptions, zone=zone)


def acerbi_szekely(
    losses: Float64Array, var: Float64Array, es: Float64Array, level: float, ratios: Float64Array, *, seed: int = 1
) -> Test:
    """Test expected shortfall: Z2 = 1 - sum(loss x exception / ES) / (T (1 - level)), 0 when right, below when too low.

    The second test of Acerbi and Szekely (2014). The probability is simulated as they do, under the method's own
    distribution: a binomial number of exceptions, each a draw of ``ratios``.
    """
    count, rate = len(losses), 1.0 - level
    hits = losses > var
    statistic = 1.0 - float((losses[hits] / es[hits]).sum()) / (count * rate)
    generator = np.random.Generator(np.random.Philox(key=seed))
    numbers = generator.binomial(count, rate, SIMULATIONS)
    drawn = generator.choice(ratios, int(numbers.sum()))
    sums = np.add.reduceat(np.append(drawn, 0.0), np.append(0, np.cumsum(numbers)[:-1])) * (numbers > 0)
    p_value = float((1.0 - sums / (count * rate) <= statistic).mean())
    return Test(statistic=statistic, p_value=p_value, holds=p_value >= SIGNIFICANCE)


def _log_likelihood(exceptions: int, count: int, rate: float) -> float:
    return float(special.xlogy(exceptions, rate) + special.xlog1py(count - exceptions, -rate))


def _independence_ratio(hits: npt.NDArray[np.bool_]) -> float:
    before, after = hits[:-1], hits[1:]
    after_hit, after_none = int((before & after).sum()), int((~before & after).sum())
    hit_days, other_days = int(before.sum()), int((~before).sum())
    together = (after_hit + after_none) / len(before)
    free = _log_likelihood(after_hit, hit_days, after_hit / hit_days if hit_days else 0.0) + _log_likelihood(
        after_none, other_days, after_none / other_days if other_days else 0.0
    )
    bound = _log_likelihood(after_hit + after_none, len(before), together)
    return -2.0 * (bound - free)


def _chi_squared(statistic: float, degrees: int) -> Test:
    statistic = max(statistic, 0.0)
    p_value = float(stats.chi2.sf(statistic, degrees))
    return Test(statistic=statistic, p_value=p_value, holds=p_value >= SIGNIFICANCE)
