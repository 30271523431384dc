"""Long-only breakouts with a trailing stop."""

from agents.strategies.bullish.parameters import PARAMETERS
from agents.strategies.bullish.step import FEATURES, PRICES, STATE, WARM_UP_BARS, loop
from agents.strategies.policy import Policy

POLICY = Policy(
    name="bullish",
    title="Bullish",
    idea=(
        "Buys a symbol that closes above its recent trading range after a reasonably straight climb, and stays with it "
        "for as long as it does not give back a few ordinary bars' range. Many small losses pay for a few long runs. "
        "It is never short."
    ),
    source=(
        "R. Donchian's channel breakout as in C. Faith, Way of the Turtle (2007); C. LeBeau's trailing exit as in "
        "A. Elder, Come Into My Trading Room (2002); efficiency ratio of P. Kaufman, Smarter Trading (1995)"
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
