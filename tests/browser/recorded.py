"""A small record as a station writes it: both journals, signed, with their events in the store."""

import time

from audit.keys import create_missing, private_key
from audit.signing import JournalSigner
from events.codec import encode_payload
from events.journal import JournalWriter
from events.paths import DataPaths
from events.reader import JournalReader
from events.types import AuditEvent, Payload, RiskAlert, SignalEvent, StateEvent
from market.store.embedded import EmbeddedStore
from market.store.port import Batch, Position
from recorder.projector import project
from tests.browser.scripted import OPEN_NS, PRICES, SECOND, STRATEGIES

RECORDS = 75  # of the execution journal
SIGNED = 70  # of them; the last few have no checkpoint yet
RUN = "7f3a91c2"


def payload_of(number: int) -> tuple[str, Payload]:
    """Return the agent and the payload of the execution journal's record of this number."""
    at, symbol = OPEN_NS + number * 60 * SECOND, list(PRICES)[number % len(PRICES)]
    if number == 40:
        return "engine", StateEvent(
            engine_ns=at, state="REDUCING", previous="ACTIVE", killed=[], cause="daily loss of bearish"
        )
    if number % 25 == 10:
        return "engine", RiskAlert(
            engine_ns=at, rule="daily_loss_near", severity="warning", scope="strategy:bearish", message="81 % of it"
        )
    strategy = list(STRATEGIES)[number % len(STRATEGIES)]
    return strategy, SignalEvent(
        engine_ns=at,
        strategy=strategy,
        symbol=symbol,
        interval_s=300,
        target=0.42,
        previous_target=0.0,
        score=1.25 - number / 50,
        features={"z": 1.5, "slope": -0.01},
        stance_multiplier=1.0,
        calibrator="uncalibrated",
        outcomes=number,
    )


def write_journals(paths: DataPaths) -> None:
    """Write both journals, one record a batch, durable, and sign them as far as SIGNED."""
    execution = JournalWriter(paths.journal / "execution", "execution", RUN)
    for number in range(RECORDS):
        if number == SIGNED:
            execution.sync()
            sign(paths, "execution")
        agent, payload = payload_of(number)
        execution.append([(type(payload).__name__, agent, None, None, encode_payload(payload))])
    execution.sync()
    execution.close()
    station = JournalWriter(paths.journal / "station", "station", RUN)
    for actor in ("operator", "zoë"):
        told = AuditEvent(
            wall_ns=time.time_ns(), action="set own password", target=actor, actor=actor, outcome="done", reason=""
        )
        station.append([("AuditEvent", "controlroom", None, None, encode_payload(told))])
    station.sync()
    station.close()
    sign(paths, "station")


def sign(paths: DataPaths, writer: str) -> None:
    """Sign what a journal holds."""
    create_missing(paths)
    paths.checkpoints.mkdir(mode=0o700, exist_ok=True)
    signer = JournalSigner(paths, writer)
    signer.step(private_key(paths, "signing"))
    signer.close()


def fill(paths: DataPaths) -> None:
    """Write the journals and bring their events into the store."""
    write_journals(paths)
    store = EmbeddedStore(paths.store, writing=True)
    for writer in ("execution", "station"):
        batch = Batch(writer=writer, position=Position(seq=RECORDS, hash="ab" * 32))
        for stored in JournalReader(paths.journal / writer).stored():
            project(stored, batch)
        store.write(batch)
    store.close()
