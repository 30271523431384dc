"""`audit replay`: identical journals are called identical, and the first record that differs is named."""

import json
import shutil

import msgspec
import pytest
from worker_station import Bench, configuration, configure_event

from engine import fills
from engine.output import Output
from events.codec import decode_payload, encode_payload
from events.journal import JournalReader, JournalWriter
from events.paths import DataPaths
from events.types import ControlEvent, RunStarted
from tests.audit.archiving import move_to_archive
from worker import again, fingerprint, replay
from worker.again import batches
from worker.kill import Kill, Request
from worker.machine import Machine
from worker.replay import main
from worker.resume import resume, snapshot_event

MINUTES = 170


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A journal with everything in it: crashes, snapshots, a kill, a release, a new configuration, alerts."""
    paths = DataPaths(tmp_path_factory.mktemp("station"))
    bench = Bench(paths.journal)
    bench.configure().trade(60)
    bench.core.snapshot()
    bench.crash()
    bench.trade(110, first=60)
    bench.core.alert("TEST", "an alert that no input decides")
    bench.core.kill(
        Request(kill=Kill(scope="symbol", target="SYMA", actor="ada", reason="drill", request_id="k1"), source="socket")
    )
    bench.trade(130, first=110)
    bench.core.release("ada", "done")
    bench.crash()
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(configuration(2, no_trade_band=0.2))))
    pause = ControlEvent(
        action="pause", scope="all", target="", actor="ada", reason="", request_id="p1", position="control.worker 1-0"
    )
    bench.core.apply(Output("ControlEvent", "controlroom", pause))
    bench.trade(150, first=130)
    # the relay's second copy moves the bus position and leaves no record
    bench.core.apply(
        Output("ControlEvent", "controlroom", msgspec.structs.replace(pause, position="control.worker 2-0"))
    )
    resumed = msgspec.structs.replace(pause, action="resume", request_id="p2", position="control.worker 3-0")
    bench.core.apply(Output("ControlEvent", "controlroom", resumed))
    _ = bench.digest  # whoever looks at the digest sorts its lines
    bench.core.snapshot()
    bench.trade(MINUTES, first=150)
    bench.journal.close()
    return paths


@pytest.fixture(autouse=True)
def same_machine(monkeypatch):
    """The journal's runs name this fingerprint; what is compiled already needs no rehearsal before each replay."""
    monkeypatch.setattr(replay, "fingerprint", lambda: {"test": "same"})
    monkeypatch.setattr(replay, "warm_up", lambda: None)


def records(paths):
    return list(JournalReader(paths.journal / "execution").read())


def found(paths, *arguments, capsys):
    code = main(["--data-dir", str(paths.root), "--json", *arguments])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def rewritten(paths, folder, change):
    """Write the journal again with a changed payload or envelope, whole and valid; ``change(record) -> entry``."""
    made = DataPaths(folder)
    journal = JournalWriter(made.journal / "execution", "execution", "rewritten", segment_bytes=60_000)
    for batch in batches(JournalReader(paths.journal / "execution").read()):
        journal.append([change(record) for record in batch])
    journal.close()
    return made


def entry(record, **changed):
    values = {name: getattr(record, name) for name in ("type", "agent_id", "confidence", "payload")} | changed
    return values["type"], values["agent_id"], values["confidence"], None, bytes(values["payload"])


def changing(record, **fields):
    payload = msgspec.structs.replace(decode_payload(record.type, record.payload), **fields)
    return entry(record, payload=encode_payload(payload))


def test_a_disturbed_journal_is_identical_and_everything_in_it_was_compared(station, capsys):
    code, told, said = found(station, capsys=capsys)
    rows = records(station)
    assert (code, said) == (0, "")
    assert told["ok"] is told["exact"] is True
    assert told["first_difference"] is None
    assert told["events"] == len(rows) == told["to_seq"] + 1
    kinds = [row.type for row in rows]
    notes = kinds.count("RunStarted") + sum(row.type == "RiskAlert" and row.agent_id == "worker" for row in rows)
    assert told["snapshots_compared"] == kinds.count("SnapshotEvent") == 2
    assert told["inputs"] + told["outputs_compared"] + told["snapshots_compared"] + notes == len(rows)
    assert told["outputs_compared"] > told["inputs"] > MINUTES


def test_from_the_last_snapshot_and_to_a_record(station, capsys):
    last = max(row.seq for row in records(station) if row.type == "SnapshotEvent")
    code, told, _ = found(station, "--from-snapshot", capsys=capsys)
    assert (code, told["from_seq"]) == (0, last + 1)
    assert told["orders_sha256"] == found(station, capsys=capsys)[1]["orders_sha256"]
    code, told, _ = found(station, "--from-snapshot", "--to", str(last - 1), capsys=capsys)
    assert code == 0
    assert told["from_seq"] < last
    assert told["to_seq"] < last + 20
    code, told, _ = found(station, "--to", "50", capsys=capsys)
    assert (code, told["from_seq"]) == (0, 0)
    assert 50 <= told["to_seq"] < 80


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("AccountEvent", {"equity": 1.0}),
        ("OrderEvent", {"lots": 7}),
        ("SignalEvent", {"features": {"return_20": 0.5}}),
        ("FillEvent", {"price_micro": 1}),
    ],
)
def test_a_changed_output_is_the_first_record_named(station, tmp_path, capsys, kind, fields):
    target = [row for row in records(station) if row.type == kind][3]
    changed = rewritten(station, tmp_path, lambda row: changing(row, **fields) if row.seq == target.seq else entry(row))
    code, told, said = found(changed, capsys=capsys)
    first = told["first_difference"]
    assert (code, told["ok"]) == (1, False)
    assert (first["writer"], first["seq"], first["type"]) == ("execution", target.seq, kind)
    assert first["field"].startswith(f"payload.{next(iter(fields))}")
    assert first["stored"] != first["made"]
    assert f"record {target.seq} ({kind})" in said
    segments = sorted(file.name for file in (changed.journal / "execution").glob("*.seg"))
    assert len(segments) > 2
    assert first["segment"] == max(name for name in segments if int(name[:20]) <= target.seq)


def test_a_changed_envelope_and_a_missing_record_are_named(station, tmp_path, capsys):
    signal = next(row for row in records(station) if row.type == "SignalEvent")
    confident = rewritten(
        station, tmp_path / "a", lambda row: entry(row, confidence=0.125) if row.seq == signal.seq else entry(row)
    )
    assert found(confident, capsys=capsys)[1]["first_difference"]["field"] == "confidence"

    account = [row for row in records(station) if row.type == "AccountEvent"][5]
    made = DataPaths(tmp_path / "b")
    journal = JournalWriter(made.journal / "execution", "execution", "rewritten")
    for batch in batches(JournalReader(station.journal / "execution").read()):
        journal.append([entry(row) for row in batch if row.seq != account.seq])
    journal.close()
    first = found(made, capsys=capsys)[1]["first_difference"]
    assert account.seq - 1 <= first["seq"] <= account.seq


def test_a_changed_snapshot_is_named_by_its_part(station, tmp_path, capsys):
    target = next(row for row in records(station) if row.type == "SnapshotEvent")

    def change(row):
        if row.seq != target.seq:
            return entry(row)
        machine = Machine()
        machine.restore(again.opened(row))
        machine.engine.state.account[0]["cash_micro"] += 1
        return entry(row, payload=encode_payload(snapshot_event(machine)))

    first = found(rewritten(station, tmp_path, change), capsys=capsys)[1]["first_difference"]
    assert (first["seq"], first["field"]) == (target.seq, "state.engine")


def test_a_changed_engine_names_the_first_record_that_it_changes(station, capsys, monkeypatch):
    """A constant of the engine's own code: the impact of an order on its price, a hundredth more."""
    price = fills.market_price_micro

    def dearer(*given):
        return price(*given[:-1], given[-1] * 1.01)

    monkeypatch.setattr(fills, "market_price_micro", dearer)
    code, told, _ = found(station, capsys=capsys)
    first = told["first_difference"]
    assert code == 1
    assert (first["type"], first["field"]) == ("FillEvent", "payload.price_micro")
    assert abs(int(first["stored"]) - int(first["made"])) > 0
    fill = next(row for row in records(station) if row.seq == first["seq"])
    assert str(decode_payload("FillEvent", fill.payload).price_micro) == first["stored"]


def test_other_defaults_change_nothing_since_the_configuration_is_journaled(station, capsys, monkeypatch):
    monkeypatch.setattr("engine.configuration.load_settings", lambda *_: pytest.fail("a replay reads no defaults"))
    assert found(station, capsys=capsys)[0] == 0


def test_another_fingerprint_is_said_and_lets_floats_differ_by_a_billionth(station, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(replay, "fingerprint", lambda: {"test": "other"})
    code, told, _ = found(station, capsys=capsys)
    assert (code, told["exact"]) == (0, False)
    assert told["other_fingerprint"] == {"test": ["same", "other"]}
    main(["--data-dir", str(station.root)])
    assert "floats to 1e-9" in capsys.readouterr().out

    account = [row for row in records(station) if row.type == "AccountEvent"][4]
    equity = decode_payload("AccountEvent", account.payload).equity

    def off_by(fields):
        return lambda row: changing(row, **fields) if row.seq == account.seq else entry(row)

    near = rewritten(station, tmp_path / "near", off_by({"equity": equity * (1 + 1e-12)}))
    assert found(near, capsys=capsys)[0] == 0
    far = rewritten(station, tmp_path / "far", off_by({"equity": equity * (1 + 1e-7)}))
    assert found(far, capsys=capsys)[1]["first_difference"]["field"] == "payload.equity"


def test_what_another_version_recorded_stays_the_others_after_an_upgrade(tmp_path):
    """Snapshot by another version, its records after it, then a run of ours: a resume may not take all for ours."""
    bench = Bench(tmp_path).configure().trade(20)
    bench.core.snapshot()
    bench.trade(30, first=20)
    ours = RunStarted(station_version="0", fingerprint={"test": "ours"}, resumed_from=0, replayed=0)
    bench.core.note(Output("RunStarted", "worker", ours))
    bench.core.keeper.sync()
    assert not resume(Machine(), JournalReader(tmp_path / "execution"), {"test": "ours"}).exact


def test_a_live_journal_is_read_up_to_what_is_durable(station, tmp_path, capsys):
    copied = DataPaths(tmp_path)
    shutil.copytree(station.journal, copied.journal)
    (copied.journal / "execution" / "durable").write_bytes((200).to_bytes(8, "little"))
    code, told, _ = found(copied, capsys=capsys)
    assert code == 0
    assert 100 < told["to_seq"] < 200
    assert told["events"] == told["to_seq"] + 1
    (copied.journal / "execution" / "durable").unlink()
    assert found(copied, capsys=capsys)[1]["to_seq"] == records(station)[-1].seq


def test_an_archived_journal_is_replayed_where_it_lies(station, tmp_path, capsys):
    moved = rewritten(station, tmp_path / "data", entry)
    assert move_to_archive(moved, tmp_path / "archive") >= 2
    code, told, _ = found(moved, capsys=capsys)
    assert (code, told["ok"], told["to_seq"]) == (0, True, records(station)[-1].seq)
    shutil.move(tmp_path / "archive", tmp_path / "unplugged")
    assert main(["--data-dir", str(moved.root), "--json"]) == 1
    assert str(tmp_path / "archive") in capsys.readouterr().err


def test_damage_is_named_not_raised(station, tmp_path, capsys):
    copied = rewritten(station, tmp_path, entry)
    first = min((copied.journal / "execution").glob("*.seg"))
    with first.open("r+b") as file:
        file.seek(first.stat().st_size // 2)
        file.write(b"\xff" * 16)
    code, told, said = found(copied, capsys=capsys)
    assert code == 1
    assert told["first_difference"]["segment"] == first.name
    assert "damaged" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "-1"], "--to = -1 is no record"),
        (["--to", "100000000"], "allowed are 0 to"),
        (["--to", "x"], "--to"),
        (["--from-snapshot", "--to", "3"], "no snapshot before record 3"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_sentence(station, capsys, arguments, sentence):
    assert main(["--data-dir", str(station.root), *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_folder_without_a_journal_is_refused(tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path)]) == 2
    assert "has no journal" in capsys.readouterr().err
    assert main(["--data-dir", str(tmp_path / "none")]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_names_what_byte_identity_depends_on():
    assert set(fingerprint.fingerprint()) == {"python", "numba", "llvmlite", "cpu", "sources"}
