"""What a simulation is asked for, and how far it has come, as the job's row keeps both."""

import msgspec

from tournaments.simulation import Kept, Simulated, Trials

MOST_VERSIONS = 2


class SimulationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``bars``: absolute paths of files; ``symbols``: these alone, all shared ones where empty.

    ``versions`` of the rules, one or two, 0 the built-in ones; all see the same histories and seeds. ``iterations``:
    rounds. ``capital`` in the instruments' currency. ``trials``: how often the synthetic questions are asked.
    """

    bars: list[str]
    versions: list[int]
    symbols: list[str] = []
    agents: int = 4
    iterations: int = 100
    seed: int = 1
    capital: float = 1_000_000.0
    trials: Trials = Trials()
    actor: str = ""


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """``found`` of the versions that are through, in the order of the request.

    Of the version under way: ``kept`` its histories so far, ``seconds`` what they took. ``begun``: percent of the whole
    that was done when the present attempt began.
    """

    found: list[Simulated] = []
    kept: list[Kept] = []
    seconds: float = 0.0
    begun: int = 0
