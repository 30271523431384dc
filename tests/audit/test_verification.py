import shutil

from audit.verification import verify_data_directory
from events.journal import JournalWriter
from events.paths import DataPaths
from events.segments import segment_files


def write(paths, writer, records):
    journal = JournalWriter(paths.journal / writer, writer, "run")
    for number in range(records):
        journal.append([("TimerEvent", "x", None, None, b'{"instant_ns":%d}' % number)])
    journal.close()
    return journal


def test_a_data_directory_without_journals_holds(tmp_path):
    found = verify_data_directory(DataPaths(tmp_path))
    assert found == {"ok": True, "events": 0, "first_bad": None, "checked_against": {}, "writers": {}}


def test_every_journal_is_verified_and_named_with_its_head(tmp_path):
    paths = DataPaths(tmp_path)
    execution, station = write(paths, "execution", 7), write(paths, "station", 3)
    assert verify_data_directory(paths) == {
        "ok": True,
        "events": 10,
        "first_bad": None,
        "checked_against": {"execution": None, "station": None},
        "writers": {
            "execution": {"seq": 6, "head": execution.head, "tail": ""},
            "station": {"seq": 2, "head": station.head, "tail": ""},
        },
    }


def test_the_first_bad_record_is_named_with_writer_and_sequence(tmp_path):
    paths = DataPaths(tmp_path)
    write(paths, "execution", 7)
    write(paths, "station", 3)
    segment = segment_files(paths.journal / "station")[0]
    data = bytearray(segment.read_bytes())
    second = data.find(b'"seq":1,')
    data[second + 6] = ord("9")
    segment.write_bytes(data)
    found = verify_data_directory(paths)
    assert not found["ok"]
    assert found["first_bad"] == {
        "writer": "station",
        "seq": 1,
        "segment": segment.name,
        "what": "the CRC-32C does not match",
    }
    assert found["writers"]["execution"]["seq"] == 6


def test_a_journal_under_another_name_does_not_hold(tmp_path):
    paths = DataPaths(tmp_path)
    write(paths, "execution", 2)
    shutil.move(paths.journal / "execution", paths.journal / "station")
    assert verify_data_directory(paths)["first_bad"]["what"] == "written by 'execution'"


def test_what_an_interrupted_write_left_is_named_and_no_damage(tmp_path):
    paths = DataPaths(tmp_path)
    write(paths, "execution", 4)
    segment = segment_files(paths.journal / "execution")[0]
    segment.write_bytes(segment.read_bytes()[:-20])
    found = verify_data_directory(paths)
    assert (found["ok"], found["events"], found["writers"]["execution"]["tail"]) == (True, 3, "torn record")
