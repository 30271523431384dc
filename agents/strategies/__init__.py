"""The strategies of the station: each a closed folder, registered by one line here."""

from agents.strategies.bearish import POLICY as BEARISH
from agents.strategies.bullish import POLICY as BULLISH
from agents.strategies.mean_reversion import POLICY as MEAN_REVERSION
from agents.strategies.momentum import POLICY as MOMENTUM
from agents.strategies.policy import Parameter, ParameterError, Policy, parameter_array

STRATEGIES: tuple[Policy, ...] = (
    BULLISH,
    BEARISH,
    MEAN_REVERSION,
    MOMENTUM,
)  # fmt: skip


def by_name(name: str) -> Policy:
    """Return the strategy called ``name``.

    Raises
    ------
    KeyError
        if there is none; the message names those that exist.
    """
    for policy in STRATEGIES:
        if policy.name == name:
            return policy
    raise KeyError(f"there is no strategy {name}; there are {', '.join(policy.name for policy in STRATEGIES)}")


__all__ = ["STRATEGIES", "Parameter", "ParameterError", "Policy", "by_name", "parameter_array"]
