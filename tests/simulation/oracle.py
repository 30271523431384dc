"""What must hold at every moment, kept apart from the worker: which kills stand, and what may leave."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from events.types import OrderEvent
from tests.simulation.world import Finding


@dataclass
class Standing:
    """A kill that somebody was told of."""

    step: int
    lasting: bool  # a file, or the journal, holds it: a crash does not lift it


@dataclass
class Oracle:
    """The kills that stand; every order is judged by them before the broker hears of it."""

    kills: dict[str, Standing] = field(default_factory=dict)
    releasing_since: int = -1

    def killed(self, word: str, step: int, *, lasting: bool) -> None:
        known = self.kills.get(word)
        self.kills[word] = Standing(step, lasting or (known is not None and known.lasting))

    def releasing(self, step: int) -> None:
        self.releasing_since = step

    def released(self, *, done: bool) -> None:
        """End a release: what was told before it began is lifted if it was done."""
        if done:
            self.kills = {word: kill for word, kill in self.kills.items() if kill.step > self.releasing_since}
        self.releasing_since = -1

    def crashed(self, words: Iterable[str]) -> None:
        """After a start: a release that was cut short has happened or not; a kill that only memory held is gone."""
        words = set(words)
        if self.releasing_since >= 0:
            self.kills = {w: kill for w, kill in self.kills.items() if kill.step > self.releasing_since or w in words}
            self.releasing_since = -1
        self.kills = {word: kill for word, kill in self.kills.items() if kill.lasting or word in words}

    def check_started(self, words: Iterable[str]) -> None:
        """KILLED is never left by itself, whatever the process went through."""
        missing = self.kills.keys() - set(words)
        if missing and "all" not in words:
            raise Finding("KILLED stays", f"{sorted(missing)} was told to stand and does not after a start")

    def check_order(self, order: OrderEvent) -> None:
        """Nothing is sent after a kill was acknowledged."""
        scopes = {"all", f"symbol:{order.symbol}", *(f"strategy:{name}" for name in order.lots_by_strategy)}
        standing = sorted(scopes & self.kills.keys())
        if standing:
            raise Finding("nothing after a kill", f"{order.order_id} was sent while {standing} stood")
