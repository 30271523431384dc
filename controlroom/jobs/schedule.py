"""The schedule where time is the wall clock's: a tick a minute, in UTC, finds what is due or was missed.

Of a source whose time is its bars' the engine's own clock names the rounds (engine/rounds.py), and the tick does
nothing. Whoever finds a round first makes it one: its key names the session that it predicts.
"""

import msgspec
from django.conf import settings

from controlroom.access.operators import held_configuration
from controlroom.relay.doorbell import ring
from engine.rounds import HOLD
from events.actions import create_job
from events.models import Job
from events.reader import durable_next
from events.types import JobDue
from market.occurrences import pending
from tournaments.actions import miss_round
from tournaments.models import TournamentRound
from tournaments.record import RoundRecord
from tournaments.selectors import round_ids, scheduled_since_ns, settlements, unsettled_rounds


def tick(now_ns: int) -> list[Job]:
    """Ask for each round that is due and each that can be settled, note each that was missed; return the new jobs.

    A station that was off while a round should have opened holds it when it is back, as long as the session that it
    predicts has not opened; after that the round is void, with the reason.
    """
    configuration = held_configuration()
    if configuration is None or configuration.tournaments is None or configuration.source.waits:
        return []
    found = pending(configuration.tournaments.schedule, since_ns=scheduled_since_ns(), now_ns=now_ns, known=round_ids())
    for each in found:
        if not each.due:
            miss_round(occurrence=each.occurrence, reason=each.reason, at_ns=now_ns)
    due = [each for row in unsettled_rounds() for each in _settlements(row, now_ns)]
    due += [each.occurrence.key for each in found if each.due]
    return [job for occurrence in due for job in _ask(occurrence, now_ns)]


def _settlements(row: TournamentRound, now_ns: int) -> list[str]:
    """Return what settles a round by now: its session's close and, where prices lacked, the end of the wait."""
    held = msgspec.json.decode(row.record, type=RoundRecord).round
    instants = (held.settles_ns, held.deadlines_ns["settle"])
    return [each for each, at_ns in zip(settlements(row.round_id), instants, strict=True) if at_ns <= now_ns]


def _ask(occurrence: str, now_ns: int) -> list[Job]:
    last = (durable_next(settings.DATA.journal / "execution") or 0) - 1
    due = JobDue(
        engine_ns=now_ns, job=HOLD, occurrence=occurrence, effective_from_ns=now_ns, through_seq=last, wait=False
    )
    job, new = create_job(name=HOLD, occurrence=occurrence, request=msgspec.json.encode(due).decode())
    if new:
        ring(job)
    return [job] if new else []
