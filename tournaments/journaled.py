"""What each step of a round leaves in the journal: events with ids by which a repetition is recognised."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from events import tournament as types
from events.types import Payload
from tournaments.record import RoundRecord, Score
from tournaments.rounds import StepName, event_id
from tournaments.sealing import CompetitionKey, Context, Kind, Opened, Sealed, write_record

Told = tuple[str, str, Payload]
"""Request id, agent, payload."""


@dataclass(frozen=True)
class Sealing:
    """What the record's texts are sealed with: the competition key, and where nonces of 32 bytes come from.

    ``entries`` are those that were committed to, by agent: revealed with the same nonce, each is what its commitment
    says.
    """

    key: CompetitionKey
    nonce: Callable[[], bytes]
    entries: Mapping[str, Opened] = field(default_factory=dict)


def events_of(
    step: StepName,
    record: RoundRecord,
    sealed: Mapping[str, Sealed],
    transport: str,
    sealing: Sealing,
    *,
    deployed: bool = False,
) -> Iterator[Told]:
    """Yield what a finished step journals; the round's own event comes last.

    Parameters
    ----------
    record : after the step. Before ``challenge`` is done no entry of it is told: only that it was sealed.
    sealed : the entries as sealed to the round's key, whose commitments ``predict`` tells.
    transport : base64 of the round's public key.
    deployed : whether the engine is told of the allocation with it.
    """
    round_id = record.round.round_id
    for kind, agent, payload in _STEPS[step](record, sealed, transport, sealing):
        allocation = isinstance(payload, types.AllocationEvent)
        told = msgspec.structs.replace(payload, deployed=deployed) if allocation else payload
        yield event_id(round_id, step, kind, agent), agent, told
    done = record.round.result(step)
    if done is not None:
        ended = types.RoundEvent(
            round_id=round_id, step=step, state=record.round.state, sha256=done.sha256, at_ns=done.at_ns,
            late=done.late, reason=record.round.reason,
        )  # fmt: skip
        yield event_id(round_id, step, "RoundEvent"), "tournament", ended


Parts = Iterator[tuple[str, str, Payload]]


def _open(record: RoundRecord, _sealed: Mapping[str, Sealed], transport: str, _with: Sealing) -> Parts:
    opened, held = record.opened, record.round
    if opened is not None:
        entrants = held.result("open")
        yield "RoundOpenedEvent", "tournament", types.RoundOpenedEvent(
            round_id=held.round_id, rules_version=held.rules_version, rules_sha256=held.rules_sha256,
            as_of_ns=opened.as_of_ns, seed=opened.seed, entrants=list(entrants.agents) if entrants else [],
            symbols=opened.symbols, stressed=opened.stressed, sigma=opened.sigma, settles_ns=held.settles_ns,
            transport_key=transport,
        )  # fmt: skip


def _predict(record: RoundRecord, sealed: Mapping[str, Sealed], _transport: str, _with: Sealing) -> Parts:
    done, opened = record.round.result("predict"), record.round.result("open")
    for agent, each in sealed.items():
        yield "CommitmentEvent", agent, types.CommitmentEvent(
            round_id=record.round.round_id, agent=agent, commitment=each.commitment,
            received_ns=done.at_ns if done else 0,
        )  # fmt: skip
    for agent in opened.agents if opened else ():
        if agent not in sealed:
            yield (
                "AbstentionEvent",
                agent,
                types.AbstentionEvent(
                    round_id=record.round.round_id, agent=agent, reason="no valid entry came in time"
                ),
            )


def _challenge(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, sealing: Sealing) -> Parts:
    for agent, entry in record.entries.items():
        yield "EntryEvent", agent, types.EntryEvent(**_text(record, agent, ("entry", "predict"), entry, sealing))
    for agent, debate in record.debates.items():
        text = _text(record, agent, ("challenge", "challenge"), debate.claims, sealing)
        yield "ChallengeEvent", agent, types.ChallengeEvent(**text)


def _defend(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, sealing: Sealing) -> Parts:
    for agent, debate in record.debates.items():
        said = {"replies": debate.replies, "revised": record.revised.get(agent, [])}
        yield "DefenseEvent", agent, types.DefenseEvent(**_text(record, agent, ("defence", "defend"), said, sealing))


def _rule(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, _with: Sealing) -> Parts:
    for agent, debate in record.debates.items():
        for number, (claim, ruling) in enumerate(zip(debate.claims, debate.rulings, strict=True)):
            yield f"RulingEvent/{number}", agent, types.RulingEvent(
                round_id=record.round.round_id, agent=agent, claim=number, family=claim.family,
                measured=ruling.measured, threshold=ruling.threshold, holds=ruling.holds,
                challenger_brier=ruling.challenger_brier, defender_brier=ruling.defender_brier,
                checklist=debate.judgements[number].score,
            )  # fmt: skip


def _score(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, _with: Sealing) -> Parts:
    for row in record.scores:
        yield "ScoreEvent", row.agent, types.ScoreEvent(
            round_id=record.round.round_id, strategy_id=row.agent, accuracy=row.accuracy,
            accuracy_error=row.accuracy_error, contribution=row.contribution,
            contribution_error=row.contribution_error, resilience=row.resilience.resilience,
            resilience_error=row.resilience.error, families={e.family: e.clipped for e in row.resilience.families},
            worst_family=row.resilience.worst, cvar95=row.resilience.cvar95, sharpe=row.sharpe,
            sharpe_error=row.sharpe_error, deflated_sharpe=row.deflated, max_drawdown=row.drawdown, total=row.total,
            total_error=row.error, rank=row.rank, best=row.best,
        )  # fmt: skip


def _allocate(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, _with: Sealing) -> Parts:
    made = record.allocated
    if made is None:
        return
    yield "AllocationEvent", "tournament", types.AllocationEvent(
        round_id=record.round.round_id, base_before=made.base_before, competitive_before=made.competitive_before,
        base=made.base, competitive=made.competitive, cash=made.cash, pool=made.pool, evidence=made.evidence,
        automatic=made.automatic, deployed=False,
    )  # fmt: skip
    for row in record.scores:
        yield "TournamentResultEvent", row.agent, _result(record, row)


def _result(record: RoundRecord, row: Score) -> types.TournamentResultEvent:
    made = record.allocated
    assert made is not None  # noqa: S101 - the caller has looked
    competitive = made.competitive.get(row.agent, 0.0)  # a challenger has no capital
    return types.TournamentResultEvent(
        round_id=record.round.round_id, strategy_id=row.agent, prediction_accuracy=row.hit_rate,
        challenge_resilience=row.resilience.resilience, risk_score=row.deflated,
        capital_allocation=made.base.get(row.agent, 0.0) + competitive, diversity_index=made.diversity_index,
        total_capital=1.0 - made.cash, competitive_allocation=competitive, skill=row.accuracy,
    )  # fmt: skip


def _settle(record: RoundRecord, _sealed: Mapping[str, Sealed], _transport: str, _with: Sealing) -> Parts:
    came = record.settlement
    if came is not None:
        yield "SettlementEvent", "tournament", types.SettlementEvent(
            round_id=record.round.round_id, classes=came.classes, returns=came.returns, skill=came.skill,
            difference=came.difference,
        )  # fmt: skip


def _text(record: RoundRecord, agent: str, written: tuple[Kind, str], said: object, sealing: Sealing) -> dict[str, str]:
    """Return the fields of a text that was ``written`` as a kind, in a step."""
    kind, step = written
    committed = sealing.entries.get(agent) if kind == "entry" else None
    opened = committed or Opened(sealing.nonce(), msgspec.json.encode(said))
    context = Context(round_id=record.round.round_id, agent=agent, kind=kind, step=step)
    made = write_record(sealing.key.public, sealing.key.key, context, opened)
    return {
        "round_id": record.round.round_id, "agent": agent, "key": made.key, "box": made.box,
        "commitment": made.commitment,
    }  # fmt: skip


_STEPS: dict[StepName, Callable[[RoundRecord, Mapping[str, Sealed], str, Sealing], Parts]] = {
    "open": _open, "predict": _predict, "challenge": _challenge, "defend": _defend, "rule": _rule, "score": _score,
    "allocate": _allocate, "settle": _settle,
}  # fmt: skip
