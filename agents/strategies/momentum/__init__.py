"""Follows moves, both ways."""

from agents.strategies.momentum.parameters import PARAMETERS
from agents.strategies.momentum.step import FEATURES, PRICES, STATE, WARM_UP_BARS, loop
from agents.strategies.policy import Policy

POLICY = Policy(
    name="momentum",
    title="Momentum",
    idea=(
        "Follows a symbol's own trend in either direction: the returns over a short, a middle and a long stretch, each "
        "measured in the deviations of a random walk as long, vote. It enters on a strong vote that the longest return "
        "agrees with and stays until the vote has all but gone, with a size that shrinks in restless markets."
    ),
    source=(
        "T. Moskowitz, Y. H. Ooi and L. Pedersen, Time Series Momentum, Journal of Financial Economics 104(2), 2012; "
        "within the day L. Gao, Y. Han, S. Z. Li and G. Zhou, Market Intraday Momentum, Journal of Financial Economics "
        "129(2), 2018"
    ),
    interval_s=900,
    warm_up_bars=WARM_UP_BARS,
    horizon_bars=8,
    parameters=PARAMETERS,
    features=FEATURES,
    state_dtype=STATE,
    loop=loop,
    prices=PRICES,
)
