"""What a strategy's approach was before: its parameters in the station's earlier rounds, as entrants."""

import logging
from collections.abc import Mapping

import numpy as np

from agents.strategies import STRATEGIES, parameter_array
from agents.strategies.policy import ParameterError, Policy
from market.calendars import DAY_NS
from tournaments.novelty import Parameters, earlier_approaches
from tournaments.rules import Rules
from tournaments.selectors import earlier_parameters
from tournaments.station import RoundRequest
from tournaments.stress.policies import Entrant

SESSION_NS = 365 * DAY_NS // 252  # on average
log = logging.getLogger(__name__)


def earlier_entrants(
    request: RoundRequest, rules: Rules, held: Mapping[str, Mapping[str, float]]
) -> dict[str, tuple[Entrant, ...]]:
    """Return the strategies whose parameters have changed within the scoring window, with what they were before.

    ``held``: the parameters of this round by strategy; one without has the defaults.
    """
    since_ns = request.as_of_ns - rules.scoring_window * SESSION_NS
    told = earlier_parameters(before_ns=request.as_of_ns, since_ns=since_ns)
    found = {}
    for policy in STRATEGIES:
        now = _values(policy, held.get(policy.name, {}))
        then = [values for said in told if (values := _values(policy, said.get(policy.name, {}))) is not None]
        before = [] if now is None else earlier_approaches(now, then)
        if before:
            found[policy.name] = tuple(Entrant(policy.name, policy, np.array(values)) for values in before)
    return found


def _values(policy: Policy, given: Mapping[str, float]) -> Parameters | None:
    """Return every parameter, None where an older station had others than this one."""
    try:
        return tuple(parameter_array(policy, given).tolist())
    except ParameterError as error:
        log.warning("an earlier round's parameters are not compared: %s", error)
        return None
