"""Fades stretched moves, both ways."""

from agents.strategies.mean_reversion.parameters import PARAMETERS
from agents.strategies.mean_reversion.step import FEATURES, PRICES, STATE, WARM_UP_BARS, loop
from agents.strategies.policy import Policy

POLICY = Policy(
    name="mean_reversion",
    title="Mean-reversion",
    idea=(
        "Buys what closed unusually far below its own recent mean and sells what closed unusually far above it, when "
        "the way there was ragged rather than straight and the way back would pay for the trade. Leaves at the mean; a "
        "fade that fails is not repeated before the price has come back."
    ),
    source=(
        "J. Poterba and L. Summers, Mean Reversion in Stock Prices, Journal of Financial Economics 22(1), 1988; entry, "
        "exit and stop in deviations as in M. Avellaneda and J.-H. Lee, Statistical Arbitrage in the US Equities "
        "Market, Quantitative Finance 10(7), 2010"
    ),
    interval_s=300,
    warm_up_bars=WARM_UP_BARS,
    horizon_bars=12,
    parameters=PARAMETERS,
    features=FEATURES,
    state_dtype=STATE,
    loop=loop,
    prices=PRICES,
)
