"""Short-only breakdowns below a falling volume-weighted average."""

from agents.strategies.bearish.parameters import PARAMETERS
from agents.strategies.bearish.step import FEATURES, PRICES, STATE, VOLUMES, WARM_UP_BARS, loop
from agents.strategies.policy import Policy

POLICY = Policy(
    name="bearish",
    title="Bearish",
    idea=(
        "Sells short a symbol that makes new lows well below its volume-weighted average price while that average is "
        "itself falling: most of those who bought lately are under water. Falls are fast and rebounds faster, so it "
        "takes a fixed gain, covers above the average and never stays long. It is never long."
    ),
    source=(
        "S. Weinstein, Secrets for Profiting in Bull and Bear Markets (1988), stage 4: short below a falling average; "
        "volume-weighted price of Berkowitz, Logue and Noser, The Total Cost of Transactions on the NYSE, Journal of "
        "Finance 43(1), 1988"
    ),
    interval_s=900,
    warm_up_bars=WARM_UP_BARS,
    horizon_bars=6,
    parameters=PARAMETERS,
    features=FEATURES,
    state_dtype=STATE,
    loop=loop,
    prices=PRICES,
    volumes=VOLUMES,
)
