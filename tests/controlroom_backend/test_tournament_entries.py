"""Sealed entries in the database: what is not the one that came is refused, and no crash leaves a key behind."""

import base64

import msgspec
import pytest

from events.actions import LeaseLostError, claim_job
from events.models import Job, Outbox
from tests.pages.rounds import SUNDAY_NS, market
from tournaments import actions, keeping
from tournaments.holding import actions as holding
from tournaments.journaled import events_of
from tournaments.models import TournamentRound
from tournaments.record import fingerprint
from tournaments.sealing import Context, Sealed, commitment, seal
from tournaments.selectors import record_of
from tournaments.station import RoundRequest

REQUEST = RoundRequest(bars=["/bars.parquet"], as_of_ns=SUNDAY_NS)
pytestmark = pytest.mark.usefixtures("no_heartbeat")


@pytest.fixture
def asked(administrator):
    row, job = actions.ask_round(request=REQUEST, reason="by hand", actor=administrator)
    return row, claim_job(job_id=job.id, owner="me")


def driven(row):
    return holding._driven(row, lambda _: market(), None)


def held(row, job, load=lambda _: market()):
    row.refresh_from_db()
    holding.hold(job=job, owner="me", row=row, load=load)
    row.refresh_from_db()
    return row


@pytest.fixture
def handed_in(asked):
    """A round whose entries are sealed and not yet revealed, its job, and the boxes."""
    row, job = asked
    running = driven(row)
    running._step(SUNDAY_NS + 1)
    running._step(SUNDAY_NS + 2)
    return row, job, msgspec.json.decode(row.sealed, type=dict[str, Sealed])


def sealed_as(row, agent, round_id=""):
    """Seal another entry as anybody can who has read the round's public key."""
    told = msgspec.json.decode(Outbox.objects.get(type="RoundOpenedEvent").payload)
    context = Context(round_id=round_id or row.round_id, agent=agent, kind="entry", step="predict")
    return seal(base64.b64decode(told["transport_key"]), context, bytes(32), b"[]")


def swapped(row, boxes):
    return {**boxes, "bearish": boxes["bullish"], "bullish": boxes["bearish"]}


def gone(row, boxes):
    return {agent: each for agent, each in boxes.items() if agent != "bearish"}


def another(row, boxes):
    return {**boxes, "bearish": sealed_as(row, "bearish")}


def of_another_round(row, boxes):
    return {**boxes, "bearish": sealed_as(row, "bearish", "tournament:hand:other")}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (swapped, "was sealed as the entry of bullish"),
        (gone, "the entry of bearish (round tournament:XNYS:2019-01-07) was sealed and is gone"),
        (another, "the entry of bearish (round tournament:XNYS:2019-01-07) is not the one that was sealed"),
        (of_another_round, "was sealed as the entry of bearish (round tournament:hand:other"),
    ],
)
def test_an_entry_that_is_not_the_one_that_came_voids_the_round_and_names_its_agent(handed_in, change, says):
    row, job, boxes = handed_in
    TournamentRound.objects.update(sealed=msgspec.json.encode(change(row, boxes)).decode())
    held(row, job)
    assert row.state == "void"
    assert "the entry of bearish" in row.reason
    assert says in row.reason
    assert (record_of(row).entries, record_of(row).allocated) == ({}, None)
    assert not list(holding._folder().iterdir())


def test_entries_whose_key_is_gone_say_so(handed_in):
    row, job, _ = handed_in
    keeping.destroy(holding._folder(), row.round_id)
    held(row, job)
    assert row.state == "void"
    assert row.reason == f"the key of round {row.round_id} is gone; its entries open with no other"


def test_what_is_revealed_is_what_was_committed_to_before_and_after_a_crash(handed_in):
    row, _, boxes = handed_in
    again = driven(row)
    entry = again.conductor.step(again.record, SUNDAY_NS + 3)
    told = list(events_of("challenge", entry, {}, "", again.sealing))
    revealed = {agent: payload for _, agent, payload in told if type(payload).__name__ == "EntryEvent"}
    assert {agent: each.commitment for agent, each in revealed.items()} == {
        agent: each.commitment for agent, each in boxes.items()
    }
    opened = again.sealing.entries["bearish"]
    assert commitment(row.round_id, "bearish", opened.nonce, opened.content) == boxes["bearish"].commitment


def test_what_the_journal_is_told_before_the_reveal_confirms_no_guess(handed_in):
    """A hash without a nonce would tell whoever guesses an entry that he is right."""
    row, _, _ = handed_in
    guessed = fingerprint(msgspec.structs.replace(driven(row).record, round=None))
    assert all(guessed not in each.payload for each in Outbox.objects.all())
    assert guessed not in row.record


def test_a_crash_between_the_end_of_a_round_and_that_of_its_job_leaves_no_key(asked, monkeypatch):
    row, job = asked
    driven(row)  # makes the key

    def unread(_request):
        raise ValueError("--bars: gone.parquet cannot be read")

    def killed(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(holding, "finish_job", killed)
        dying.setattr(keeping, "destroy", killed)
        with pytest.raises(RuntimeError, match="killed"):
            held(row, job, unread)
    held(row, job)
    assert (row.state, row.reason) == ("void", "--bars: gone.parquet cannot be read")
    assert Job.objects.get().state == "done"
    assert not list(holding._folder().iterdir())


def test_a_holder_that_was_overtaken_voids_nothing(asked):
    row, job = asked

    def slow(_request):
        driven(TournamentRound.objects.get(id=row.id))._step(SUNDAY_NS + 1)
        raise ValueError("the file is gone")

    with pytest.raises(LeaseLostError, match="somebody else has gone on"):
        held(row, job, slow)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("predict", "")
