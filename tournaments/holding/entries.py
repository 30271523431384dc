"""Entries on a station: sealed as they come, and opened as what the record was told of then, or refused."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from agents.brains.port import Prediction
from events.models import Outbox
from events.tournament import CommitmentEvent
from tournaments.models import TournamentRound
from tournaments.rounds import Round, event_id
from tournaments.sealing import Context, Opened, Sealed, SealError, TransportKey, accept, seal, unseal


def with_nonces(entries: Mapping[str, Sequence[Prediction]], nonce: Callable[[], bytes]) -> dict[str, Opened]:
    """Return each agent's entry as it is sealed now and revealed later."""
    return {agent: Opened(nonce(), msgspec.json.encode(entry)) for agent, entry in entries.items()}


def sealed(public: bytes, round_id: str, opened: Mapping[str, Opened]) -> dict[str, Sealed]:
    """Return the boxes, to the round's public key."""
    return {agent: seal(public, _context(round_id, agent), each.nonce, each.content) for agent, each in opened.items()}


def unsealed(key: TransportKey, row: TournamentRound, held: Round) -> dict[str, Opened]:
    """Return what is in the boxes that the database holds of a round.

    Whoever can write there knows the public key too, so that a box opens does not say that it is the one that came:
    each has to be in its agent's name, and of the commitment that the record was told of.

    Raises
    ------
    SealError
        naming the agent: "altered" if its entry is gone, was replaced or changed, "replayed" if it is another's.
    """
    boxes, done = msgspec.json.decode(row.sealed, type=dict[str, Sealed]), held.result("predict")
    kept: tuple[Sealed, ...] = ()
    if done is None:
        return {}
    for agent in done.agents:
        if agent not in boxes:
            raise SealError("altered", f"the entry of {agent} (round {row.round_id}) was sealed and is gone")
        context, deadline_ns = _context(row.round_id, agent), held.deadlines_ns["predict"]
        kept = accept(kept, boxes[agent], context, received_ns=done.at_ns, deadline_ns=deadline_ns)
        if boxes[agent].commitment != _told(row.round_id, agent):
            raise SealError("altered", f"the entry of {agent} (round {row.round_id}) is not the one that was sealed")
    return {each.context.agent: unseal(key, each) for each in kept}


def predictions_of(opened: Mapping[str, Opened]) -> dict[str, list[Prediction]]:
    """Return the entries themselves."""
    return {agent: msgspec.json.decode(each.content, type=list[Prediction]) for agent, each in opened.items()}


def _told(round_id: str, agent: str) -> str:
    """Return the commitment that the record was told of, empty if of none."""
    row = Outbox.objects.filter(request_id=event_id(round_id, "predict", "CommitmentEvent", agent)).first()
    return "" if row is None else msgspec.json.decode(row.payload, type=CommitmentEvent).commitment


def _context(round_id: str, agent: str) -> Context:
    return Context(round_id=round_id, agent=agent, kind="entry", step="predict")
